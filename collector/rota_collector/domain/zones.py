"""Time zones as stretches of a constant offset: the arithmetic of schedules then needs no datetime. Pure.

A zone's transitions are found once for each span of about a year, by looking at every day's offset and halving the day in
which it changed. (No zone changed twice within a day since 1970.)
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

_DAY = 86_400
SPAN = 388 * _DAY  # seconds; how much of a zone is looked at in one go
END = 7_258_118_400  # 2200, in Unix seconds: beyond, no schedule has occurrences


class Stretch(NamedTuple):
    """From ``start`` until ``end`` (Unix seconds) local time is ``offset`` seconds ahead of UTC; at ``start`` it jumped."""

    start: int
    end: int
    offset: int
    jump: int  # by so many seconds; 0: nothing changed, we only began to look there


@lru_cache(maxsize=8192)
def stretches(zone: str, span: int) -> tuple[Stretch, ...]:
    """The stretches of the ``span``-th ``SPAN`` since 1970, in order, and of the day before: a jump has effects for hours."""
    info = ZoneInfo(zone)
    start, end = span * SPAN - _DAY, (span + 1) * SPAN
    offset, jump = _offset(info, start), 0
    found: list[Stretch] = []
    for day in range(start, end, _DAY):
        last = min(day + _DAY, end - 1)
        following = _offset(info, last)
        if following != offset:
            at = _changes(info, day, last, offset)
            found.append(Stretch(start, at, offset, jump))
            start, offset, jump = at, following, following - offset
    found.append(Stretch(start, end, offset, jump))
    return tuple(found)


def _changes(info: ZoneInfo, low: int, high: int, offset: int) -> int:
    """The first second after ``low`` at which the offset is no longer ``offset``; at ``high`` it is not."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(info, middle) == offset else (low, middle)
    return high


def _offset(info: ZoneInfo, at: int) -> int:
    found = datetime.fromtimestamp(at, info).utcoffset()
    assert found is not None
    return found.days * _DAY + found.seconds
