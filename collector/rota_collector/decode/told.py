"""Requests of log records → the records of one name, with what stands above them. Read one by one: few of all records are events.

Records of both encodings have the same field names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from rota_collector.decode import otlp_json
from rota_collector.decode.json_pieces import PATHS, json_pieces
from rota_collector.decode.pieces import PIECE_BYTES, pieces
from rota_collector.decode.scalars import LAST_NS, MOST_CHARACTERS
from rota_collector.journal import Record, Signal

_ESCAPED = b"\\u00"  # JSON may spell any character of the name this way

Attributes = Mapping[str, Any]


class Told(NamedTuple):
    """One record: its own attributes, those of scope and resource, its time in Unix ns, and its ids in hex, None without."""

    own: Attributes
    above: Attributes
    at_ns: int
    trace_id: str | None
    span_id: str | None


class _Reader(NamedTuple):
    """How the requests of one encoding are read."""

    requests: Callable[[bytes], Iterator[Any]]
    value: Callable[[Any], Any]
    id_hex: Callable[[Any], str]


def may_hold(record: Record, name: bytes) -> bool:
    """Whether a request may have events of that name: seen without decoding it."""
    if record.signal == Signal.LOGS_PROTO:
        return name in record.payload
    return record.signal == Signal.LOGS_JSON and (name in record.payload or _ESCAPED in record.payload)


def named(record: Record, name: str) -> Iterator[Told]:
    """The log records of a request that are events of that name."""
    reader = _JSON if record.signal == Signal.LOGS_JSON else _PROTOBUF
    for request in reader.requests(record.payload):
        for resource, scope, log in _logs(request, name):
            above = _cut(_attributes(reader, resource.resource) | _attributes(reader, scope.scope))
            at_ns = min(log.time_unix_nano or log.observed_time_unix_nano or record.received_ns, LAST_NS)
            trace_id, span_id = _id(reader.id_hex(log.trace_id), 32), _id(reader.id_hex(log.span_id), 16)
            yield Told(_attributes(reader, log), above, at_ns, trace_id, span_id)


def text(attributes: Attributes, name: str) -> str | None:
    """A text that is not empty; None for anything else."""
    value = attributes.get(name)
    return value if isinstance(value, str) and value else None


def texts(attributes: Attributes, name: str) -> tuple[str, ...]:
    """Those of a list."""
    values = attributes.get(name)
    return tuple(value for value in values if isinstance(value, str)) if isinstance(values, list) else ()


def integer(attributes: Attributes, name: str, most: int) -> int | None:
    """A number that a store can keep; None for anything else."""
    value = attributes.get(name)
    try:
        number = int(value) if isinstance(value, (int, str)) else None
    except ValueError:
        return None
    return number if number is not None and -most <= number <= most else None


def _logs(request: Any, name: str) -> Iterator[tuple[Any, Any, Any]]:
    for resource in request.resource_logs or ():
        for scope in resource.scope_logs or ():
            for log in scope.log_records or ():
                if log.event_name == name:
                    yield resource, scope, log


def _attributes(reader: _Reader, message: Any) -> dict[str, Any]:
    """Python values by name; of duplicates the first, as everywhere."""
    if message is None:
        return {}
    return {item.key: reader.value(item.value) for item in reversed(message.attributes or ()) if item.value is not None}


def _cut(above: Attributes) -> Attributes:
    """What stands above is repeated in each event below: long texts of it are cut, as they are for all records."""
    return {name: value[:MOST_CHARACTERS] if isinstance(value, str) else value for name, value in above.items()}


def _id(text: str, digits: int) -> str | None:
    return text if len(text) == digits and text.strip("0") else None


def _struct_value(value: otlp_json.AnyValue) -> Any:
    if value.string_value is not None:
        return value.string_value
    if value.int_value is not None:
        return value.int_value
    return _struct_items(value.array_value)


def _struct_items(array: otlp_json.ArrayValue | None) -> list[Any] | None:
    return None if array is None else [_struct_value(item) for item in array.values or ()]


def _message_value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_message_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind in ("string_value", "int_value") else None


def _json_requests(payload: bytes) -> Iterator[otlp_json.LogsRequest]:
    return _each(lambda piece: otlp_json.decode(otlp_json.LogsRequest, piece), json_pieces(payload, PATHS["logs"], PIECE_BYTES))


def _protobuf_requests(payload: bytes) -> Iterator[Any]:
    return _each(lambda piece: ExportLogsServiceRequest.FromString(bytes(piece)), pieces(payload, PIECE_BYTES))


def _each(decode: Callable[[Any], Any], payloads: Iterable[Any]) -> Iterator[Any]:
    return (decode(piece) for piece in payloads)


_JSON = _Reader(_json_requests, _struct_value, lambda text: otlp_json.unhex(text).hex())
_PROTOBUF = _Reader(_protobuf_requests, _message_value, bytes.hex)
