"""Schedules of state machines, in the words of cron."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from rota_integrations.step_functions.schedules import Schedules, declared


@pytest.mark.parametrize(
    ("expression", "spec"),
    [
        ("cron(0 2 * * ? *)", "0 2 * * *"),
        ("cron(0/15 8-17 ? * MON-FRI *)", "0-59/15 8-17 * * 1,2,3,4,5"),
        ("cron(0 10 ? * 1,7 *)", "0 10 * * 0,6"),
        ("cron(5 4 1 JAN,JUL ? *)", "5 4 1 JAN,JUL *"),
        ("cron(*/10 * * * ? *)", "*/10 * * * *"),
        ("rate(5 minutes)", "every 5m"),
        ("rate(1 day)", "every 1d"),
    ],
)
def test_what_cron_can_say_is_said(expression: str, spec: str) -> None:
    """AWS counts days of the week from 1, and goes on from where a step begins."""
    assert declared(expression, "Europe/Berlin")["rota.schedule.spec"] == spec


@pytest.mark.parametrize(
    "expression",
    [
        "cron(0 2 L * ? *)",
        "cron(0 2 3W * ? *)",
        "cron(0 2 ? * 6#3 *)",
        "cron(0 2 * * ? 2030)",
        "cron(0 2 * *)",
        "cron(0 2 ? * 9 *)",
        "at(2026-11-20T13:00:00)",
        "",
    ],
)
def test_what_cron_cannot_say_is_left_out(expression: str) -> None:
    """Rather than almost said."""
    assert declared(expression, "UTC") == {}


class Pages:
    """A client of either service, that has these schedules or may not be asked."""

    def __init__(self, *found: tuple[str, str], forbidden: bool = False) -> None:
        self.found, self.forbidden = found, forbidden

    def get_paginator(self, operation: str) -> Pages:
        return self

    def paginate(self, **wanted: Any) -> list[dict[str, Any]]:
        if self.forbidden:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "ListSchedules")
        names = [{"Name": expression, "GroupName": "g", "Target": {"Arn": machine}} for machine, expression in self.found]
        return [{"Schedules": names, "RuleNames": [e for m, e in self.found if m == wanted.get("TargetArn")]}]

    def get_schedule(self, GroupName: str, Name: str) -> dict[str, Any]:  # noqa: N803
        return {"ScheduleExpression": Name, "ScheduleExpressionTimezone": "Europe/Berlin"}

    def describe_rule(self, Name: str) -> dict[str, Any]:  # noqa: N803
        return {"ScheduleExpression": Name, "State": "ENABLED"}


def test_a_machine_with_one_schedule_declares_it_and_one_with_two_none() -> None:
    """A workflow has one; which of two it would be is not known."""
    schedules = Schedules(
        Pages(("a", "rate(1 hour)"), ("b", "rate(1 hour)")), Pages(("b", "rate(2 hours)"), ("c", "cron(0 2 * * ? *)"))
    )
    assert schedules.read({"a", "b", "c"}) == {
        "a": {"rota.schedule.spec": "every 1h"},
        "c": {"rota.schedule.spec": "0 2 * * *", "rota.schedule.tz": "UTC"},
    }


def test_who_may_not_ask_for_schedules_goes_without_and_hears_it_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Runs are seen all the same."""
    schedules = Schedules(Pages(forbidden=True), Pages(("c", "rate(2 hours)")))
    assert schedules.read({"c"}) == schedules.read({"c"}) == {"c": {"rota.schedule.spec": "every 2h"}}
    assert capsys.readouterr().err.count("Permit scheduler:ListSchedules and scheduler:GetSchedule, or say --no-schedules") == 1
