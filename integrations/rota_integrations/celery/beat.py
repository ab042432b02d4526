"""Celery's beat: what it sends is a run that waits for a worker, and its entries are schedules."""

from __future__ import annotations

import re
import time
from collections import Counter
from datetime import datetime, timedelta
from typing import Any, Mapping

from rota.wire import names

_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
_ALL = {"minute": 60, "hour": 24, "day_of_month": 31, "month_of_year": 12, "day_of_week": 7}
_LATE_MINUTES = 60  # later than that, it is no longer known which of its times an entry is for


def alone(entries: Mapping[str, Any]) -> dict[str, Any]:
    """By task, the entries that are the only ones of theirs: a workflow has one schedule."""
    count = Counter(entry.task for entry in entries.values())
    return {entry.task: entry for entry in entries.values() if count[entry.task] == 1}


def declared(schedule: Any) -> dict[str, str]:
    """The schedule of an entry as attributes; empty where it has none that ours can say."""
    if hasattr(schedule, "month_of_year"):
        spec, zone = cron_of(schedule), _zone(schedule)
        return {names.SCHEDULE_SPEC: spec, names.SCHEDULE_TZ: zone} if spec and zone else {}
    period = getattr(schedule, "run_every", None)
    seconds = period.total_seconds() if isinstance(period, timedelta) else 0
    return {names.SCHEDULE_SPEC: "every %ds" % seconds} if seconds >= 1 and seconds % 1 == 0 else {}


def cron_of(schedule: Any) -> str | None:
    """Five fields of cron; None: there are none. Of day and weekday both must hold in Celery, in cron one of them is enough."""
    fields = [_field(name, getattr(schedule, name), str(getattr(schedule, "_orig_" + name, ""))) for name in _FIELDS]
    return None if fields[2] != "*" and fields[4] != "*" else " ".join(fields)


def slot_ns(schedule: Any, now: datetime) -> int | None:
    """The last time of a crontab up to now; None: it was long ago, or it is no crontab."""
    if not hasattr(schedule, "month_of_year"):
        return None
    moment = now.replace(second=0, microsecond=0)
    for _ in range(_LATE_MINUTES):
        if _matches(schedule, moment):
            return int(moment.timestamp()) * 10**9
        moment -= timedelta(minutes=1)
    return None


def now_of(schedule: Any) -> datetime:
    """The time in the zone of a schedule."""
    return datetime.fromtimestamp(time.time(), getattr(schedule, "tz", None))


def _matches(schedule: Any, at: datetime) -> bool:
    return (
        at.minute in schedule.minute and at.hour in schedule.hour and at.day in schedule.day_of_month
        and at.month in schedule.month_of_year and at.isoweekday() % 7 in schedule.day_of_week
    )  # fmt: skip


def _field(name: str, values: Any, said: str) -> str:
    if len(values) == _ALL[name]:
        return "*"
    return said if re.fullmatch(r"\*/\d+", said) else ",".join(str(value) for value in sorted(values))


def _zone(schedule: Any) -> str | None:
    zone = schedule.tz
    name = getattr(zone, "key", None) or getattr(zone, "zone", None) or str(zone)
    return name if name == "UTC" or "/" in name else None
