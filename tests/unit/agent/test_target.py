"""Where each signal goes, by the environment."""

from __future__ import annotations

import os

import pytest

from rota.agent.target import target


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    """An environment without a word about it."""
    for name in list(os.environ):
        if name.startswith(("ROTA_", "OTEL_")):
            monkeypatch.delenv(name)


def test_the_default_is_the_collector_of_this_machine():
    """Nothing needs to be set on loopback."""
    goal = target("logs")
    assert (goal.url, goal.protocol, goal.headers) == ("http://127.0.0.1:4318/v1/logs", "http/json", {})


@pytest.mark.parametrize(
    ("settings", "url", "protocol"),
    [
        ({"ROTA_HTTP": "10.0.0.1:80"}, "http://10.0.0.1:80/v1/traces", "http/json"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://o:1/x/"}, "https://o:1/x/v1/traces", "http/json"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://t/own"}, "https://t/own", "http/json"),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "https://l/own"}, "http://127.0.0.1:4318/v1/traces", "http/json"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http://127.0.0.1:4317", "grpc"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "ROTA_GRPC": "127.0.0.1:9"}, "http://127.0.0.1:9", "grpc"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": "https://o:1"}, "https://o:1", "grpc"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}, "http://127.0.0.1:4318/v1/traces", "http/protobuf"),
        (
            {
                "ROTA_ENDPOINT": "http://r",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://t",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            },
            "http://r/v1/traces",
            "http/json",
        ),
    ],
)
def test_the_environment_decides(monkeypatch, settings, url, protocol):
    """ROTA_ENDPOINT outranks OTEL_*, which may be the program's own exporters'; a signal's own setting the common one."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    goal = target("traces")
    assert (goal.url, goal.protocol) == (url, protocol)


def test_everything_else_is_honoured_too(monkeypatch):
    """Headers, timeout, certificates and compression, per signal or for all."""
    for name, value in {
        "HEADERS": "a=1,b=x%20y",
        "TRACES_HEADERS": "b=2",
        "TIMEOUT": "3.5",
        "CERTIFICATE": "/ca",
        "TRACES_CLIENT_CERTIFICATE": "/c",
        "CLIENT_KEY": "/k",
        "COMPRESSION": "gzip",
    }.items():
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_" + name, value)
    goal = target("traces")
    assert goal.headers == {"a": "1", "b": "2"}
    assert goal[4:] == (3.5, "/ca", "/c", "/k", "gzip")


@pytest.mark.parametrize("text", ["soon", "0", "-1"])
def test_a_timeout_that_cannot_be_used_is_the_default(monkeypatch, text):
    """An agent that cannot start ships nothing at all."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", text)
    assert target("logs").timeout_seconds == 10
