"""A record on disk: a header and the payload, found again also behind damage.

The checksum covers the record's offset too: what looks like a record inside somebody's payload, or was left over at
another place, is not one.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from struct import Struct
from typing import NamedTuple

MAGIC = b"\xf5rJ\x01"  # \xf5 never occurs in UTF-8: no text looks like a record
HEADER = Struct("<4sIIBxxxQ")  # magic, crc32 of the offset and all that follows, payload length, signal, received_ns
_READ_AHEAD = 1 << 18


class Signal(IntEnum):
    """What a payload is: one OTLP export request, as sent (decompressed)."""

    TRACES_PROTO = 1
    TRACES_JSON = 2
    LOGS_PROTO = 3
    LOGS_JSON = 4
    METRICS_PROTO = 5
    METRICS_JSON = 6


_SIGNALS = {int(signal): signal for signal in Signal}


class Record(NamedTuple):
    """One accepted request. ``next_offset`` is the cursor of whoever has dealt with it."""

    offset: int
    next_offset: int
    signal: Signal
    received_ns: int
    payload: bytes


class Segment(NamedTuple):
    """A file of the journal, and the offset of its first byte."""

    first: int
    path: Path


def header(offset: int, signal: Signal, received_ns: int, payload: bytes | bytearray) -> bytes:
    """The bytes that go before a payload that is written at ``offset``."""
    head = HEADER.pack(MAGIC, 0, len(payload), signal, received_ns)
    return MAGIC + _crc(offset, head, payload).to_bytes(4, "little") + head[8:]


def records(segment: Segment, offset: int, stop: int, damage: dict[int, int]) -> Iterator[Record]:
    """The whole records of a segment in ``[offset, stop)``; what is skipped is noted in ``damage`` (offset -> bytes)."""
    with _Window(segment) as window:
        while offset < stop:
            record = _next_record(window, offset, stop)
            found = record.offset if record else stop
            if found > offset:
                damage[offset] = found - offset
            if record is None:
                return
            yield record
            offset = record.next_offset


class _Window:
    """Reads a segment in large steps, so that small records cost no system call each."""

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        self._data, self._start = b"", 0

    def __enter__(self) -> _Window:
        self._fd = os.open(self._segment.path, os.O_RDONLY | os.O_CLOEXEC)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def get(self, offset: int, size: int) -> bytes:
        """``size`` bytes at ``offset``; fewer at the end of the file."""
        at = offset - self._start
        if at < 0 or at + size > len(self._data):
            self._data, self._start, at = os.pread(self._fd, max(size, _READ_AHEAD), offset - self._segment.first), offset, 0
        return self._data[at : at + size]

    def find(self, wanted: bytes, offset: int, stop: int) -> int:
        """Where ``wanted`` comes next, or -1."""
        while offset < stop:
            block = self.get(offset, _READ_AHEAD)
            at = block.find(wanted)
            if at >= 0:
                return offset + at
            if len(block) < _READ_AHEAD:
                return -1
            offset += len(block) - len(wanted) + 1
        return -1


def _next_record(window: _Window, offset: int, stop: int) -> Record | None:
    """The first whole record at or after ``offset`` that ends by ``stop``."""
    while 0 <= offset < stop:
        record = _record_at(window, offset, stop)
        if record is not None:
            return record
        offset = window.find(MAGIC, offset + 1, stop)
    return None


def _record_at(window: _Window, offset: int, stop: int) -> Record | None:
    head = window.get(offset, HEADER.size)
    if len(head) < HEADER.size or not head.startswith(MAGIC):
        return None
    _, crc, length, number, received_ns = HEADER.unpack(head)
    signal = _SIGNALS.get(number)
    next_offset = offset + HEADER.size + length
    if next_offset > stop or signal is None:
        return None
    payload = window.get(offset + HEADER.size, length)
    if len(payload) < length or _crc(offset, head, payload) != crc:
        return None
    return Record(offset, next_offset, signal, received_ns, payload)


def _crc(offset: int, head: bytes, payload: bytes | bytearray) -> int:
    return zlib.crc32(payload, zlib.crc32(head[8:], zlib.crc32(offset.to_bytes(8, "little"))))
