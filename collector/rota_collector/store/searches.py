"""Logs and spans of any runs, by their time, the last first, a page at a time.

A page reads a short stretch of time before its end, and longer ones as long as it is not full: what was told last is found
in milliseconds, however much is stored. The cursor is a time, and how many of the rows of that time were shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from rota_collector.errors import BadCursor
from rota_collector.store.control_queries import encode, page_parts

_FIRST_STRETCH_NS, _LONGER = 600 * 10**9, 12


class Search(NamedTuple):
    """Which logs or spans. Times are Unix ns; None: any."""

    since_ns: int  # inclusive
    until_ns: int  # exclusive
    workflow: str | None = None
    pattern: str | None = None  # of its name
    text: str | None = None  # in what was said, or the attributes, whatever its case


def page(
    read: Callable[[Mapping[str, Any]], pa.Table], time: str, search: Search, after: str | None, limit: int
) -> tuple[pa.Table, str | None]:
    """One page, and the cursor of the one after it. ``read`` answers a query in which ``time`` is the column of Unix ns.

    Raises BadCursor.
    """
    end, skip = (search.until_ns, 0) if after is None else page_parts(after, int, int)
    if skip < 0:
        raise BadCursor(f"cursor {after!r} begins before the first row of its time: leave it out to start from the first page")
    first_end, first_skip, parts, missing = end, skip, [], limit + 1
    for since, until in _stretches(search.since_ns, min(end, search.until_ns)):
        parts.append(read(_given(search, since_ns=since, until_ns=until, limit=missing, skip=skip)))
        missing -= parts[-1].num_rows
        skip = 0
        if missing <= 0:
            break
    if not parts:
        parts = [read(_given(search, limit=0, skip=0))]
    rows = pa.concat_tables(parts)
    if rows.num_rows <= limit:
        return rows, None
    shown = rows.slice(0, limit)
    return shown, encode(*_after(shown.column(time).to_pylist(), first_end, first_skip))


def _given(search: Search, **more: int) -> dict[str, Any]:
    pattern = None if search.pattern is None else _spelled(search.pattern)
    return {**search._asdict(), "pattern": pattern, **more}


def _spelled(pattern: str) -> str:
    """A pattern of ``*`` and ``?`` for DuckDB's GLOB; brackets and backslashes are letters like others."""
    return pattern.replace("\\", "\\\\").replace("[", "[[]")


def _after(times: list[int], end: int, skip: int) -> tuple[int, int]:
    """What comes after rows of these times: the end of the time still to be read, and how many of its last ns were shown."""
    last = times[-1]
    shown = next((i for i, at in enumerate(reversed(times)) if at != last), len(times))
    return last + 1, shown + (skip if last + 1 == end else 0)


def _stretches(since: int, until: int) -> Iterator[tuple[int, int]]:
    """[since, until) in stretches, the last first, each longer than the one before it."""
    length = _FIRST_STRETCH_NS
    while until > since:
        start = max(since, until - length)
        yield start, until
        until, length = start, length * _LONGER
