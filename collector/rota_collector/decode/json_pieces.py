"""Large OTLP-JSON requests, cut into small ones: ``pieces`` for JSON.

One pass over brackets and strings, token by token so that other threads get their turn, notes where each record ends;
then only the path to the records is looked at. The pieces are validated by whoever decodes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from rota_collector.errors import Malformed

_SPACE = re.compile(rb"[ \t\r\n]*+")
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_SCALAR = re.compile(rb"[-+.0-9A-Za-z]++")
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)
_RECORD_DEPTH = 7  # { [ resource { [ scope { [ record {

Path = tuple[str, str, str]
PATHS: dict[str, Path] = {
    "traces": ("resourceSpans", "scopeSpans", "spans"),
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
    "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
}


def json_pieces(payload: bytes | bytearray, path: Path, limit: int) -> Iterator[bytes | bytearray]:
    """Requests of about ``limit`` bytes that together hold what ``payload`` holds; a single record is never cut.

    ``path`` names the three arrays that lead to the records. Raises ``Malformed`` where the structure along it is no JSON.
    """
    if len(payload) <= limit:
        yield payload
        return
    text = _Text(payload)
    resources, scopes, records = (name.encode() for name in path)
    for resource in text.elements(text.top(path[0])):
        about_resource, inner = text.members(resource[0], path[1])
        empty = True
        for scope in text.elements(inner):
            about_scope, array = text.members(scope[0], path[2])
            # What is repeated must stay small beside what is not, or a huge resource would be multiplied.
            room = max(limit, 4 * (len(about_resource) + len(about_scope)))
            for run in _runs(payload, text.elements(array), room):
                empty = False
                yield b'{"%s":[{%s"%s":[{%s"%s":[%s]}]}]}' % (resources, about_resource, scopes, about_scope, records, run)
        if empty:
            yield b'{"%s":[{%s"%s":null}]}' % (resources, about_resource, scopes)


def _runs(data: bytes | bytearray, elements: Iterator[tuple[int, int]], room: int) -> Iterator[bytes]:
    """Elements joined until they fill ``room``; one empty run when there is none."""
    run: list[bytes] = []
    size = 0
    for start, end in elements:
        if run and size + end - start > room:
            yield b",".join(run)
            run, size = [], 0
        run.append(bytes(data[start:end]))
        size += end - start
    yield b",".join(run)


class _Text:
    """A JSON text and the ends of its outer objects and arrays."""

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = data
        self._ends: dict[int, int] = {}
        opened: list[int] = []
        for token in _TOKEN.finditer(data):
            bracket = token[0]
            if bracket in (b"{", b"["):
                opened.append(token.start())
            elif bracket in (b"}", b"]"):
                if not opened:
                    raise self._malformed(token.start(), "no closing bracket")
                start = opened.pop()
                if len(opened) < _RECORD_DEPTH:
                    self._ends[start] = token.end()

    def top(self, wanted: str) -> int:
        """Where the value of ``wanted`` begins in the only object of the text, or -1."""
        start = self._blank(0)
        value = self.members(start, wanted)[1]
        if self._blank(self._ends[start]) != len(self._data):
            raise self._malformed(self._ends[start], "the end")
        return value

    def members(self, at: int, wanted: str) -> tuple[bytes, int]:
        """(the other members of an object as text that ends in a comma, where the value of ``wanted`` begins or -1)."""
        self._expect(at, b"{")
        others, value = [], -1
        at = self._blank(at + 1)
        while self._byte(at) != b"}":
            start, end = at, self._match(_STRING, at, "a string")
            colon = self._blank(end)
            self._expect(colon, b":")
            begin = self._blank(colon + 1)
            after = self._skip(begin)
            if self._name(start, end) == wanted:
                value = begin
            else:
                others.append(bytes(self._data[start:after]) + b",")
            at = self._next(after, b"}")
        return b"".join(others), value

    def _name(self, start: int, end: int) -> str:
        try:
            return str(json.loads(self._data[start:end]))
        except ValueError:
            raise self._malformed(start, "a name") from None

    def elements(self, at: int) -> Iterator[tuple[int, int]]:
        """(start, end) of each element of the array at ``at``; none for null, or when it is not there."""
        if at < 0 or self._data[at : at + 4] == b"null":
            return
        self._expect(at, b"[")
        at = self._blank(at + 1)
        while self._byte(at) != b"]":
            end = self._skip(at)
            yield at, end
            at = self._next(end, b"]")

    def _next(self, at: int, closing: bytes) -> int:
        """Where the next member begins, or the closing bracket stands."""
        at = self._blank(at)
        if self._byte(at) == closing:
            return at
        self._expect(at, b",")
        at = self._blank(at + 1)
        if self._byte(at) == closing:
            raise self._malformed(at, "a value")
        return at

    def _skip(self, at: int) -> int:
        """The end of the value that begins at ``at``."""
        first = self._byte(at)
        if first in (b"{", b"["):
            if at not in self._ends:
                raise self._malformed(len(self._data), "a closing bracket")
            return self._ends[at]
        return self._match(_STRING if first == b'"' else _SCALAR, at, "a value")

    def _match(self, pattern: re.Pattern[bytes], at: int, wanted: str) -> int:
        match = pattern.match(self._data, at)
        if match is None:
            raise self._malformed(at, wanted)
        return match.end()

    def _blank(self, at: int) -> int:
        return self._match(_SPACE, at, "")

    def _byte(self, at: int) -> bytes:
        return bytes(self._data[at : at + 1])

    def _expect(self, at: int, wanted: bytes) -> None:
        if self._byte(at) != wanted:
            raise self._malformed(at, f"'{wanted.decode()}'")

    def _malformed(self, at: int, wanted: str) -> Malformed:
        return Malformed(f"cannot decode OTLP-JSON: expected {wanted} at byte {at} of {len(self._data)}")
