"""The head, the figures and the runs of a workflow."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any

import pytest
from dashboard_items import (
    BERLIN,
    HOSTILE,
    NIGHT,
    NOW,
    a_policy,
    a_run,
    a_slot,
    a_version,
    a_workflow,
    an_incident,
    iso,
    nights,
    said_of_workflow,
)

from rota_dashboard.shape import workflow as page

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def head(**fields: Any) -> dict[str, Any]:
    return page.head(said_of_workflow(**fields), BERLIN, None)


def figures(*latest: dict[str, Any], **of_workflow: Any) -> dict[str, str]:
    known = said_of_workflow(workflow=a_workflow(**of_workflow), latest=list(latest))
    return {each["label"]: each["value"] for each in page.figures(known, BERLIN)}


def test_its_head_says_how_it_is_and_what_is_expected_of_it():
    """Its name and family, the last outcome, schedule, hosts and policy in words."""
    policy = a_policy({"schedule": {"cron": "0 2 * * *", "tz": "Europe/Berlin", "grace": "15m"}})
    found = head(policy=policy, versions=[a_version()], latest=nights("succeeded", "succeeded"))
    assert (found["name"], found["crumb"], found["state"], found["tone"]) == ("etl.nightly", "etl", "succeeded", "good")
    assert found["facts"] == [
        "Every day at 02:00 Europe/Berlin, 15 min grace", "runs on etl-2", "policy v1 by ada, 20 Nov 2026"
    ]  # fmt: skip


def test_a_workflow_that_never_ran_says_so():
    """It is neither good nor bad, and every part of its page is there."""
    never = a_workflow(state=None, last_run=None, success_rate_30d=None, outcomes=[])
    found = head(workflow=never)
    assert (found["state"], found["tone"], found["facts"]) == ("never ran", "mute", ["Not scheduled", "no policy"])
    assert set(figures(success_rate_30d=None).values()) == {"–", "0"}
    known = said_of_workflow(workflow=never)
    assert page.history(known, {"items": [], "next": None}, "", None, BERLIN)["rows"] == []


@pytest.mark.parametrize(
    ("outcome", "state", "tone"),
    [
        ("missed", "missed", "bad"),
        ("late", "late", "warn"),
        ("timed_out", "timed out", "warn"),
        ("unknown", "unknown", "mute"),
        ("running", "running", "live"),
        ("crashed", "crashed", "odd"),
    ],
)
def test_its_state_is_its_last_outcome(outcome, state, tone):
    """A slot that was missed since the last run counts as one."""
    found = head(workflow=a_workflow(outcomes=["succeeded", "failed", outcome]))
    assert (found["state"], found["tone"]) == (state, tone)


def test_a_paused_workflow_has_no_next_slot():
    """What is not expected is not counted down to."""
    due = a_workflow(next_due_at=iso(NOW + DAY))
    assert head(workflow=due)["due"] == round((NOW + DAY).timestamp() * 1000)
    assert head(workflow=due | {"paused": True})["due"] is None


def test_the_hosts_on_which_it_mostly_runs_are_named():
    """Three of them, the most usual first; none when none was told."""
    hosts = ["a", "b", "b", "c", "c", "c", "d", None]
    latest = [run | {"host": host} for run, host in zip(nights(*["succeeded"] * 8), hosts, strict=True)]
    assert "runs on c, b and a" in head(latest=latest)["facts"]
    assert len(head(latest=[a_run(host=None)])["facts"]) == 2


def test_a_lamp_is_hollow_where_nothing_is_reported():
    """And says in words what is, and whether something went wrong there."""
    levels = [
        {"level": "code", "signals": ["tasks", "output"], "is_failing": True},
        {"level": "data", "signals": [], "is_failing": False},
    ]
    assert head(signals={"runs": 3, "levels": levels})["lamps"] == [
        {"level": "code", "on": True, "bad": True, "says": "tasks and output; something went wrong there in the last run"},
        {"level": "data", "on": False, "bad": False, "says": "does not report"},
    ]


def test_an_open_incident_says_what_is_wrong_and_what_went_well_last():
    """The cause as a sentence, in the zone of the schedule, then the last success, and links to both."""
    missed = an_incident(kind="missed", due_at=iso(NIGHT), summary="no run started within 15 min of its time", run_id=None)
    policy = a_policy({"schedule": {"cron": "0 10 * * *", "tz": "Asia/Tokyo"}})
    [cause] = head(incidents=[missed], policy=policy, latest=nights("failed", "succeeded"))["causes"]
    assert cause == {
        "href": "/incident?id=i1", "title": "Missed its 10:00 slot", "tone": "bad", "run": None, "state": None,
        "detail": "No run started within 15 min of its time. The last run that succeeded ended yesterday 02:01.",
    }  # fmt: skip


def test_a_cause_says_why_nobody_was_told():
    """Another workflow's incident explains it, or one speaks for several; who took it is said by its state."""
    causes = head(incidents=[
        an_incident("1", suppressed_by="up"), an_incident("2", group_id="g"),
        an_incident("3", state="acknowledged", acked_by="ada", error=HOSTILE),
    ])["causes"]  # fmt: skip
    assert [each["detail"] for each in causes] == [
        "A workflow that this one needs is broken, so nobody was told.",
        "It is one of several with a common cause.",
        f"{HOSTILE}.",
    ]
    assert [(each["state"], each["run"]) for each in causes][2] == ("acknowledged", "/run?id=0193-1")


