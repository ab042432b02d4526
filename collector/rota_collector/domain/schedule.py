"""Schedules: cron, an interval, systemd's OnCalendar, or after another workflow. Pure.

Occurrences are found on the local clock of the schedule's zone and returned in UTC; grace is added to that, so a slot's
length does not depend on daylight saving time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import lru_cache
from itertools import islice, pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from oncalendar import OnCalendarError, TzIterator

from rota.rules.durations import seconds, words
from rota.rules.policy import when_of
from rota_collector.domain import cron
from rota_collector.domain.zones import END

_SECOND = 10**9
SHORTEST_PERIOD_SECONDS = 1.0
LONGEST_PERIOD_SECONDS = 400 * 86_400.0
_OCCURRENCES_COMPARED = 24  # with the grace: enough for the hours of a day


class BadSchedule(ValueError):
    """A schedule that cannot be understood; the message says what, the value, and what to write."""


class Problem(NamedTuple):
    """What is wrong with a schedule. ``severity``: error (it is refused) or warning."""

    severity: str
    text: str


class Schedule(NamedTuple):
    """When a workflow should run. ``kind``: cron, interval, calendar, after."""

    kind: str
    spec: str  # as text
    tz: str = "UTC"
    period_ns: int | None = None  # of an interval
    after_workflow: str | None = None  # of ``after``
    within_ns: int | None = None

    def next_after(self, at_ns: int) -> int | None:
        """The first occurrence strictly after ``at_ns`` (Unix ns); None: never again, or not to be known (``after``)."""
        if self.period_ns is not None:
            return at_ns + self.period_ns
        if self.kind == "cron":
            found = cron.parse(self.spec).next_after(at_ns // _SECOND, self.tz)
            return None if found is None else found * _SECOND
        if self.kind == "calendar":
            return min((each for line in self.spec.split("\n") if (each := _next_on_line(line, self.tz, at_ns))), default=None)
        return None

    def words(self) -> str:
        """For people: the schedule with its zone."""
        if self.kind == "interval":
            return f"every {words((self.period_ns or 0) / _SECOND)}"
        if self.kind == "after":
            return f"within {words((self.within_ns or 0) / _SECOND)} after {self.after_workflow}"
        return f"{_in_words(self.kind, self.spec)} ({self.tz})"


@lru_cache(maxsize=4096)
def _in_words(kind: str, spec: str) -> str:
    """``At 02:00 every day``; a calendar, and what cannot be said so, speaks for itself."""
    if kind != "cron":
        return spec.replace("\n", "; ")
    try:
        said: str = CronSim(cron.FORMS.get(spec, spec), datetime(2000, 1, 1, tzinfo=UTC)).explain()
    except CronSimError:  # 30 February
        return spec
    return said


def parse(spec: str | Mapping[str, Any], tz: str | None = None) -> Schedule:
    """A schedule from its text, or from the mapping of a policy. Raises BadSchedule."""
    when = when_of(spec) if isinstance(spec, str) else spec
    zone = _zone(str(when.get("tz") or tz or "UTC"))
    if when.get("cron"):
        return _cron(" ".join(str(when["cron"]).split()), zone)
    if when.get("every"):
        return _interval("".join(str(when["every"]).split()), zone)
    if when.get("on_calendar"):
        lines = when["on_calendar"]
        return _calendar(lines if isinstance(lines, str) else "\n".join(map(str, lines)), zone)
    if isinstance(when.get("after"), Mapping):
        return _after(when["after"], zone)
    raise BadSchedule(f"{spec!r} is no schedule: it needs cron, every, on_calendar or after")


def _cron(spec: str, zone: str) -> Schedule:
    spec = spec.lower() if spec.startswith("@") else spec
    if spec == "@reboot":
        raise BadSchedule("@reboot has no time: nobody can say when it is missed. Name the times at which it should run")
    try:
        cron.parse(spec)
    except ValueError as error:
        raise BadSchedule(f"{error}. Example: 0 2 * * *") from None
    return Schedule("cron", spec, zone)


def _after(after: Mapping[str, Any], zone: str) -> Schedule:
    workflow = str(after.get("workflow") or "")
    within_ns = round(_duration(str(after.get("within") or "1h")) * _SECOND)
    return Schedule("after", f"after {workflow}", zone, None, workflow, within_ns)


def _interval(text: str, zone: str) -> Schedule:
    length = _duration(text)
    if not SHORTEST_PERIOD_SECONDS <= length <= LONGEST_PERIOD_SECONDS:
        raise BadSchedule(f"every {text!r} is not between 1s and 400d. Example: every 5m")
    return Schedule("interval", f"every {text}", zone, round(length * _SECOND))


def _duration(text: str) -> float:
    try:
        return seconds(text)
    except ValueError as error:
        raise BadSchedule(str(error)) from None


def _calendar(spec: str, zone: str) -> Schedule:
    lines = [" ".join(line.split()) for line in spec.replace(";", "\n").splitlines() if line.strip()]
    try:
        for line in lines:
            TzIterator(line, datetime(2000, 1, 1, tzinfo=UTC))
    except (OnCalendarError, ValueError, OSError):  # OSError: a zone that is a folder, like Europe
        fields = "" if ":" in spec or len(spec.split()) < 3 else f" (cron has five fields; this has {len(spec.split())})"
        raise BadSchedule(
            f"{spec[:80]!r} is no schedule{fields}: write cron (0 2 * * *), an interval (every 5m) or a calendar (Mon..Fri 02:00)"
        ) from None
    if not lines:
        raise BadSchedule(f"{spec!r} is no schedule: it is empty. Example: 0 2 * * *")
    return Schedule("calendar", "\n".join(lines), zone)


def _next_on_line(line: str, zone: str, at_ns: int) -> int | None:
    """``oncalendar`` counts on the local clock, on which an hour comes twice: what is not after ``at_ns`` is passed over."""
    at = max(at_ns // _SECOND, 0)
    if at >= END:
        return None
    for found in TzIterator(line, datetime.fromtimestamp(at, ZoneInfo(zone))):
        if found.timestamp() > at:
            return round(found.timestamp()) * _SECOND
    return None


@lru_cache(maxsize=1024)  # of good names; what raises is not remembered
def _zone(tz: str) -> str:
    try:
        ZoneInfo(tz)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        names = {name.lower(): name for name in available_timezones()}
        near = get_close_matches(tz.lower(), names, 1)
        example = names[near[0]] if near else "Europe/Berlin"
        raise BadSchedule(f"{tz[:80]!r} is no time zone: write a name such as {example}") from None
    return tz


def problems(schedule: Schedule, grace_ns: int | None, from_ns: int) -> list[Problem]:
    """What is wrong with a schedule as seen from ``from_ns`` (Unix ns), with this grace."""
    if schedule.kind == "after":
        return []
    coming = list(islice(_occurrences(schedule, from_ns), _OCCURRENCES_COMPARED))
    if not coming:
        return [Problem("error", f"{schedule.spec!r} never comes (looked 40 years ahead)")]
    gap_ns = min((after - before for before, after in pairwise(coming)), default=None)
    if grace_ns is None or gap_ns is None or grace_ns < gap_ns:
        return []
    grace, gap = words(grace_ns / _SECOND), words(gap_ns / _SECOND)
    said = f"the grace of {grace} is not shorter than the {gap} between two runs: a miss is told only after the next is due"
    return [Problem("warning", said)]


def _occurrences(schedule: Schedule, at_ns: int) -> Iterator[int]:
    following = schedule.next_after(at_ns)
    while following is not None:
        yield following
        following = schedule.next_after(following)
