"""Schedules: cron, an interval, systemd's OnCalendar, or after another workflow. Pure.

Occurrences are found on the local clock of the schedule's zone and returned in UTC; grace is added to that, so a slot's
length does not depend on daylight saving time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from oncalendar import OnCalendar, OnCalendarError

from rota.rules.durations import seconds, words
from rota.rules.policy import when_of
from rota_collector.domain import cron

_SECOND = 10**9
_LAST_NS = 4_102_444_800 * _SECOND * 2  # 2230: beyond, every schedule has ended
SHORTEST_PERIOD_SECONDS = 1.0


class BadSchedule(ValueError):
    """A schedule that cannot be understood; the message says what, the value, and what to write."""


class Problem(NamedTuple):
    """What is wrong with a schedule. ``severity``: error (it is refused) or warning."""

    severity: str
    text: str


class Schedule(NamedTuple):
    """When a workflow should run. ``kind``: cron, interval, calendar, after."""

    kind: str
    spec: str  # as text: what ``parse`` takes
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
        return _next_on_calendar(self.spec, self.tz, at_ns) if self.kind == "calendar" else None

    def words(self) -> str:
        """For people: the schedule with its zone."""
        if self.kind == "interval":
            return f"every {words((self.period_ns or 0) / _SECOND)}"
        if self.kind == "after":
            return f"within {words((self.within_ns or 0) / _SECOND)} after {self.after_workflow}"
        return f"{self.spec} ({self.tz})"


def parse(spec: str | Mapping[str, Any], tz: str | None = None) -> Schedule:
    """A schedule from its text, or from the mapping of a policy. Raises BadSchedule."""
    when = when_of(spec) if isinstance(spec, str) else spec
    zone = _zone(str(when.get("tz") or tz or "UTC"))
    if when.get("cron"):
        return _cron(str(when["cron"]).strip(), zone)
    if when.get("every"):
        return _interval(str(when["every"]).strip(), zone)
    if when.get("on_calendar"):
        lines = when["on_calendar"]
        return _calendar(lines if isinstance(lines, str) else "\n".join(map(str, lines)), zone)
    if isinstance(when.get("after"), Mapping):
        return _after(when["after"], zone)
    raise BadSchedule(f"{spec!r} is no schedule: it needs cron, every, on_calendar or after")


def _cron(spec: str, zone: str) -> Schedule:
    if spec.lower() == "@reboot":
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
    length = _duration(text.strip())
    if length < SHORTEST_PERIOD_SECONDS:
        raise BadSchedule(f"every {text!r} is too often: the shortest interval is 1s")
    return Schedule("interval", f"every {text.strip()}", zone, round(length * _SECOND))


def _duration(text: str) -> float:
    try:
        return seconds(text)
    except ValueError as error:
        raise BadSchedule(str(error)) from None


def _calendar(spec: str, zone: str) -> Schedule:
    lines = "\n".join(line.strip() for line in spec.replace(";", "\n").splitlines() if line.strip())
    try:
        OnCalendar(lines, datetime(2000, 1, 1, tzinfo=UTC))
    except OnCalendarError as error:
        raise BadSchedule(
            f"{spec!r} is no schedule ({error}). Write cron (0 2 * * *), an interval (every 5m) or a calendar (Mon..Fri 02:00)"
        ) from None
    return Schedule("calendar", lines, zone)


def _next_on_calendar(lines: str, zone: str, at_ns: int) -> int | None:
    if at_ns >= _LAST_NS:
        return None
    start = datetime.fromtimestamp(at_ns // _SECOND, ZoneInfo(zone))
    found = next(OnCalendar(lines, start), None)
    return None if found is None else round(found.timestamp()) * _SECOND


@lru_cache(maxsize=1024)
def _zone(tz: str) -> str:
    try:
        ZoneInfo(tz)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        raise BadSchedule(f"{tz!r} is no time zone: write a name such as Europe/Berlin or UTC") from None
    return tz


def problems(schedule: Schedule, grace_ns: int | None, from_ns: int) -> list[Problem]:
    """What is wrong with a schedule as seen from ``from_ns`` (Unix ns), with this grace."""
    if schedule.kind == "after":
        return []
    first = schedule.next_after(from_ns)
    if first is None:
        return [Problem("error", f"{schedule.spec!r} never comes (looked 40 years ahead)")]
    second = schedule.next_after(first)
    if grace_ns is None or second is None or grace_ns < second - first:
        return []
    grace, gap = words(grace_ns / _SECOND), words((second - first) / _SECOND)
    return [
        Problem(
            "warning",
            f"the grace of {grace} is not shorter than the {gap} between two runs: a miss is told only after the next is due",
        )
    ]
