"""When state machines are started: by EventBridge Scheduler, and by EventBridge rules that have a schedule."""

from __future__ import annotations

import re
import sys
from typing import Any, Iterator

from rota.wire import names
from rota_integrations.crons import of_fields

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

    def read(self, machines: set[str]) -> dict[str, dict[str, str]]:
        """What is declared of each of these machines, by ARN. Who may not ask says so once, and goes without."""
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
        return {machine: each[0] for machine, each in found.items() if len(each) == 1}

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
    spec = of_fields(cron[1].split()) if cron and len(cron[1].split()) == 6 else None
    return {names.SCHEDULE_SPEC: spec, names.SCHEDULE_TZ: zone} if spec else {}
