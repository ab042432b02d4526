"""Runs, and slots to which none came, as rows of a list."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from dashboard_items import BERLIN, HOSTILE, NIGHT, NOW, a_run, a_slot, iso

from rota_dashboard.shape import runs

DAY = timedelta(days=1)


def row(run: dict[str, Any], slot: dict[str, Any] | None = None, **how: Any) -> dict[str, Any]:
    return runs.row(run, slot, BERLIN, NOW, **how)


def merged(some: list[Any], slots: list[Any], *, is_last: bool = True) -> list[dict[str, Any]]:
    return runs.merged(some, slots, BERLIN, NOW, is_last=is_last)


def test_a_run_is_a_line():
    """Its shape, when it began, how it ended and how long it took, with a link to it."""
    assert row(a_run()) == {
        "mark": "s", "href": "/run?id=0193-1", "name": None, "when": "Today 02:00", "state": "succeeded", "verdict": "",
        "took": 2.5, "since": None, "note": "on etl-2", "at": 1_795_395_600_000,
    }  # fmt: skip
    assert row(a_run(), with_name=True)["name"] == "etl.nightly"


def test_a_run_under_way_ticks():
    """Its length is counted from its start."""
    assert (row(a_run(took=None))["since"], row(a_run(took=None))["took"]) == (1_795_395_600_000, None)


@pytest.mark.parametrize(
    ("state", "verdict", "mark", "said"),
    [
        ("succeeded", "on_time", "s", "on time"), ("succeeded", "late", "l", "30m 00s late"),
        ("failed", "late", "f", "30m 00s late"), ("succeeded", "early", "s", "30m 00s early"), ("succeeded", None, "s", ""),
    ],
)  # fmt: skip
def test_how_punctual_it_was_stands_beside_it(state, verdict, mark, said):
    """By how much, where it was not on time; a late failure is a failure."""
    slot = a_slot(verdict=verdict, started_at=iso(NIGHT + timedelta(minutes=30)))
    found = row(a_run(state=state), slot)
    assert (found["mark"], found["verdict"]) == (mark, said)


def test_a_late_slot_without_a_start_is_late_by_nobody_knows_how_much():
    """The word alone."""
    assert row(a_run(), a_slot(verdict="late", started_at=None))["verdict"] == "late"


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({}, ""),
        ({"host": "etl-2"}, "on etl-2"),
        ({"attempt": 3, "host": "etl-2"}, "attempt 3 · on etl-2"),
        ({"error_type": "ValueError", "error_message": "no\nmore", "exit_code": 1, "reason": "exception"}, "ValueError: no"),
        ({"error_message": HOSTILE}, HOSTILE),
        ({"error_type": "ValueError"}, "ValueError"),
        ({"reason": "max_duration"}, "max duration"),
        ({"reason": "exit", "exit_code": 3}, "exit status 3"),
        ({"reason": "exit", "exit_code": 0}, ""),
        ({"exit_code": 3}, "exit status 3"),
        ({"reason": "sigkill", "exit_code": 137}, "sigkill"),
        ({"reason": "ada: checked by hand", "exit_code": 1}, "ada: checked by hand"),
    ],
)
def test_its_note_says_the_most_telling_thing(fields, note):
    """The error, else why it ended so, else its exit status; how often it was tried, and where."""
    assert runs.note(a_run(**{"host": None, **fields})) == note


@pytest.mark.parametrize(
    ("verdict", "reason", "mark", "note"),
    [
        ("missed", None, "m", "no run seen by 02:15"),
        ("unknown", None, "?", "the collector was away"),
        ("unknown", "not watched yet", "?", "not watched yet"),
        ("skipped", "paused by ada", "k", "paused by ada"),
        ("skipped", None, "k", ""),
    ],
)
def test_a_slot_to_which_no_run_came_is_a_line_without_a_link(verdict, reason, mark, note):
    """What is not known is not called missed, and why it was skipped is said."""
    found = runs.empty_slot(a_slot(verdict=verdict, reason=reason), BERLIN, NOW)
    assert (found["mark"], found["state"], found["note"], found["href"]) == (mark, verdict, note, None)
    assert (found["when"], found["at"]) == ("Today 02:00", 1_795_395_600_000)
    assert (found["took"], found["since"], found["name"], found["verdict"]) == (None, None, None, "")


def test_a_slot_of_a_host_names_it():
    """Each host has its own."""
    assert runs.empty_slot(a_slot(verdict="missed", host="etl-2"), BERLIN, NOW)["note"] == "no run seen by 02:15 · on etl-2"


def test_runs_and_empty_slots_stand_in_the_order_of_their_time():
    """The newest first; a slot that a run filled is no line of its own, but its verdict is at the run."""
    some = [a_run(id="b", state="failed"), a_run(NIGHT - 2 * DAY, id="a")]
    slots = [
        a_slot(run_id="b", verdict="late"), a_slot(NIGHT - DAY, "missed"), a_slot(NIGHT - 2 * DAY, run_id="a"),
        a_slot(NIGHT + DAY, None), a_slot(NIGHT - 3 * DAY, "unknown"),
    ]  # fmt: skip
    rows = merged(some, slots)
    assert [(each["mark"], each["when"]) for each in rows] == [
        ("f", "Today 02:00"), ("m", "Yesterday 02:00"), ("s", "Sat 21 Nov 02:00"), ("?", "Fri 20 Nov 02:00")
    ]  # fmt: skip
    assert rows[2]["verdict"] == "on time"


def test_a_page_shows_the_empty_slots_of_its_own_time():
    """Older ones belong to a later page; on the last page all are shown, and where nothing ever ran too."""
    slots = [a_slot(NIGHT - DAY, "missed"), a_slot(NIGHT - 3 * DAY, "missed")]
    some = [a_run(), a_run(NIGHT - 2 * DAY, id="a")]
    assert [each["mark"] for each in merged(some, slots, is_last=False)] == ["s", "m", "s"]
    assert [each["mark"] for each in merged(some, slots, is_last=True)] == ["s", "m", "s", "m"]
    assert [each["mark"] for each in merged([], slots)] == ["m", "m"]
    assert merged([], []) == []


def test_a_run_that_waits_to_start_keeps_its_place():
    """It has no time yet, is listed where the collector put it, and brings no slots of long ago with it."""
    waiting = a_run(None, None, id="q", state="queued")
    slots = [a_slot(NIGHT - 9 * DAY, "missed")]
    rows = merged([waiting, a_run(), a_run(NIGHT - DAY, id="a")], slots, is_last=False)
    assert [(each["mark"], each["when"]) for each in rows] == [("w", "–"), ("s", "Today 02:00"), ("s", "Yesterday 02:00")]
    assert not rows[0]["since"]


def test_a_run_of_which_only_the_end_was_told_is_listed_by_it():
    """A ping at the end of a job says nothing of its start."""
    assert row(a_run(None, ended_at=iso(NIGHT), duration_seconds=None))["when"] == "Today 02:00"
