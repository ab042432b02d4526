"""Large protobuf requests, cut into small ones.

No call may hold the interpreter for long, and parsers hold it for a whole message. A run of whole fields of a message
is itself a message, so a request is cut between its records; each piece repeats the resource and scope above them.
All three signals have the same shape: field 1 of a request are its resources, field 2 of a resource its scopes,
field 2 of a scope its records.
"""

from __future__ import annotations

from collections.abc import Iterator

from rota_collector.errors import Malformed

_RESOURCES, _INNER = 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def pieces(payload: bytes | bytearray, limit: int) -> Iterator[bytes | bytearray]:
    """Requests of about ``limit`` bytes that together hold what ``payload`` holds; a single record is never cut.

    Raises ``Malformed`` where the outer structure of a large payload is no protobuf.
    """
    if len(payload) <= limit:
        yield payload
        return
    for resource in _items(memoryview(payload), _RESOURCES):
        about_resource, scopes = _split(resource)
        for scope in scopes:
            about_scope, records = _split(scope)
            # What is repeated must stay small beside what is not, or a huge resource would be multiplied.
            room = max(limit, 4 * (len(about_resource) + len(about_scope)))
            for run in _runs(records, room) if records else [b""]:
                yield _field(_RESOURCES, about_resource + _field(_INNER, about_scope + run))
        if not scopes:
            yield _field(_RESOURCES, about_resource)


def _split(message: memoryview) -> tuple[bytes, list[memoryview]]:
    """(all other fields as they are, the bodies of field 2)."""
    others, inner = [], []
    for number, wire_type, start, body, end in _fields(message):
        if number == _INNER and wire_type == _BYTES:
            inner.append(message[body:end])
        else:
            others.append(message[start:end])
    return b"".join(others), inner


def _items(message: memoryview, wanted: int) -> Iterator[memoryview]:
    return (message[body:end] for number, wire_type, _, body, end in _fields(message) if number == wanted and wire_type == _BYTES)


def _runs(records: list[memoryview], room: int) -> Iterator[bytes]:
    """Records as fields, joined until they fill ``room``."""
    run: list[bytes | memoryview] = []
    size = 0
    for record in records:
        if run and size + len(record) > room:
            yield b"".join(run)
            run, size = [], 0
        run += (_prefix(_INNER, len(record)), record)
        size += len(record)
    yield b"".join(run)


def _fields(message: memoryview) -> Iterator[tuple[int, int, int, int, int]]:
    """(number, wire type, start, start of the body, end) of each field."""
    start, size = 0, len(message)
    while start < size:
        tag, body = _varint(message, start)
        wire_type = tag & 7
        if wire_type == _BYTES:
            length, body = _varint(message, body)
            end = body + length
        elif wire_type == _VARINT:
            _, end = _varint(message, body)
        elif wire_type in (_FIXED64, _FIXED32):
            end = body + (8 if wire_type == _FIXED64 else 4)
        else:
            raise Malformed(f"cannot decode protobuf: wire type {wire_type} at byte {start} of {size}")
        if end > size or not tag >> 3:
            raise Malformed(f"cannot decode protobuf: the field at byte {start} does not fit into {size} bytes")
        yield tag >> 3, wire_type, start, body, end
        start = end


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    for at in range(at, min(at + 10, len(message))):  # noqa: B020, PLR1704 - the position is what moves
        byte = message[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
        shift += 7
    raise Malformed(f"cannot decode protobuf: a number that begins near byte {at} of {len(message)} does not end")


def _prefix(number: int, length: int) -> bytes:
    out = bytearray((number << 3 | _BYTES,))
    while length >= 0x80:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    out.append(length)
    return bytes(out)


def _field(number: int, body: bytes) -> bytes:
    return _prefix(number, len(body)) + body
