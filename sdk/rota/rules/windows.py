"""Stretches of the week or of the calendar, as people write them: ``Mon..Fri 08:00-18:00``, ``Sat,Sun``, ``22:00-06:00``,
``2026-12-24..2026-12-26``.

Pure, on local time without a zone: whoever asks knows the zone. A stretch past midnight is of the day that it begins on.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Sequence

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_TIMES = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])-([01]?[0-9]|2[0-4]):([0-5][0-9])")
_DATES = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:\.\.([0-9]{4}-[0-9]{2}-[0-9]{2}))?")
_WHOLE_DAY = 24 * 60
_LOOK_AHEAD_DAYS = 400


class Window(NamedTuple):
    """One stretch: on these days of the week (0: Monday), between these dates, from minute ``start`` of the day until ``end``."""

    days: frozenset[int] = frozenset(range(7))
    first: date = date.min
    last: date = date.max
    start: int = 0
    end: int = _WHOLE_DAY  # up to ``start`` or before it: of the day after


def parse(text: str) -> Window:
    """``text`` as a window. Raises ValueError, which says what was not understood."""
    window = Window()
    for word in text.split():
        window = _with(window, word, text)
    if not text.split():
        raise ValueError("an empty text is no window: write it like Mon..Fri 08:00-18:00")
    return window


def allows(only: Sequence[Window], never: Sequence[Window], local: datetime) -> bool:
    """Whether ``local`` is in one of ``only`` (if there are any) and in none of ``never``."""
    return (not only or any(_contains(each, local) for each in only)) and not any(_contains(each, local) for each in never)


def next_allowed(only: Sequence[Window], never: Sequence[Window], local: datetime) -> datetime | None:
    """The first minute from ``local`` on that is allowed; None when there is none within 400 days."""
    if allows(only, never, local):
        return local
    edges = sorted({0, *(edge % _WHOLE_DAY for each in (*only, *never) for edge in (each.start, each.end))})
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    for day in range(_LOOK_AHEAD_DAYS):
        for edge in edges:
            moment = midnight + timedelta(days=day, minutes=edge)
            if moment > local and allows(only, never, moment):
                return moment
    return None


def _contains(window: Window, local: datetime) -> bool:
    minute = local.hour * 60 + local.minute
    if window.start < window.end:
        return _is_on(window, local.date()) and window.start <= minute < window.end
    began_today = minute >= window.start and _is_on(window, local.date())
    return began_today or (minute < window.end and _is_on(window, local.date() - timedelta(days=1)))


def _is_on(window: Window, day: date) -> bool:
    return day.weekday() in window.days and window.first <= day <= window.last


def _with(window: Window, word: str, text: str) -> Window:
    """The window, narrowed by one word of ``text``."""
    times, dates = _TIMES.fullmatch(word), _DATES.fullmatch(word)
    if times:
        start, end = (int(times[i]) * 60 + int(times[i + 1]) for i in (1, 3))
        if max(start, end) > _WHOLE_DAY or start == end:
            raise ValueError("%s in %r is no stretch of a day: write it like 08:00-18:00" % (word, text))
        return window._replace(start=start % _WHOLE_DAY, end=end)
    if dates:
        first = _day(dates[1], text)
        last = _day(dates[2], text) if dates[2] else first
        if last < first:
            raise ValueError("%s in %r ends before it begins" % (word, text))
        return window._replace(first=first, last=last)
    return window._replace(days=frozenset(_weekdays(word.lower().split(","), word, text)))


def _weekdays(parts: Iterable[str], word: str, text: str) -> Iterable[int]:
    for part in parts:
        first, _, last = part.partition("..")
        begin, end = _weekday(first), _weekday(last or first)
        if begin is None or end is None:
            raise ValueError("%s in %r is no day, date or time: write it like Mon..Fri 08:00-18:00" % (word, text))
        yield from (day % 7 for day in range(begin, end + 1 + (7 if end < begin else 0)))


def _weekday(name: str) -> int | None:
    return next((day for day, whole in enumerate(_DAYS) if name in (whole, whole[:3])), None)


def _day(text: str, whole: str) -> date:
    try:
        return date(*map(int, text.split("-")))
    except ValueError:
        raise ValueError("%s in %r is no date: write it like 2026-12-24" % (text, whole)) from None
