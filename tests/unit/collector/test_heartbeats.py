"""What the control store learns from metrics: which hosts have an agent."""

from __future__ import annotations

import json

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from rota.agent.heartbeat import Heartbeat as Beating
from rota.wire import names
from rota_collector.decode import to_rows
from rota_collector.decode.to_rows import Heartbeat
from rota_collector.journal import Record, Signal


def record(body: bytes, signal: Signal = Signal.METRICS_JSON, received_ns: int = 7) -> Record:
    """A request in the journal."""
    return Record(0, 1, signal, received_ns, body)


def as_protobuf(body: bytes) -> bytes:
    """The same request, as another exporter sends it."""
    return json_format.Parse(body, ExportMetricsServiceRequest()).SerializeToString()


@pytest.fixture
def beating(monkeypatch) -> Beating:
    """The heart of an agent on h1."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "host.name=h1")
    return Beating()


def test_what_an_agent_says_is_understood(beating):
    """In JSON and in protobuf, at the time of the collector's clock: the host's may be wrong."""
    line = beating.line()
    found = to_rows.heartbeats([record(line), record(as_protobuf(line), Signal.METRICS_PROTO, 9)])
    assert found == [Heartbeat("h1", 7, False), Heartbeat("h1", 9, False)]


def test_the_end_of_an_agent_is_told_from_a_heartbeat(beating):
    """It was stopped, and is not to be missed."""
    line = beating.last_line()
    found = to_rows.heartbeats([record(line), record(as_protobuf(line), Signal.METRICS_PROTO)])
    assert [beat.is_last for beat in found] == [True, True]


def test_other_metrics_are_no_heartbeat(beating):
    """Nor is one of nobody knows which host, nor a log record that speaks of one."""
    request = json.loads(beating.line())
    request["resourceMetrics"][0]["resource"] = {}
    other = beating.line().replace(names.AGENT_UPTIME.encode(), b"process.uptime")
    records = [record(json.dumps(request).encode()), record(other), record(beating.line(), Signal.LOGS_JSON)]
    assert to_rows.heartbeats(records) == []
