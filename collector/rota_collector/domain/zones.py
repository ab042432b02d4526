"""Time zones as stretches of a constant offset: the arithmetic of schedules then needs no datetime. Pure.

A transition is found once for each zone and year, by looking at every day's offset and halving the day in which it changed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

_DAY = 86_400
FIRST_YEAR, LAST_YEAR = 1971, 2199  # what ``datetime`` and every zone's rules can say without overflow


class Stretch(NamedTuple):
    """From ``start`` until ``end`` (Unix seconds) local time is ``offset`` seconds ahead of UTC; it was ``before`` until then."""

    start: int
    end: int
    offset: int
    before: int


@lru_cache(maxsize=4096)
def stretches(zone: str, year: int) -> tuple[Stretch, ...]:
    """The stretches of a UTC year, in order; the first begins with the year, the last ends with it. ``year``: 1971 to 2199."""
    info = ZoneInfo(zone)
    start, end = _new_year(year), _new_year(year + 1)
    found: list[Stretch] = []
    first, offset = start, _offset(info, start)
    before = _offset(info, start - 1)
    for day in range(start, end, _DAY):
        following = min(day + _DAY, end)
        while _offset(info, following - 1) != offset:
            at = _changes(info, max(day, first), following - 1, offset)
            found.append(Stretch(first, at, offset, before))
            first, before, offset = at, offset, _offset(info, at)
    found.append(Stretch(first, end, offset, before))
    return tuple(found)


def year_of(at: int) -> int:
    """The UTC year of a Unix time in seconds."""
    return datetime.fromtimestamp(at, UTC).year


def _changes(info: ZoneInfo, low: int, high: int, offset: int) -> int:
    """The first second after ``low`` at which the offset is no longer ``offset``; at ``high`` it is not."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(info, middle) == offset else (low, middle)
    return high


def _offset(info: ZoneInfo, at: int) -> int:
    found = datetime.fromtimestamp(at, info).utcoffset()
    assert found is not None
    return round(found.total_seconds())


def _new_year(year: int) -> int:
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
