"""Large protobuf requests, cut into small ones.

No call may hold the interpreter for long, and parsers hold it for a whole message. A run of whole fields of a message
is itself a message, so a request is cut between its records; each piece repeats the resource and scope above them.
All three signals have the same shape: field 1 of a request are its resources, field 2 of a resource its scopes,
field 2 of a scope its records.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from rota_collector.errors import Malformed

# Where a request is cut, by whoever reads it: a part of it that the check did not see must not be met afterwards.
PIECE_BYTES = 1 << 18  # JSON is parsed in about 2 ms, protobuf in 1

_RESOURCES, _INNER = 1, 2
_SCOPE, _NAME = 1, 1
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_TAG = 5  # bytes


def pieces(payload: bytes | bytearray, limit: int) -> Iterator[bytes | bytearray]:
    """Requests of about ``limit`` bytes that together hold what ``payload`` holds; a single record is never cut.

    Raises ``Malformed`` where the outer structure of a large payload is no protobuf.
    """
    if len(payload) <= limit:
        yield payload
        return
    request = memoryview(payload)
    for number, wire_type, _, body, end in _fields(request):
        if number == _RESOURCES and wire_type == _BYTES:
            yield from _of_resource(request[body:end], limit)


def _of_resource(resource: memoryview, limit: int) -> Iterator[bytes]:
    about_resource, scopes = _split(resource)
    for start, end in scopes:
        for _, _, _, body, _ in _fields(resource[start:end]):
            about_scope, records = _split(scope := resource[start + body : end])
            # What is repeated must stay small beside what is not, or a huge resource would be multiplied.
            room = max(limit, 4 * (len(about_resource) + len(about_scope)))
            for first, last in _runs(records, room):
                yield _field(_RESOURCES, about_resource + _field(_INNER, about_scope + bytes(scope[first:last])))
    if not scopes:
        yield _field(_RESOURCES, about_resource)


def scope_names(payload: bytes | bytearray) -> Iterator[bytes]:
    """The names of the scopes in a request, without a look at its records: encoders write a scope before them.

    Raises ``Malformed`` as ``pieces`` does.
    """
    request = memoryview(payload)
    for number, wire_type, _, body, end in _fields(request):
        if number == _RESOURCES and wire_type == _BYTES:
            resource = request[body:end]
            for inner, inner_type, _, start, stop in _fields(resource):
                if inner == _INNER and inner_type == _BYTES:
                    yield _name_of_scope(resource[start:stop])


def _name_of_scope(scope: memoryview) -> bytes:
    """The field ``name`` of the field ``scope``, if that is the first; empty otherwise."""
    number, wire_type, _, body, end = next(_fields(scope), (0, 0, 0, 0, 0))
    if number != _SCOPE or wire_type != _BYTES:
        return b""
    number, wire_type, _, start, stop = next(_fields(about := scope[body:end]), (0, 0, 0, 0, 0))
    return bytes(about[start:stop]) if number == _NAME and wire_type == _BYTES else b""


class _Places:
    """Where fields lie. Plain numbers: a request may have very many, and the garbage collector would walk over tuples."""

    def __init__(self) -> None:
        self._starts, self._ends = array("q"), array("q")

    def add(self, start: int, end: int) -> None:
        self._starts.append(start)
        self._ends.append(end)

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._ends, strict=True)


def _split(message: memoryview) -> tuple[bytes, _Places]:
    """(all other fields as they are, where each field 2 is with its tag)."""
    others, inner = [], _Places()
    for number, wire_type, start, _, end in _fields(message):
        if number == _INNER and wire_type == _BYTES:
            inner.add(start, end)
        else:
            others.append(message[start:end])
    return b"".join(others), inner


def _runs(records: _Places, room: int) -> Iterator[tuple[int, int]]:
    """Stretches of records that lie together and fill ``room``; an empty one when there is no record."""
    first = last = 0
    for start, end in records:
        if last > first and (start != last or end - first > room):
            yield first, last
            first = start
        elif last == first:
            first = start
        last = end
    yield first, last


def _fields(message: memoryview) -> Iterator[tuple[int, int, int, int, int]]:
    """(number, wire type, start, start of the body, end) of each field."""
    start, size = 0, len(message)
    while start < size:
        tag, body = _varint(message, start)
        if body - start > _LONGEST_TAG or tag >> 32:  # a parser would refuse it, and what is dropped here meets none
            raise Malformed(f"cannot decode protobuf: the tag at byte {start} of {size} is longer than 32 bits")
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
