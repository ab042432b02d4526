"""What Temporal's schedules are as schedules of ours: one calendar that cron can say, or one interval; else nothing."""

from __future__ import annotations

from typing import Any

from rota.wire import names

_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day_of_month", 1, 31), ("month", 1, 12), ("day_of_week", 0, 6))


def declared(spec: Any) -> dict[str, str]:
    """The schedule as attributes; empty where ours cannot say it.

    Args:
        spec: ``temporalio.client.ScheduleSpec``, as the server describes it.
    """
    if spec.skip or spec.start_at or spec.end_at or len(spec.calendars) + len(spec.intervals) != 1:
        return {}
    if spec.intervals:
        seconds = spec.intervals[0].every.total_seconds()
        return {names.SCHEDULE_SPEC: "every %ds" % seconds} if seconds >= 1 and seconds % 1 == 0 else {}
    said = cron_of(spec.calendars[0])
    return {names.SCHEDULE_SPEC: said, names.SCHEDULE_TZ: spec.time_zone_name or "UTC"} if said else {}


def cron_of(calendar: Any) -> str | None:
    """Five fields of cron that mean the same. Of day and weekday both must hold in Temporal, in cron one of them is enough."""
    if calendar.year or [(each.start, each.end) for each in calendar.second] != [(0, 0)]:
        return None
    fields = [_field(getattr(calendar, name), low, high) for name, low, high in _FIELDS]
    return None if fields[2] != "*" and fields[4] != "*" else " ".join(fields)


def of_cron(spec: str) -> dict[str, str]:
    """The schedule of a workflow that was started with one: five fields, in UTC unless they begin with a zone."""
    zone, rest = "UTC", spec.strip()
    if rest.startswith(("CRON_TZ=", "TZ=")):
        zone, _, rest = rest.partition("=")[2].partition(" ")
    every = rest.startswith("@every ")
    if every or len(rest.split()) != 5:
        return {names.SCHEDULE_SPEC: "every " + rest[7:].strip()} if every else {}
    return {names.SCHEDULE_SPEC: rest, names.SCHEDULE_TZ: zone}


def _field(ranges: Any, low: int, high: int) -> str:
    values: set[int] = set()
    for each in ranges:
        values |= set(range(each.start, max(each.start, each.end) + 1, each.step or 1))
    return "*" if values == set(range(low, high + 1)) else ",".join(str(value) for value in sorted(values))
