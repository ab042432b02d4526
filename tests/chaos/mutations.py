"""Inputs for decoders: valid ones, and what becomes of them when somebody changes a little here and there."""

from __future__ import annotations

import functools
import gzip
import json
import random
import re
import zlib
from typing import Any

from chaos.shipments import shipment

_WORDS = (
    b"",
    b"null",
    b"{}",
    b"[]",
    b"-1",
    b"1e400",
    b'"',
    b"\\",
    b"\\ud800",
    b"\x00",
    b"\xff",
    b"NaN",
    b"18446744073709551616",
    b"true",
)
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|[-+.0-9A-Za-z]+')
_PINGS = (
    b"KEY",
    b"KEY/start",
    b"KEY/slug/255?rid=018f2f2e-0000-7000-8000-000000000000",
    b"KEY/s/fail?create=1&schedule=every%205m&tz=UTC",
)


class Inputs:
    """An endless, reproducible stream of inputs for each door."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def next(self, door: str) -> bytes:
        """One more."""
        data = bytearray(self._chance.choice(valid(door)))
        for _ in range(self._chance.choice((0, 1, 1, 1, 2, 3, 6))):
            self._mutate(data)
        return bytes(data)

    @classmethod
    def of(cls, data: bytes, seed: int) -> bytes:
        """A mutation of one input."""
        mutating, changed = cls.__new__(cls), bytearray(data)
        mutating._chance = random.Random(seed)
        mutating._mutate(changed)
        return bytes(changed)

    def _mutate(self, data: bytearray) -> None:
        chance = self._chance
        at, size = chance.randrange(len(data) + 1), min(len(data), chance.choice((1, 1, 2, 4, 8, 40)))
        kind = chance.randrange(8)
        if kind == 0:
            data[at : at + 1] = bytes((chance.randrange(256),))
        elif kind == 1:
            del data[at : at + size]
        elif kind == 2:
            data[at:at] = data[(start := chance.randrange(len(data) + 1)) : start + size]
        elif kind == 3:
            data[at : at + size] = chance.choice(_WORDS)
        elif kind == 4:
            data[at : at + size] = chance.randbytes(size)
        elif kind == 5 and data:
            data[at % len(data)] ^= 1 << chance.randrange(8)
        elif kind == 6:
            data[at:at] = _varint(chance.choice((0, 1, 127, 128, 2**31, 2**32 - 1, 2**63, 2**64 - 1)))
        else:
            _swap_tokens(data, chance)


def _swap_tokens(data: bytearray, chance: random.Random) -> None:
    """In JSON: one token becomes a copy of another."""
    found = [(token.start(), token.end()) for token in _TOKEN.finditer(data)]
    if len(found) > 1:
        (start, end), (first, last) = chance.choice(found), chance.choice(found)
        data[start:end] = bytes(data[first:last])


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


@functools.cache
def valid(door: str) -> list[bytes]:
    """Inputs that the door takes."""
    if door == "ping":
        return list(_PINGS)
    if door == "inflate":
        texts = [b"", b"a" * 500, bytes(range(256)), b"x" * 70_000]
        return [gzip.compress(text) for text in texts] + [
            zlib.compress(texts[2]),
            gzip.compress(b"1") * 2,
            zlib.compress(texts[1])[2:-4],
        ]
    kind, _, encoding = door.partition("_")
    if encoding == "pieces":
        kind, encoding = ("LOGS", "PROTO") if door == "proto_pieces" else ("TRACES", "JSON")
    signals = {"TRACES": ("traces",), "LOGS": ("logs", "runs"), "METRICS": ("metrics",)}[kind]
    sent = (shipment(number, 1) for number in range(320))
    found = [one for one in sent if one.signal in signals and one.door == encoding.lower()]
    return [zlib.decompress(one.body, 47) if one.is_gzip else one.body for one in found] + _ALWAYS.get((kind, encoding), [])


def _nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {"intValue": "1"}
    for level in range(depth):
        value = {"arrayValue": {"values": [value]}} if level % 2 else {"kvlistValue": {"values": [{"key": "k", "value": value}]}}
    return value


def _logs_with(value: dict[str, Any]) -> bytes:
    record = {"body": value, "attributes": [{"key": "a", "value": value}]}
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()


_ALWAYS = {("LOGS", "JSON"): [_logs_with(_nested(depth)) for depth in (20, 31, 32, 33, 47, 48, 49, 100)]}
