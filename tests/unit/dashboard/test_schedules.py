"""A schedule, and the policy around it, in words."""

from __future__ import annotations

from typing import Any

import pytest
from dashboard_items import BERLIN, HOSTILE, NOW, a_policy, a_version

from rota_dashboard.shape import schedules


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("0 2 * * *", "Every day at 02:00"),
        ("0  2  * * *", "Every day at 02:00"),
        ("0 2,14 * * *", "Every day at 02:00 and 14:00"),
        ("@daily", "Every day at 00:00"),
        ("@Midnight", "Every day at 00:00"),
        ("@hourly", "Every hour"),
        ("@weekly", "At 00:00, only on Sunday"),
        ("@monthly", "At 00:00, on day 1 of the month"),
        ("@yearly", "At 00:00, on day 1 of the month, only in January"),
        ("@annually", "At 00:00, on day 1 of the month, only in January"),
        ("* * * * *", "Every minute"),
        ("*/5 * * * *", "Every 5 minutes"),
        ("30 * * * *", "At 30 minutes past the hour"),
        ("0 */2 * * *", "Every 2 hours"),
        ("0 9 * * 1-5", "At 09:00, Monday through Friday"),
        ("0 22 * * 7", "At 22:00, only on Sunday"),
        ("*/5 9-17 * * mon-fri", "Every 5 minutes, between 09:00 and 17:59, Monday through Friday"),
        ("0 0 1 * *", "At 00:00, on day 1 of the month"),
        ("0 0 1 * 1", "At 00:00, on day 1 of the month, or on Monday"),
    ],
)
def test_a_cron_expression_is_said_in_english(expression, text):
    """A time of each day reads as one; a day of the month and a day of the week are either of them, as cron means it."""
    assert schedules.cron_in_words(expression) == text


@pytest.mark.parametrize("expression", ["@reboot", "H 2 * * *", "0 2 * *", "x", HOSTILE, "1 " * 40])
def test_what_cannot_be_said_is_shown_as_it_is(expression):
    """Rather than wrong, or not at all."""
    assert schedules.cron_in_words(expression) == f"cron {expression}"


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (None, "Not scheduled"),
        ({}, "Not scheduled"),
        ({"tz": "Europe/Berlin"}, "Not scheduled"),
        ({"cron": "0 2 * * *"}, "Every day at 02:00"),
        ({"cron": "0 2 * * *", "tz": "Europe/Berlin", "grace": "15m"}, "Every day at 02:00 Europe/Berlin, 15 min grace"),
        ({"cron": "*/5 * * * *", "grace": 90}, "Every 5 minutes, 1 min 30 s grace"),
        ({"every": "10m"}, "Every 10 min, from start to start"),
        ({"every": "1h30m", "grace": "5m", "tz": "UTC"}, "Every 1 h 30 min, from start to start, 5 min grace"),
        ({"on_calendar": "Mon..Fri 02:00", "tz": "UTC"}, "On Mon..Fri 02:00 UTC"),
        ({"on_calendar": ["Mon 02:00", "Thu 04:00"]}, "On Mon 02:00 and Thu 04:00"),
        ({"after": {"workflow": "ingest.orders"}}, "After ingest.orders succeeded"),
        ({"after": {"workflow": "ingest.orders", "within": "30m"}}, "After ingest.orders succeeded, within 30 min"),
        ({"after": {"workflow": HOSTILE}}, f"After {HOSTILE} succeeded"),
    ],
)
def test_a_schedule_is_a_sentence(schedule, text):
    """When, where, and how late it may be; without a time there is none."""
    assert schedules.in_words({"schedule": schedule}) == text


