"""When state machines are started: by EventBridge Scheduler, and by EventBridge rules that have a schedule."""

from __future__ import annotations

import re
import sys
from typing import Any, Iterator

from rota.wire import names

_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_LAST = (59, 23, 31, 12, 7)  # minute, hour, day of the month, month, day of the week
_UNITS = {"minute": "m", "hour": "h", "day": "d"}


class Schedules:
    """Of machines that have exactly one, which can be said in the words of cron.

    Args:
        scheduler: boto3's client of EventBridge Scheduler.
        events: boto3's client of EventBridge.
    """

    def __init__(self, scheduler: Any, events: Any) -> None:
        self._ways = [
            ("scheduler:ListSchedules and scheduler:GetSchedule", self._of_scheduler, scheduler),
            ("events:ListRuleNamesByTarget and events:DescribeRule", self._of_rules, events),
        ]
        self._found: dict[str, list[dict[str, str]]] = {}

    def of(self, machine: str) -> dict[str, str]:
        """What is declared of the machine of that ARN."""
        found = self._found.get(machine, [])
        return found[0] if len(found) == 1 else {}

    def read(self, machines: set[str]) -> None:
        """Ask anew. Who may not ask says so once, and goes without."""
        from botocore.exceptions import ClientError

        found: dict[str, list[dict[str, str]]] = {}
        for way in list(self._ways):
            try:
                for machine, expression, zone in way[1](way[2], machines):
                    found.setdefault(machine, []).append(declared(expression, zone))
            except ClientError as error:
                if not error.response.get("Error", {}).get("Code", "").startswith("AccessDenied"):
                    raise
                text = "rota observe step_functions: no schedules (%s). Permit %s, or say --no-schedules\n"
                sys.stderr.write(text % (error, way[0]))
                self._ways.remove(way)
        self._found = found

    def _of_scheduler(self, scheduler: Any, machines: set[str]) -> Iterator[tuple[str, str, str]]:
        for page in scheduler.get_paginator("list_schedules").paginate(State="ENABLED"):
            for each in page["Schedules"]:
                if each.get("Target", {}).get("Arn") in machines:
                    whole = scheduler.get_schedule(GroupName=each["GroupName"], Name=each["Name"])
                    yield each["Target"]["Arn"], whole["ScheduleExpression"], whole.get("ScheduleExpressionTimezone") or "UTC"

    def _of_rules(self, events: Any, machines: set[str]) -> Iterator[tuple[str, str, str]]:
        for machine in sorted(machines):
            for page in events.get_paginator("list_rule_names_by_target").paginate(TargetArn=machine):
                for rule in page["RuleNames"]:
                    found = events.describe_rule(Name=rule)
                    if found.get("ScheduleExpression") and found.get("State") == "ENABLED":
                        yield machine, found["ScheduleExpression"], "UTC"


def declared(expression: str, zone: str) -> dict[str, str]:
    """What a run declares of a schedule expression; nothing where standard cron has no words for it.

    Args:
        expression: AWS's: ``cron(0 2 * * ? *)``, ``rate(5 minutes)``, ``at(…)``.
        zone: a time zone's name.
    """
    rate = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression.strip())
    if rate:
        return {names.SCHEDULE_SPEC: "every %s%s" % (rate[1], _UNITS[rate[2]])}
    cron = re.fullmatch(r"cron\((.+)\)", expression.strip())
    spec = _standard(cron[1].split()) if cron else None
    return {names.SCHEDULE_SPEC: spec, names.SCHEDULE_TZ: zone} if spec else {}


def _standard(fields: list[str]) -> str | None:
    """AWS's six fields as cron's five: days of the week count from 1, ``?`` is any, ``a/n`` begins at a; no year, L, W, #."""
    if len(fields) != 6 or fields[5] not in ("*", "?"):
        return None
    spoken = [_field(field.upper(), number) for number, field in enumerate(fields[:5])]
    return None if None in spoken else " ".join(map(str, spoken))


def _field(field: str, number: int) -> str | None:
    if field in ("*", "?"):
        return "*"
    parts = [_part(part, _LAST[number], of_week=number == 4) for part in field.split(",")]
    return None if None in parts else ",".join(map(str, parts))


def _part(part: str, last: int, *, of_week: bool) -> str | None:
    found = re.fullmatch(r"(\*|\d+|[A-Z]{3})(?:-(\d+|[A-Z]{3}))?(?:/(\d+))?", part)
    if found is None:
        return None
    begin, end, step = found.groups()
    if begin == "*":
        return "*" + ("/" + step if step and int(step) > 1 else "")
    if not of_week:
        return begin + ("-" + (end or str(last)) if end or step else "") + ("/" + step if step else "")
    begin_number, end_number = _day(begin), _day(end) if end else last if step else _day(begin)
    if begin_number is None or end_number is None or end_number < begin_number:
        return None
    return ",".join(str(day - 1) for day in range(begin_number, end_number + 1, int(step or 1)))


def _day(word: str) -> int | None:
    if word.isdigit():
        return int(word) if 1 <= int(word) <= 7 else None
    return _DAYS.index(word) + 1 if word in _DAYS else None