def test_five_figures_say_how_it_usually_goes():
    """Success, the middle and the long end of what good runs took, how long nothing went wrong, when it starts."""
    latest = [
        run | {"duration_seconds": took}
        for run, took in zip(nights(*["succeeded"] * 5, "failed"), (60, 70, 80, 90, 600, 1), strict=True)
    ]
    assert figures(*latest) == {
        "succeeded, 30 days": "97.6 %", "median duration": "1m 20s", "95th percentile": "8m 18s",
        "runs since one went wrong": "5", "usual start": "02:00",
    }  # fmt: skip


def test_a_streak_longer_than_what_is_known_is_at_least_so_long():
    """Of the runs that were asked for none went wrong, and of those before nobody asked."""
    assert figures(*nights(*["succeeded"] * page.BARS))["runs since one went wrong"] == "at least 120"
    assert figures(*nights(*["succeeded"] * 3))["runs since one went wrong"] == "3"


@pytest.mark.parametrize(
    ("minutes", "text"),
    [
        ([0, 2, 4], "02:02"),
        ([-125, -118, -121], "23:59"),  # around midnight
        ([0, 1, 600, 900], "02:00"),
        ([0, 2, 4, 300], "02:02"),  # what lies elsewhere does not move it
        ([0, 300, 600, 900], "–"),  # all over the day
        ([0, 0], "–"),  # too few
    ],
)
def test_the_usual_start_is_the_time_around_which_half_of_the_starts_lie(minutes, text):
    """Also when that is midnight; where there is no such time none is said."""
    latest = [a_run(NIGHT - n * DAY + after * MINUTE) for n, after in enumerate(minutes)]
    assert figures(*latest)["usual start"] == text


def test_the_usual_start_is_by_the_clock_on_the_wall():
    """A job at 02:30 in Berlin starts at 02:30 in winter and in summer."""
    summer = NIGHT - 120 * DAY - timedelta(hours=1)
    latest = [a_run(at + n * DAY) for at in (NIGHT, summer) for n in range(4)]
    known = said_of_workflow(latest=latest)
    assert page.figures(known, BERLIN)[-1]["value"] == "02:00"
    assert page.figures(known, UTC)[-1]["value"] != "02:00"


def test_its_runs_are_filtered_and_paged_by_links():
    """The filter stays from page to page; hostile names are quoted."""
    known = said_of_workflow(workflow=a_workflow(name="a&b c"))
    found = page.history(known, {"items": nights("failed"), "next": "CURSOR"}, "bad", "before", BERLIN)
    assert found["older"] == "/workflow?name=a%26b%20c&show=bad&from=CURSOR"
    assert found["newest"] == "/workflow?name=a%26b%20c&show=bad"
    assert [(each["text"], each["on"]) for each in found["filters"]] == [
        ("All", False), ("Went wrong", True), ("Running", False), ("Succeeded", False)
    ]  # fmt: skip
    assert found["filters"][0]["href"] == "/workflow?name=a%26b%20c"
    assert set(page.FILTERS) == set(page.STATES)


def test_empty_slots_are_among_all_runs_and_not_among_some():
    """Who asks for what went wrong is shown runs; verdicts stand at them all the same."""
    slots = [a_slot(NIGHT - DAY, "missed"), a_slot(run_id="r0", verdict="late", started_at=iso(NIGHT + 30 * MINUTE))]
    known = said_of_workflow(slots=slots)
    listed = {"items": nights("succeeded"), "next": None}
    everything = page.history(known, listed, "", None, BERLIN)["rows"]
    some = page.history(known, listed, "succeeded", None, BERLIN)["rows"]
    assert [row["mark"] for row in everything] == ["l", "m"]
    assert [row["mark"] for row in some] == ["l"]
