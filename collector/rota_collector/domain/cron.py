"""Five-field cron expressions, as Debian's cron understands them. Pure.

The rules are those of Debian's ``entry.c`` and ``cron.c`` (vixie-cron 3.0pl1):

- When day of month or day of week begins with ``*`` (so does ``*/2``), both must match; otherwise either does.
- A job whose minute or hour begins with ``*`` is a *wildcard* job and follows real time. The others are *fixed-time* jobs: when
  the clock jumps ahead by up to three hours, those that were jumped over run at once; when it is set back by less than
  three hours, they are not run again until it has caught up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from rota_collector.domain.zones import FIRST_YEAR, LAST_YEAR, Stretch, stretches, year_of

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
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FAR = 3 * 3600  # a jump of the clock that is larger is no daylight saving time: nothing is made up for
_NEAR = 5 * 60  # one so small is made up for minute by minute, wildcard jobs too
_LONGEST_SEARCH_YEARS = 41  # 29 February on a given weekday: 40 years apart at most, around 2100
_EPOCH = date(1970, 1, 1).toordinal()


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    names: Sequence[str] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 7, _DAYS),
)


class Cron(NamedTuple):
    """A parsed expression: which minutes of a day, on which days."""

    minutes: tuple[int, ...]  # of a day, sorted
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0 is Sunday
    is_either: bool  # day of month or day of week
    is_wildcard: bool

    def next_after(self, at: int, zone: str) -> int | None:
        """The first run strictly after ``at`` (Unix seconds), on the clock of ``zone``; None: there is none."""
        year = max(year_of(at), FIRST_YEAR)
        for each in range(year, min(year + _LONGEST_SEARCH_YEARS, LAST_YEAR) + 1):
            for stretch in stretches(zone, each):
                if stretch.end > at:
                    found = self._in(stretch, max(at + 1, stretch.start))
                    if found is not None:
                        return found
        return None

    def _in(self, stretch: Stretch, low: int) -> int | None:
        """The first run of a stretch that is not before ``low``."""
        jump = stretch.offset - stretch.before
        first = stretch.start + stretch.offset  # on the local clock
        if 0 < jump <= _FAR and low == stretch.start and self._was_jumped_over(first - jump, first, jump):
            return stretch.start
        local = low + stretch.offset
        if -_FAR < jump < 0 and not self.is_wildcard:
            local = max(local, first - jump)
        local = self._next_local(-(-local // 60), (stretch.end + stretch.offset - 1) // 60)
        return None if local is None else local * 60 - stretch.offset

    def _was_jumped_over(self, begin: int, end: int, jump: int) -> bool:
        """Whether a job that the clock jumped over is run right after it."""
        if self.is_wildcard and jump > _NEAR:
            return False
        return self._next_local(-(-begin // 60), (end - 1) // 60) is not None

    def _next_local(self, low: int, high: int) -> int | None:
        """The first minute of the local clock (minutes since 1970) from ``low`` to ``high`` at which it runs."""
        day, minute = divmod(low, 1440)
        i = bisect_left(self.minutes, minute)
        if i < len(self.minutes) and self._has(date.fromordinal(day + _EPOCH)):
            found = day * 1440 + self.minutes[i]
            return found if found <= high else None
        for ordinal in self._days_after(day + _EPOCH, high // 1440 + _EPOCH):
            found = (ordinal - _EPOCH) * 1440 + self.minutes[0]
            return found if found <= high else None
        return None

    def _has(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return in_month or in_week if self.is_either else in_month and in_week

    def _days_after(self, day: int, last: int) -> Iterator[int]:
        """Ordinals of the matching days after ``day`` up to ``last``."""
        day += 1
        while day <= last:
            present = date.fromordinal(day)
            if present.month not in self.months:
                day = date(present.year + present.month // 12, present.month % 12 + 1, 1).toordinal()
                continue
            if self._has(present):
                yield day
            day += 1


@lru_cache(maxsize=1 << 17)
def parse(expression: str) -> Cron:
    """Parse five fields or an ``@`` form. Raises ValueError, which names the field and its value."""
    words = FORMS.get(expression.strip().lower(), expression).split()
    if len(words) != 5:
        raise ValueError(f"{expression!r} has {len(words)} fields; cron has five: minute hour day-of-month month day-of-week")
    minutes, hours, days, months, weekdays = (_values(field, word) for field, word in zip(_FIELDS, words, strict=True))
    return Cron(
        tuple(hour * 60 + minute for hour in sorted(hours) for minute in sorted(minutes)),
        days,
        months,
        frozenset(day % 7 for day in weekdays),
        not (words[2].startswith("*") or words[4].startswith("*")),
        words[0].startswith("*") or words[1].startswith("*"),
    )


def _values(field: _Field, word: str) -> frozenset[int]:
    found: set[int] = set()
    for part in word.lower().split(","):
        span, slash, step = part.partition("/")
        low, high = _span(field, span, word)
        if slash and not (step.isdecimal() and int(step) > 0):
            raise ValueError(f"{field.name} {word!r}: {step!r} is no step; write it like */15 or 0-30/10")
        if slash and low == high and span != "*":
            raise ValueError(f"{field.name} {word!r}: a step needs a range; write {span}-{field.high}/{step}")
        found.update(range(low, high + 1, int(step) if slash else 1))
    return frozenset(found)


def _span(field: _Field, span: str, word: str) -> tuple[int, int]:
    if span == "*":
        return field.low, field.high
    first, dash, last = span.partition("-")
    low = _value(field, first, word)
    high = _value(field, last, word) if dash else low
    if high < low:
        raise ValueError(
            f"{field.name} {word!r}: {span!r} ends before it begins; write two ranges: {first}-{field.high},{field.low}-{last}"
        )
    return low, high


def _value(field: _Field, text: str, word: str) -> int:
    if text in field.names:
        return field.names.index(text) + (1 if field.low == 1 else 0)
    if not text.isdecimal() or not field.low <= int(text) <= field.high:
        raise ValueError(f"{field.name} {word!r}: {text!r} is not between {field.low} and {field.high}")
    return int(text)
