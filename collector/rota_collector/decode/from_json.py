"""OTLP-JSON messages → protobuf bytes, so that everything behind has one encoding to read.

How a message is written is taken from its protobuf descriptor once, at import. Attributes are nearly all there is to
write, so they have a way of their own.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from rota_collector.decode import otlp_json
from rota_collector.decode.json_pieces import PATHS, json_pieces
from rota_collector.decode.pieces import PIECE_BYTES
from rota_collector.journal import Signal

_MAX_UINT64 = 2**64 - 1

Write = Callable[[Any], bytes]


class Dialect(NamedTuple):
    """How one JSON signal is decoded and encoded again."""

    request: Any
    path: tuple[str, str, str]
    write: Write


def to_protobuf(signal: Signal, payload: bytes | bytearray) -> Iterator[bytes]:
    """The payload of a JSON signal as protobuf requests (several when it is large). Raises ``Malformed``."""
    dialect = DIALECTS[signal]
    for piece in json_pieces(payload, dialect.path, PIECE_BYTES):
        yield dialect.write(otlp_json.decode(dialect.request, piece))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_SHORT = tuple(_varint(n) for n in range(1 << 14))  # the lengths that nearly everything has


def _length(n: int) -> bytes:
    return _SHORT[n] if n < 1 << 14 else _varint(n)


def _delimited(tag: bytes, body: bytes) -> bytes:
    return tag + _length(len(body)) + body


@lru_cache(maxsize=4096)
def _key(text: str) -> bytes:
    return _delimited(b"\x0a", text.encode())


def _attribute(attribute: otlp_json.KeyValue) -> bytes:
    """The fields of a KeyValue."""
    key, value = attribute.key or "", attribute.value
    written = _key(key) if len(key) < 100 else _delimited(b"\x0a", key.encode())
    return written if value is None else written + _delimited(b"\x12", _any_value(value))


def _any_value(value: otlp_json.AnyValue) -> bytes:
    """The fields of an AnyValue; of several, protobuf keeps the last."""
    out = b""
    if value.string_value is not None:
        out = _delimited(b"\x0a", value.string_value.encode())
    if value.bool_value is not None:
        out += b"\x10\x01" if value.bool_value else b"\x10\x00"
    if value.int_value is not None:
        out += b"\x18" + _varint(value.int_value & _MAX_UINT64)
    if value.double_value is not None:
        out += b"\x21" + struct.pack("<d", value.double_value)
    if value.array_value is not None:
        out += _delimited(b"\x2a", b"".join(_delimited(b"\x0a", _any_value(item)) for item in value.array_value.values or ()))
    if value.kvlist_value is not None:
        out += _delimited(b"\x32", b"".join(_delimited(b"\x0a", _attribute(item)) for item in value.kvlist_value.values or ()))
    if value.bytes_value is not None:
        out += _delimited(b"\x3a", value.bytes_value)
    return out


def _message(descriptor: Descriptor) -> Write:
    """Writes the fields of one kind of message from the struct of the same shape."""
    if descriptor.name == "AnyValue":
        return _any_value
    if descriptor.name == "KeyValue":
        return _attribute
    fields = [(field.name, _field(field)) for field in descriptor.fields if field.name not in _UNUSED]

    def write(message: object) -> bytes:
        return b"".join([write(value) for name, write in fields if (value := getattr(message, name)) is not None])

    return write


# Fields of newer protobuf definitions that OTLP-JSON senders do not use: they are ignored like unknown names.
_UNUSED = ("entity_refs", "key_strindex", "string_value_strindex")
_VARINTS = (
    FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT32,
    FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_ENUM, FieldDescriptor.TYPE_BOOL,
)  # fmt: skip
_PACKED: dict[int, Write] = {
    FieldDescriptor.TYPE_DOUBLE: lambda value: struct.pack("<d", value),
    FieldDescriptor.TYPE_FIXED64: lambda value: struct.pack("<Q", min(value, _MAX_UINT64)),
    FieldDescriptor.TYPE_SFIXED64: lambda value: struct.pack("<q", value),
    FieldDescriptor.TYPE_FIXED32: lambda value: struct.pack("<I", value),
    FieldDescriptor.TYPE_SINT32: lambda value: _varint((value << 1 ^ value >> 31) & 0xFFFFFFFF),
} | {kind: lambda value: _varint(min(value, _MAX_UINT64) & _MAX_UINT64) for kind in _VARINTS}
_WIRE_TYPES = {  # all others are varints
    FieldDescriptor.TYPE_DOUBLE: 1, FieldDescriptor.TYPE_FIXED64: 1,
    FieldDescriptor.TYPE_SFIXED64: 1, FieldDescriptor.TYPE_FIXED32: 5,
}  # fmt: skip


def _field(field: FieldDescriptor) -> Write:
    """Writes one field, with its tag, from a value that is there."""
    inner = _body(field)
    if inner is not None:
        tag = _varint(field.number << 3 | 2)
        if field.is_repeated:
            return lambda values: b"".join([_delimited(tag, inner(value)) for value in values])
        return lambda value: _delimited(tag, inner(value))
    scalar = _PACKED[field.type]
    if field.is_repeated:
        tag = _varint(field.number << 3 | 2)
        return lambda values: _delimited(tag, b"".join([scalar(value) for value in values]))
    tag = _varint(field.number << 3 | _WIRE_TYPES.get(field.type, 0))
    return lambda value: tag + scalar(value)


def _body(field: FieldDescriptor) -> Write | None:
    """What goes behind the length of a delimited field; None for numbers."""
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return _message(field.message_type)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return otlp_json.unhex  # ids; a bytes value is written by _any_value
    if field.type == FieldDescriptor.TYPE_STRING:
        return str.encode
    return None


DIALECTS = {
    Signal.TRACES_JSON: Dialect(otlp_json.TraceRequest, PATHS["traces"], _message(ExportTraceServiceRequest.DESCRIPTOR)),
    Signal.LOGS_JSON: Dialect(otlp_json.LogsRequest, PATHS["logs"], _message(ExportLogsServiceRequest.DESCRIPTOR)),
    Signal.METRICS_JSON: Dialect(otlp_json.MetricsRequest, PATHS["metrics"], _message(ExportMetricsServiceRequest.DESCRIPTOR)),
}
