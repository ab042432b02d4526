"""OTLP requests as protobuf messages, and the same as OTLP-JSON, for tests of what receives and decodes them."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from rota_collector.journal import Record, Signal

T0 = 1_790_000_000_000_000_000
TRACE = bytes.fromhex("0189f0c0a1b27c3d8e4f5a6b7c8d9e0f")
RUN = "0189f0c0-a1b2-7c3d-8e4f-5a6b7c8d9e0f"

Attributes = Mapping[str, Any] | Sequence[tuple[str, Any]]


def value(data: Any) -> AnyValue:
    """A Python value as AnyValue; dicts and lists of pairs in a tuple are maps, None is the empty value."""
    match data:
        case None:
            return AnyValue()
        case bool():
            return AnyValue(bool_value=data)
        case int():
            return AnyValue(int_value=data)
        case float():
            return AnyValue(double_value=data)
        case str():
            return AnyValue(string_value=data)
        case bytes():
            return AnyValue(bytes_value=data)
        case list():
            return AnyValue(array_value=ArrayValue(values=[value(item) for item in data]))
    return AnyValue(kvlist_value=KeyValueList(values=attributes(data)))


def attributes(pairs: Attributes) -> list[KeyValue]:
    """Attributes in their order, duplicates included."""
    items = pairs.items() if isinstance(pairs, Mapping) else pairs
    return [KeyValue(key=key, value=value(item)) for key, item in items]


def span(number: int = 1, about: Attributes = (), **fields: Any) -> Span:
    """Span ``number`` of the trace, one second after T0 for each."""
    started = T0 + number * 10**9
    defaults: dict[str, Any] = {
        "trace_id": TRACE,
        "span_id": number.to_bytes(8, "big"),
        "name": f"span {number}",
        "kind": 1,
        "start_time_unix_nano": started,
        "end_time_unix_nano": started + 5 * 10**6,
        "attributes": attributes(about),
    }
    return Span(**defaults | fields)


def log(number: int = 1, about: Attributes = (), **fields: Any) -> LogRecord:
    """Log record ``number``, one second after T0 for each."""
    defaults: dict[str, Any] = {"time_unix_nano": T0 + number * 10**9, "severity_number": 9, "attributes": attributes(about)}
    return LogRecord(**defaults | fields)


def traces(*spans: Span, resource: Attributes = (), scope: Attributes = ()) -> ExportTraceServiceRequest:
    """One resource, one scope, these spans."""
    request = ExportTraceServiceRequest()
    above = request.resource_spans.add()
    above.resource.attributes.extend(attributes(resource))
    inner = above.scope_spans.add()
    inner.scope.name = "tests"
    inner.scope.attributes.extend(attributes(scope))
    inner.spans.extend(spans)
    return request


def logs(*records: LogRecord, resource: Attributes = (), scope: Attributes = ()) -> ExportLogsServiceRequest:
    """One resource, one scope, these log records."""
    request = ExportLogsServiceRequest()
    above = request.resource_logs.add()
    above.resource.attributes.extend(attributes(resource))
    inner = above.scope_logs.add()
    inner.scope.name = "tests"
    inner.scope.attributes.extend(attributes(scope))
    inner.log_records.extend(records)
    return request


def record(message: Message | bytes, signal: Signal, offset: int = 0, received_ns: int = T0) -> Record:
    """A request as the journal gives it back; protobuf signals take a message, JSON ones too."""
    if isinstance(message, bytes):
        payload = message
    else:
        payload = to_json(message) if signal.name.endswith("JSON") else message.SerializeToString()
    return Record(offset, offset + 1, signal, received_ns, payload)


def to_json(message: Message) -> bytes:
    """OTLP-JSON of a request, written field by field after the specification and not with the code under test."""
    return json.dumps(_json(message)).encode()


def _json(message: Any) -> dict[str, Any]:
    return {field.json_name: _json_field(field, content) for field, content in message.ListFields()}


def _json_field(field: Any, content: Any) -> Any:
    if field.is_repeated:
        return [_json_scalar(field, item) for item in content]
    return _json_scalar(field, content)


def _json_scalar(field: Any, content: Any) -> Any:
    if field.type == field.TYPE_MESSAGE:
        return _json(content)
    if field.name in ("trace_id", "span_id", "parent_span_id"):
        return content.hex()
    if isinstance(content, bytes):
        return base64.b64encode(content).decode()
    if isinstance(content, float) and not math.isfinite(content):
        return "NaN" if math.isnan(content) else "Infinity" if content > 0 else "-Infinity"
    if field.type in (field.TYPE_FIXED64, field.TYPE_INT64, field.TYPE_SFIXED64, field.TYPE_UINT64):
        return str(content)
    return content


def as_protobuf(given: Any, message: Any) -> Any:
    """What the OTLP-JSON means: ids are hex there, where protobuf's own JSON has base64. Raises for a field that OTLP has not."""
    return ParseDict(_with_base64_ids(given), message)


def _with_base64_ids(given: Any) -> Any:
    if isinstance(given, list):
        return [_with_base64_ids(item) for item in given]
    if not isinstance(given, dict):
        return given
    ids = ("traceId", "spanId", "parentSpanId")
    return {k: base64.b64encode(bytes.fromhex(v)).decode() if k in ids else _with_base64_ids(v) for k, v in given.items()}
