"""Five-field cron expressions, as Debian's cron understands them. Pure.

The rules are those of Debian's ``entry.c`` and ``cron.c`` (cron 3.0pl1-162; docs/decisions/0011-schedules.md says which):

- When day of month or day of week begins with ``*`` (so does ``*/2``), both must match; otherwise either does.
- A job whose minute or hour begins with ``*`` is a *wildcard* job and follows real time. The others are *fixed-time* jobs: when
  the clock jumps ahead by less than three hours, those that were jumped over run at once; when it is set back by up to
  three hours, they are not run again until it has caught up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from rota_collector.domain.zones import END, SPAN, Stretch, stretches

FORMS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_SMALL = 4 * 60  # a jump ahead that is no larger is walked minute by minute, wildcard jobs too
_FAR = 180 * 60  # one so large (ahead), or larger (back), is no daylight saving time: nothing is made up for or held back
_MOST_SPANS = 40  # 29 February on a given weekday: 40 years apart at most, around 2100
_EPOCH = date(1970, 1, 1).toordinal()
_QUARTZ = re.compile(r"\?|lw?|\d+[lw]|\w+#\d+")  # what other schedulers add


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    names: Sequence[str] = ()


_MINUTE = _Field("minute", 0, 59)
_HOUR = _Field("hour", 0, 23)
_DAY_OF_MONTH = _Field("day of month", 1, 31)
_MONTH = _Field("month", 1, 12, _MONTHS)
_DAY_OF_WEEK = _Field("day of week", 0, 7, _DAYS)


class Cron(NamedTuple):
    """A parsed expression. Each field is a set of numbers as the bits of one: schedules are many, and asked often."""

    minutes: int
    hours: int
    days: int
    months: int
    weekdays: int  # bit 0 is Sunday
    is_either: bool  # day of month or day of week
    is_wildcard: bool

    def next_after(self, at: int, zone: str) -> int | None:
        """The first run strictly after ``at`` (Unix seconds, 0 at least), on the clock of ``zone``; None: there is none."""
        first = max(at, 0) // SPAN
        for span in range(first, min(first + _MOST_SPANS, END // SPAN) + 1):
            for stretch in stretches(zone, span):
                if stretch.end > at:
                    found = self._in(stretch, at)
                    if found is not None:
                        return found
        return None

    def _in(self, stretch: Stretch, at: int) -> int | None:
        """The first run of a stretch after ``at``."""
        start, end, offset, jump = stretch
        if jump > 0 and at < start and self._was_jumped_over(start + offset, jump):
            return start
        local = max(at + 1, start) + offset
        if -_FAR <= jump < 0 and not self.is_wildcard:
            local = max(local, start + offset - jump)
        found = self._next_local(-(-local // 60), (end + offset - 1) // 60)
        return None if found is None else found * 60 - offset

    def _was_jumped_over(self, landing: int, jump: int) -> bool:
        """Whether a job that the clock jumped over, on its way to ``landing``, is run right after it."""
        if jump > (_SMALL if self.is_wildcard else _FAR - 1):
            return False
        return self._next_local(-(-(landing - jump) // 60), landing // 60 - 1) is not None

    def _next_local(self, low: int, high: int) -> int | None:
        """The first minute of the local clock (minutes since 1970) from ``low`` to ``high`` at which it runs."""
        day, minute = divmod(low, 1440)
        found = self._next_in_day(minute) if self._has(day) else None
        if found is None:
            day, found = self._next_day(day + 1, high // 1440), self._next_in_day(0)
        at = day * 1440 + (found or 0)
        return at if at <= high else None

    def _next_in_day(self, minute: int) -> int | None:
        hour, minute = divmod(minute, 60)
        if self.hours >> hour & 1 and self.minutes >> minute:
            return hour * 60 + _first(self.minutes, minute)
        if self.hours >> hour + 1:
            return _first(self.hours, hour + 1) * 60 + _first(self.minutes, 0)
        return None

    def _has(self, day: int) -> bool:
        """Whether a day (since 1970) is one of its days."""
        present = date.fromordinal(day + _EPOCH)
        if not self.months >> present.month & 1:
            return False
        in_month, in_week = self.days >> present.day & 1, self.weekdays >> (day + 4) % 7 & 1
        return bool(in_month | in_week if self.is_either else in_month & in_week)

    def _next_day(self, day: int, last: int) -> int:
        """The first of its days from ``day`` on; one after ``last`` when there is none by then."""
        while day <= last and not self._has(day):
            present = date.fromordinal(day + _EPOCH)
            if self.months >> present.month & 1:
                day += 1
            else:
                day = date(present.year + present.month // 12, present.month % 12 + 1, 1).toordinal() - _EPOCH
        return day


def _first(numbers: int, low: int) -> int:
    """The smallest of the numbers that is not below ``low``; there is one."""
    rest = numbers >> low
    return low + (rest & -rest).bit_length() - 1


@lru_cache(maxsize=1 << 17)
def parse(expression: str) -> Cron:
    """Parse five fields or an ``@`` form. Raises ValueError, which names the field and its value."""
    if expression.startswith("@") and expression.lower() not in FORMS:
        raise ValueError(f"{expression!r} is none of {', '.join(FORMS)}")
    words = FORMS.get(expression.lower(), expression).split()
    if len(words) != 5:
        raise ValueError(f"{expression!r} has {len(words)} fields; cron has five: minute hour day-of-month month day-of-week")
    minute, hour, day, month, weekday = words
    weekdays = _numbers(_DAY_OF_WEEK, weekday)
    return Cron(
        _numbers(_MINUTE, minute),
        _numbers(_HOUR, hour),
        _numbers(_DAY_OF_MONTH, day),
        _numbers(_MONTH, month),
        weekdays & 0x7F | weekdays >> 7,  # 7 is Sunday too
        not (day.startswith("*") or weekday.startswith("*")),
        minute.startswith("*") or hour.startswith("*"),
    )


@lru_cache(maxsize=4096)
def _numbers(field: _Field, word: str) -> int:
    found = 0
    for part in word.lower().split(","):
        span, slash, step = part.partition("/")
        low, high = _span(field, span, word)
        if slash and span != "*" and "-" not in span:
            raise ValueError(f"{field.name} {word!r}: a step needs a range; write {span}-{field.high}/{step}")
        if slash and not (_is_number(step) and int(step) > 0):
            raise ValueError(f"{field.name} {word!r}: {step!r} is no step; write it like */15 or {field.low}-{field.high}/5")
        for number in range(low, high + 1, int(step) if slash else 1):
            found |= 1 << number
    return found


def _span(field: _Field, span: str, word: str) -> tuple[int, int]:
    if span == "*":
        return field.low, field.high
    first, dash, last = span.partition("-")
    low = _number(field, first, word)
    high = _number(field, last, word) if dash else low
    if high < low:
        around = "" if high == field.low else f",{field.low}-{high}"
        raise ValueError(f"{field.name} {word!r}: {span!r} ends before it begins; write {low}-{field.high}{around}")
    return low, high


def _number(field: _Field, text: str, word: str) -> int:
    if text in field.names:
        return field.names.index(text) + field.low
    if _is_number(text) and field.low <= int(text) <= field.high:
        return int(text)
    if _QUARTZ.fullmatch(text):
        hint = "write a calendar instead: '*-*~01 02:00' is the last day of each month"
        raise ValueError(f"{field.name} {word!r}: Debian's cron has no L, W, # or ?; {hint}")
    raise ValueError(f"{field.name} {word!r}: {text!r} is not between {field.low} and {field.high}")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 4