def test_where_a_policy_came_from_is_said():
    """Its version, who, when, and whether it takes the place of what the code says."""
    policy = a_policy({"schedule": {}, "expect": {}})
    code = {"source": {"schedule": "code"}, "declared": {"schedule": {}}}
    said = [
        schedules.origin(a_policy(), [], BERLIN),
        schedules.origin(policy, [a_version(3), a_version(2, author="bob")], BERLIN),
        schedules.origin(policy | code, [a_version(origin="code", author="run 0189f0c0")], BERLIN),
        schedules.origin(policy | code, [a_version(origin="code", author="airflow")], BERLIN),
        schedules.origin(policy | {"declared": {"expect": {}}}, [a_version(2)], BERLIN),
        schedules.origin(policy, [], BERLIN),
    ]
    assert said == [
        "no policy",
        "policy v1 by ada, 20 Nov 2026",
        "policy v1 declared in code, 20 Nov 2026",
        "policy v1 declared by airflow, 20 Nov 2026",
        "policy v1 by ada, 20 Nov 2026 (over the code's own defaults)",
        "policy v1",
    ]


def keys(policy: dict[str, Any], *versions: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(row["key"], row["value"], row["source"]) for row in schedules.keys(policy, versions)]


def test_a_policy_is_a_key_a_row():
    """Nested ones by their path, several texts in one row, lists of things numbered, values as people write them."""
    document = {
        "schedule": {"cron": "0 2 * * *"},
        "expect": {"failures": 2, "rows": {"output": ">0"}},
        "retry": {"on": ["exit:75", "OSError"]},
        "gates": [{"kind": "concurrency", "limit": 1}, {"kind": "window", "not": "Sat..Sun"}],
        "tasks": {"load.*": {"permit": True}},
        "alert": {"channels": []},
        "trigger": [{"webhook": False}],
    }
    assert keys(a_policy(document)) == [
        ("schedule.cron", "0 2 * * *", "stored"), ("expect.failures", "2", "stored"), ("expect.rows.output", ">0", "stored"),
        ("retry.on", "exit:75, OSError", "stored"), ("gates[1].kind", "concurrency", "stored"), ("gates[1].limit", "1", "stored"),
        ("gates[2].kind", "window", "stored"), ("gates[2].not", "Sat..Sun", "stored"), ("tasks.load.*.permit", "yes", "stored"),
        ("alert.channels", "none", "stored"), ("trigger[1].webhook", "no", "stored"),
    ]  # fmt: skip
    assert keys(a_policy()) == []


def test_each_key_says_who_set_it():
    """Code, or a stored policy; of a key whose parts come from both, each part, lists and names with dots included."""
    document = {
        "schedule": {"every": "5m"}, "kind": "script",
        "alert": {"channels": ["ops"], "escalate": [{"after": "30m", "to": "oncall"}], "remind": "4h"},
    }  # fmt: skip
    policy = a_policy(document) | {
        "source": {"schedule": "code", "kind": "stored", "alert": "both"},
        "stored": {"kind": "script", "alert": {"escalate": [{"after": "30m", "to": "oncall"}], "channels": ["ops"]}},
        "declared": {"schedule": {"every": "5m"}, "alert": {"remind": "4h"}},
    }
    assert {key: source for key, _, source in keys(policy)} == {
        "schedule.every": "set by code", "kind": "stored", "alert.channels": "stored", "alert.escalate[1].after": "stored",
        "alert.escalate[1].to": "stored", "alert.remind": "set by code",
    }  # fmt: skip


def test_what_a_system_declared_is_set_by_that_system():
    """Airflow's scheduler, say; the last that declared something, not the last version."""
    policy = a_policy({"schedule": {"cron": "0 2 * * *"}}) | {"source": {"schedule": "code"}}
    versions = [a_version(3), a_version(2, origin="code", author="airflow"), a_version(1, origin="code", author="run 1")]
    assert keys(policy, *versions) == [("schedule.cron", "0 2 * * *", "set by airflow")]


def test_versions_say_who_when_and_why():
    """Hostile reasons are text."""
    found = schedules.versions([a_version(2, reason=HOSTILE), a_version(1, origin="code", author="run 1")], BERLIN, NOW)
    assert found == [
        {"version": "v2", "who": "ada", "when": "Fri 20 Nov 10:02", "why": HOSTILE},
        {"version": "v1", "who": "code", "when": "Fri 20 Nov 10:02", "why": ""},
    ]
