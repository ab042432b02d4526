"""A run: its name and its state in a few facts, and its figures."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from dashboard_items import BERLIN, NIGHT, NOW, a_run, a_slot, iso, nights, said_of_run, some_work

from rota.wire import names
from rota_dashboard.shape import run as page

BEFORE = nights(*["succeeded"] * 6)
MEMORY, USER, SYSTEM = names.MEMORY_PEAK, names.CPU_USER, names.CPU_SYSTEM


def head(run: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return page.head(said_of_run(run, **fields), BERLIN, None)


def test_it_is_named_by_its_slot_else_by_its_start():
    """As people call it: the run of two o'clock, although it began at four past."""
    late = a_run(NIGHT + timedelta(minutes=4), slot_at=iso(NIGHT))
    assert head(late)["title"] == "Run of today 02:00"
    assert head(a_run())["title"] == "Run of today 02:00"
    assert head(a_run(None, None, state="queued"))["title"] == "Run"


@pytest.mark.parametrize(
    ("fields", "verdict", "state", "tone"),
    [
        ({}, "on_time", "succeeded", "good"),
        ({}, "late", "late", "warn"),
        ({"state": "failed"}, "late", "failed", "bad"),
        ({"state": "crashed", "reason": "vanished"}, None, "crashed (vanished)", "odd"),
        ({"state": "timed_out", "reason": "max_duration"}, None, "timed out (max duration)", "warn"),
        ({"state": "upstream_failed"}, None, "upstream failed", "odd"),
        ({"state": "ended", "reason": "unseen"}, None, "ended (unseen)", "mute"),
        ({"took": None}, None, "running", "live"),
    ],
)
def test_its_state_is_said_with_the_reason(fields, verdict, state, tone):
    """A success that came late is late; how a run ended that nobody saw is not guessed."""
    found = head(a_run(**fields), slot=a_slot(verdict=verdict) if verdict else None)
    assert (found["state"], found["tone"]) == (state, tone)


def test_its_facts_stand_in_a_line():
    """Start and host, attempt, exit status, how long against the usual, who told it; only what is known."""
    ran = a_run(took=300.0, attempt=2, exit_code=0, source="exec")
    assert head(ran, before=BEFORE)["facts"] == [
        "started 02:00:00 on etl-2", "attempt 2", "exit status 0",
        "5m 00s, longer than usual (usual 1m 40s to 1m 40s)", "told by exec",
    ]  # fmt: skip
    assert head(a_run(None, None, state="queued", host=None))["facts"] == ["told by sdk"]


@pytest.mark.parametrize(
    ("took", "state", "text"),
    [
        (100.0, "succeeded", "1m 40s (usual 1m 40s to 1m 40s)"),
        (3.0, "succeeded", "3 s, shorter than usual (usual 1m 40s to 1m 40s)"),
        (3.0, "failed", "3 s, stopped early (usual 1m 40s to 1m 40s)"),
        (999.0, "failed", "16m 39s, longer than usual (usual 1m 40s to 1m 40s)"),
    ],
)
def test_how_long_it_took_is_held_against_the_usual(took, state, text):
    """Of the good runs before it; what failed stopped early."""
    assert text in head(a_run(took=took, state=state), before=BEFORE)["facts"]
    assert (
        head(a_run(took=took, state=state), before=nights("failed", "failed"))["facts"][1]
        == text.partition(" (")[0].partition(",")[0]
    )


def test_the_usual_is_that_of_good_runs_whose_length_is_known():
    """Others tell nothing."""
    unknown = a_run(duration_seconds=None)
    failed = nights("failed", took=5.0)
    assert page.usual_of([*nights(*["succeeded"] * 5), unknown, *failed]) == (100.0, 100.0)
    assert page.usual_of([*nights(*["succeeded"] * 4), unknown, *failed]) is None


def test_old_data_says_so():
    """And by which clock it was told."""
    found = page.head(said_of_run(a_run()), BERLIN, "away since 09:02")
    assert (found["away"], found["now"]) == ("away since 09:02", NOW.timestamp() * 1000)


def test_a_run_under_way_ticks_and_is_live():
    """From its start; and for a minute after its end more may come."""
    assert head(a_run(took=None))["since"] == round(NIGHT.timestamp() * 1000)
    assert head(a_run())["since"] is None
    assert said_of_run(a_run(took=None)).is_live
    assert [said_of_run(a_run(NOW - timedelta(seconds=ago), 0)).is_live for ago in (30, 90)] == [True, False]


def test_it_leads_to_its_workflow_and_to_the_run_that_started_it():
    """A child run says whose it is."""
    found = head(a_run(workflow="a/b", parent_run_id="p&1"))
    assert (found["workflow"]["href"], found["parent"]) == ("/workflow?name=a%2Fb", "/run?id=p%261")
    assert head(a_run())["parent"] is None


def figures(spans: int = 0, run: dict[str, Any] | None = None, **fields: Any) -> list[tuple[str, str]]:
    return [(each["value"], each["label"]) for each in page.figures(said_of_run(run or a_run(), **fields), spans)]


def test_its_figures_are_time_work_what_it_recorded_and_what_it_used():
    """Three facts at most; memory and CPU where they were measured."""
    attributes = {
        "rows_loaded": 2000,
        "share": 0.25,
        "cost": 1234567.5,
        "fourth": 4,
        MEMORY: 1_900_000_000,
        USER: 2.0,
        SYSTEM: 0.5,
    }
    assert figures(50_000, attributes=attributes, before=nights(*["succeeded"] * 5)) == [
        ("2.5 s", "duration, usual 1m 40s to 1m 40s"), ("50,000", "spans"), ("2,000", "rows loaded"), ("0.25", "share"),
        ("1,234,568", "cost"), ("1.9 GB", "peak memory"), ("100 %", "CPU of one core"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("run", "value"),
    [(a_run(took=None), "running"), (a_run(None, None, state="queued"), "waiting"), (a_run(duration_seconds=None), "–")],
)
def test_a_duration_that_is_not_known_is_none(run, value):
    """It runs, or nobody knows; without one there is no share of a core."""
    assert figures(1, run, attributes={USER: 2.0, SYSTEM: 1.0}) == [(value, "duration"), ("1", "span")]


def test_facts_are_numbers_that_the_run_recorded_else_those_of_its_tasks():
    """Added up; what is true or false is no number, and names with dots are the process's."""
    work = [some_work("a", facts={"rows": 2, "bytes": 10}), some_work("b", facts={"rows": 3.5})]
    of_tasks = said_of_run(a_run(), attributes={"full": True, "day": "2026-11-23", "host.cores": 4}, work=work)
    assert page.facts(of_tasks) == {"rows": 5.5, "bytes": 10}
    assert page.facts(of_tasks._replace(attributes={"rows": 1})) == {"rows": 1}
