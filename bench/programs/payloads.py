"""What is sent: requests of 512 spans with 8 attributes each, and single events, as whole HTTP requests.

Spans come from ``TEMPLATES`` different requests whose content is random but the same in every run; each request sent gets
trace ids of its own, so that nothing is a duplicate.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SPANS, TRACES, TEMPLATES = 512, 16, 256  # more spans differ than DuckDB compresses together, or stored bytes would flatter
_NAMES = ("load_orders", "validate", "SELECT orders", "GET /v1/rates", "write_report", "transform")
_EVENT = (
    '{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"bench.small"}},'
    '{"key":"host.name","value":{"stringValue":"bench"}}]},"scopeLogs":[{"scope":{"name":"rota"},"logRecords":[{'
    '"timeUnixNano":"%(at)d","observedTimeUnixNano":"%(at)d","severityNumber":9,"eventName":"rota.run.state",'
    '"traceId":"%(trace)s","spanId":"%(span)s","attributes":[{"key":"rota.event.id","value":{"stringValue":"%(event)s"}},'
    '{"key":"cicd.pipeline.name","value":{"stringValue":"bench.small"}},'
    '{"key":"cicd.pipeline.run.id","value":{"stringValue":"%(run)s"}},'
    '{"key":"rota.run.state","value":{"stringValue":"succeeded"}},{"key":"rota.source","value":{"stringValue":"sdk"}},'
    '{"key":"rota.attempt","value":{"intValue":"1"}},{"key":"process.exit.code","value":{"intValue":"0"}},'
    '{"key":"rota.run.started","value":{"intValue":"%(began)d"}}]}]}]}]}'
)


def span_bodies(count: int) -> list[bytes]:
    """So many ExportTraceServiceRequests, protobuf."""
    chance = random.Random(4318)
    templates = [_template(chance, number) for number in range(min(count, TEMPLATES))]
    return [_own(templates[number % TEMPLATES]) for number in range(count)]


def event_bodies(count: int) -> list[bytes]:
    """So many ExportLogsServiceRequests, JSON, each the end of another run."""
    now = time.time_ns()
    return [_event(now + number) for number in range(count)]


def http(path: str, content_type: str, body: bytes) -> bytes:
    """A whole HTTP/1.1 request on a connection that stays open."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _template(chance: random.Random, number: int) -> bytes:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    for key, value in (("service.name", f"bench.ingest.{number % 8}"), ("host.name", "bench")):
        _set(resource.resource, key, value)
    scope = resource.scope_spans.add()
    scope.scope.name = "bench"
    at = time.time_ns() - number * 1_000_000_000
    for index in range(SPANS):
        _fill(scope.spans.add(), chance, index % TRACES, at + index * 1_000_000)
    return bytes(request.SerializeToString())


def _fill(span: Any, chance: random.Random, trace: int, at: int) -> None:
    span.trace_id, span.span_id, span.parent_span_id = _placeholder(trace), chance.randbytes(8), chance.randbytes(8)
    span.name, span.kind = chance.choice(_NAMES), chance.randint(1, 3)
    span.start_time_unix_nano = at + chance.randrange(1_000_000)
    span.end_time_unix_nano = span.start_time_unix_nano + int(chance.expovariate(1 / 5e6))
    _set(span, "db.system.name", chance.choice(("postgresql", "sqlite", "duckdb")))
    _set(span, "url.path", f"/v1/orders/{chance.randrange(10_000)}")
    _set(span, "http.request.method", chance.choice(("GET", "POST")))
    _set(span, "customer.name", f"customer {chance.randrange(1000)}")
    _set(span, "http.response.status_code", chance.choice((200, 200, 200, 404, 500)))
    _set(span, "rota.rows", chance.randrange(100_000))
    _set(span, "score", round(chance.random(), 3))
    _set(span, "is_retry", chance.random() < 0.1)


def _set(target: Any, key: str, value: str | float | bool) -> None:
    attribute = target.attributes.add()
    attribute.key = key
    kind = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value"}[type(value)]
    setattr(attribute.value, kind, value)


def _placeholder(trace: int) -> bytes:
    return b"bench-trace-id%02d" % trace


def _own(template: bytes) -> bytes:
    for trace in range(TRACES):
        template = template.replace(_placeholder(trace), os.urandom(16))
    return template


def _event(at: int) -> bytes:
    run, event = uuid.uuid4(), uuid.uuid4()
    values = {"at": at, "began": at - 1_000_000_000, "trace": run.hex, "span": os.urandom(8).hex(), "event": event, "run": run}
    return (_EVENT % values).encode()
