"""The agent's sign of life."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from scripts import plain

import rota
from rota.agent import heartbeat as heartbeat_module
from rota.agent.heartbeat import Heartbeat
from rota.wire import names


def told(line: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """(attributes of the resource, the one metric) of a line."""
    (group,) = json.loads(line)["resourceMetrics"]
    (scoped,) = group["scopeMetrics"]
    (metric,) = scoped["metrics"]
    return {pair["key"]: plain(pair["value"]) for pair in group["resource"]["attributes"]}, metric


def test_it_beats_at_once_and_then_twice_a_minute():
    """A host is known to have an agent as soon as it has one."""
    now = [100.0]
    heartbeat = Heartbeat(lambda: now[0])
    due = []
    for now[0] in (100.0, 100.1, 129.9, 130.0, 130.1):
        due.append(heartbeat.is_due())
        if due[-1]:
            heartbeat.line()
    assert due == [True, False, False, True, False]


def test_it_says_how_long_the_agent_is_there(monkeypatch):
    """In seconds, as a gauge, at the time of this host."""
    now = [100.0]
    heartbeat = Heartbeat(lambda: now[0])
    now[0] = 107.5
    before = time.time_ns()
    _, metric = told(heartbeat.line())
    (point,) = metric["gauge"]["dataPoints"]
    assert (metric["name"], metric["unit"], point["asDouble"]) == (names.AGENT_UPTIME, "s", 7.5)
    assert before <= int(point["timeUnixNano"]) <= time.time_ns()


def test_its_end_has_no_value():
    """As OTLP has it for a series that ends: the agent was stopped, and is not to be missed."""
    _, metric = told(Heartbeat().last_line())
    assert (metric["name"], metric["gauge"]["dataPoints"][0]["flags"]) == (names.AGENT_UPTIME, 1)


def test_it_says_who_and_where(monkeypatch, tmp_path):
    """Host, version, process and user; what the environment says of the resource has the last word."""
    machine_id = tmp_path / "machine-id"
    machine_id.write_text("0123456789abcdef0123456789abcdef\n")
    monkeypatch.setattr(heartbeat_module, "_MACHINE_ID", str(machine_id))
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    resource, _ = told(Heartbeat().line())
    assert resource == {
        "service.name": "rota-agent",
        "service.version": rota.__version__,
        "host.name": os.uname().nodename,
        "host.id": "0123456789abcdef0123456789abcdef",
        "process.pid": os.getpid(),
        "process.real_user.id": os.geteuid(),
        "deployment.environment.name": "test",
    }


def test_a_machine_without_an_id_has_none(monkeypatch):
    """A container."""
    monkeypatch.setattr(heartbeat_module, "_MACHINE_ID", "/nowhere")
    resource, _ = told(Heartbeat().line())
    assert "host.id" not in resource
