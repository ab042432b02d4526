"""What APScheduler's triggers are as schedules of ours: cron, intervals; what cannot be said so is not said."""

from __future__ import annotations

from typing import Any

from rota.wire import names

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LAST = {"minute": 59, "hour": 23, "day": 31, "month": 12}


def declared(trigger: Any) -> dict[str, str]:
    """The schedule of a trigger as attributes; empty where it has none that ours can say."""
    kind = type(trigger).__name__
    if getattr(trigger, "end_date", None) is not None:
        return {}  # nobody would tell when it is over
    if kind == "IntervalTrigger":
        seconds = trigger.interval.total_seconds()
        return {names.SCHEDULE_SPEC: "every %ds" % seconds} if seconds >= 1 and seconds % 1 == 0 else {}
    zone = zone_of(getattr(trigger, "timezone", None))
    spec = cron_of({field.name: field.expressions for field in trigger.fields}) if kind == "CronTrigger" and zone else None
    return {names.SCHEDULE_SPEC: spec, names.SCHEDULE_TZ: zone} if spec and zone else {}


def cron_of(fields: dict[str, Any]) -> str | None:
    """Five fields of cron that mean the same; None: there are none, as cron knows no seconds, years, weeks or last days.

    Args:
        fields: expressions by the names of APScheduler's fields.
    """
    text = {name: ",".join(map(str, expressions)) for name, expressions in fields.items()}
    if (text["year"], text["week"], text["second"]) != ("*", "*", "0"):
        return None
    if text["day"] != "*" and text["day_of_week"] != "*":
        return None  # both must hold there; in cron one of them is enough
    said = [_field(name, fields[name]) for name in ("minute", "hour", "day", "month")]
    said.append("*" if text["day_of_week"] == "*" else _weekdays(fields["day_of_week"]))
    return None if None in said else " ".join(str(part) for part in said)


def zone_of(zone: Any) -> str | None:
    """The name of a time zone of zoneinfo or pytz; None: it has none that others know."""
    name = getattr(zone, "key", None) or getattr(zone, "zone", None) or str(zone)
    return name if name == "UTC" or "/" in name else None


def _field(name: str, expressions: Any) -> str | None:
    parts = []
    for each in expressions:
        if type(each).__name__ not in ("AllExpression", "RangeExpression", "MonthRangeExpression"):
            return None
        has_no_end = getattr(each, "first", None) is not None and each.last is None and each.step
        parts.append("%d-%d/%d" % (each.first, _LAST[name], each.step) if has_no_end else str(each))
    return ",".join(parts)


def _weekdays(expressions: Any) -> str | None:
    """By name: APScheduler's week begins on Monday with 0, cron's on Sunday."""
    days: set[int] = set()
    for each in expressions:
        if type(each).__name__ not in ("AllExpression", "RangeExpression", "WeekdayRangeExpression"):
            return None
        first = getattr(each, "first", 0)
        last = getattr(each, "last", None)
        if last is None:
            last = 6 if each.step or type(each).__name__ == "AllExpression" else first
        days |= set(range(first, last + 1, each.step or 1))
    return ",".join(_DAYS[day] for day in sorted(days))
