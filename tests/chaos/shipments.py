"""What a campaign sends: requests whose every record is known, so that each can be asked for afterwards.

A record is known by its key, ``<shipment>.<number>``, an attribute of its own; run events by their id.
"""

from __future__ import annotations

import base64
import gzip
import math
import random
import uuid
from typing import Any, NamedTuple

import otlp
import otlp_messages as messages
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

KEY = "chaos.key"
DOORS = ("proto", "json", "grpc", "ping")  # the first three by turns for each signal
SIGNALS = ("traces", "logs", "metrics", "runs")
_SECOND = 10**9
_ENDS = ("succeeded", "failed", "crashed", "cancelled")

Row = tuple[Any, ...]  # what SQL says of a record: see ``oracle.QUERIES``


class Shipment(NamedTuple):
    """One request. ``rows``: table → key → what is read of it once it is applied."""

    number: int
    door: str
    signal: str
    body: bytes
    is_gzip: bool
    rows: dict[str, dict[str, Row]]

    def __str__(self) -> str:
        return f"shipment {self.number} ({self.signal} by {self.door})"


def shipment(number: int, seed: int) -> Shipment:
    """The shipment of this number: doors and signals take turns, what is in it is drawn."""
    chance = random.Random(f"{seed} {number}")
    door, signal = DOORS[number % 4], SIGNALS[number // 4 % 4]
    if door == "ping":
        rid = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        return Shipment(number, door, "pings", rid.encode(), False, {"pings": {rid: ("succeeded",)}})
    message, rows = _MAKERS[signal](number, chance)
    body = messages.to_json(message) if door == "json" else message.SerializeToString()
    is_gzip = door != "grpc" and chance.random() < 0.3
    return Shipment(number, door, signal, gzip.compress(body, 1) if is_gzip else body, is_gzip, rows)


def _traces(number: int, chance: random.Random) -> tuple[Message, dict[str, dict[str, Row]]]:
    spans, rows = [], {}
    for i in range(chance.randint(1, 6)):
        about = _about(number, i, chance)
        name, started, took = _text(chance) or "a span", messages.T0 + chance.randrange(10**16), chance.randrange(10**12)
        ids = {"trace_id": chance.randbytes(16), "span_id": (number << 16 | i + 1).to_bytes(8, "big")}
        times = {"start_time_unix_nano": started, "end_time_unix_nano": started + took}
        spans.append(messages.span(i + 1, about, name=name, **ids, **times))
        rows[about[KEY]] = (name, started, took, read(about))
    return messages.traces(*spans, resource={"service.name": "chaos"}), {"spans": rows}


def _logs(number: int, chance: random.Random) -> tuple[Message, dict[str, dict[str, Row]]]:
    records, rows = [], {}
    for i in range(chance.randint(1, 6)):
        about = _about(number, i, chance)
        text, at = _text(chance) + "!", messages.T0 + chance.randrange(10**16)
        records.append(messages.log(i + 1, about, time_unix_nano=at, body=messages.value(text)))
        rows[about[KEY]] = (text, at, read(about))
    return messages.logs(*records, resource={"service.name": "chaos"}), {"logs": rows}


def _metrics(number: int, chance: random.Random) -> tuple[Message, dict[str, dict[str, Row]]]:
    request, rows = ExportMetricsServiceRequest(), {}
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name=f"chaos.{number}")
    for i in range(chance.randint(1, 6)):
        about = _about(number, i, chance)
        measured, at = chance.uniform(-1e9, 1e9), messages.T0 + chance.randrange(10**16)
        point = metric.gauge.data_points.add(as_double=measured, time_unix_nano=at)
        point.attributes.extend(messages.attributes(about))
        rows[about[KEY]] = (metric.name, at, measured, read(about))
    return request, {"metrics": rows}


def _runs(number: int, chance: random.Random) -> tuple[Message, dict[str, dict[str, Row]]]:
    records, events, runs = [], {}, {}
    for i in range(chance.randint(1, 3)):
        n, end = number * 8 + i, chance.choice(_ENDS)
        both = otlp.whole_run(n, end, workflow=f"chaos.{n % 5}")
        records += both
        for record, state in zip(both, ("running", end), strict=True):
            event_id = next(each["value"]["stringValue"] for each in record["attributes"] if each["key"] == "rota.event.id")
            events[event_id] = (otlp.run_id(n), state)
        runs[otlp.run_id(n)] = (end,)
    request = messages.as_protobuf(otlp.logs(records), ExportLogsServiceRequest())
    return request, {"run_events": events, "runs": runs}


_MAKERS = {"traces": _traces, "logs": _logs, "metrics": _metrics, "runs": _runs}


def _about(number: int, i: int, chance: random.Random) -> dict[str, Any]:
    return {KEY: f"{number:06}.{i}"} | {f"a{n}": _value(chance, 0) for n in range(chance.randrange(4))}


def _value(chance: random.Random, depth: int) -> Any:
    kind = chance.randrange(8 if depth < 2 else 6)
    if kind == 6:
        return [_value(chance, depth + 1) for _ in range(chance.randrange(3))]
    if kind == 7:
        return {f"k{n}": _value(chance, depth + 1) for n in range(chance.randrange(3))}
    number, data = chance.randint(-(2**63), 2**63 - 1), chance.randbytes(chance.randrange(9))
    return (number, chance.random(), bool(number % 2), _text(chance), data, None)[kind]


def _text(chance: random.Random) -> str:
    return "".join(chance.choices('abcxyz "\\\n\t/{}[]äß€😀\x01', k=chance.randrange(12)))


def read(value: Any) -> Any:
    """What a JSON reader sees of a value."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, list):
        return [read(item) for item in value]
    if isinstance(value, dict):
        return {key: read(item) for key, item in value.items()}
    return value
