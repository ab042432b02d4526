"""What went wrong in a run, and why, as far as it is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dashboard_items import BERLIN, HOSTILE, NIGHT, a_run, nights, said_of_run

from rota_dashboard.shape import failure
from rota_dashboard.shape.failure import Breakage
from rota_dashboard.shape.run import Known

BEFORE = nights(*["succeeded"] * 6)


def error(broke: list[Breakage] | None = None, **fields: Any) -> dict[str, Any]:
    """Of a run with these fields, of which the collector says these other things."""
    known = {name: fields.pop(name) for name in Known._fields if name in fields}
    found = failure.error(said_of_run(a_run(**fields), **known), broke or [], BERLIN)
    assert found is not None
    return found


@pytest.mark.parametrize("state", ["succeeded", "running", "skipped", "queued"])
def test_a_run_of_which_nothing_went_wrong_has_no_error(state):
    """No box without a cause."""
    assert failure.error(said_of_run(a_run(state=state, reason="exit")), [], BERLIN) is None


@pytest.mark.parametrize(
    ("fields", "kind", "message", "tone"),
    [
        ({"state": "failed", "error_type": "ValueError", "error_message": "no", "exit_code": 1, "reason": "exception"},
         "ValueError", "no", "bad"),
        ({"state": "failed", "reason": "exit", "exit_code": 3}, "Failed", "It ended with status 3.", "bad"),
        ({"state": "failed"}, "Failed", "", "bad"),
        ({"state": "failed", "reason": "ada: wrong data", "exit_code": 1}, "Failed", "ada: wrong data", "bad"),
        ({"state": "crashed", "reason": "vanished"}, "Crashed",
         "The process was there and then was not, and left no word: killed, out of memory, or its host went down.", "odd"),
        ({"state": "crashed", "reason": "sigkill", "exit_code": 137}, "Crashed", "sigkill", "odd"),
        ({"state": "timed_out", "reason": "max_duration"}, "Timed out",
         "It ran past its longest duration, and no end was heard of.", "warn"),
        ({"state": "cancelled", "reason": "sigterm", "exit_code": 143}, "Cancelled", "sigterm", "mute"),
        ({"state": "ended", "reason": "process_ended"}, "Ended", "The process is gone, and how it ended nobody saw.", "mute"),
        ({"state": "upstream_failed"}, "Upstream failed", "", "odd"),
        ({"state": "failed", "error_type": HOSTILE, "error_message": HOSTILE}, HOSTILE, HOSTILE, "bad"),
    ],
)  # fmt: skip
def test_each_ending_says_what_is_known_of_it_and_no_more(fields, kind, message, tone):
    """The error, else what a death without words means, else why, else its status."""
    found = error(**fields)
    assert (found["type"], found["message"], found["tone"]) == (kind, message, tone)


def test_a_run_that_was_to_end_says_who_wanted_that():
    """A rule of its policy, or a person: the signal alone tells neither."""
    history = [{"word": "running", "reason": None}, {"word": "cancelling", "reason": "rule 3: nothing left to do"}]
    found = error(state="cancelled", reason="sigterm", history=history)
    assert (found["message"], found["why"]) == ("sigterm", "It was to end: rule 3: nothing left to do.")


def test_the_stack_is_there_as_it_was_printed():
    """Without the blank lines at its end."""
    assert error(state="failed", error_stack=f"Traceback\n  {HOSTILE}\n\n")["stack"] == f"Traceback\n  {HOSTILE}"
    assert error(state="failed", error_stack="")["stack"] is None


def test_a_message_of_many_lines_is_its_first_ones():
    """The stack says the rest."""
    assert error(state="failed", error_message="a\nb")["message"] == "a\nb"
    lines = error(state="failed", error_message="\n".join(map(str, range(100))))["message"].split("\n")
    assert len(lines) < 20
    assert lines[:2] == ["0", "1"]
    assert lines[-1] == "…"


def test_a_very_long_message_or_stack_is_its_head_and_its_tail():
    """What is left out is counted."""
    found = error(state="failed", error_message="m" * 1_000_000, error_stack="s" * 1_000_000)
    for text in (found["message"], found["stack"]):
        assert len(text) < 50_000
        assert "characters left out" in text


def failures(*messages: str, **fields: Any) -> list[dict[str, Any]]:
    return [a_run(state="failed", error_type="ValueError", error_message=message, **fields) for message in messages]


def test_the_same_error_is_counted_whatever_numbers_are_in_it():
    """Of one type and with the same words, however many digits each has."""
    [run] = failures("row 17 of 4998 is bad: 0x1f")
    before = failures("row 4 of 12 is bad: 0x2f", "row 400 of 9 is bad: 0x3f", "no such table", "row 4 of 12 is good: 0x2f")
    assert error(**run, failures=before)["why"] == "Same error as 2 of the last 4 failures."
    assert error(**run, failures=before[:1])["why"] == "Same error as the last failure."
    assert error(**run, failures=failures("a"))["why"] == "Not the error of the last failure."
    assert error(**run, failures=failures("a", "b"))["why"] == "Not the error of any of the last 2 failures."
    other = [each | {"error_type": "OSError"} for each in before]
    assert error(**run, failures=other)["why"].startswith("Not the error")
    crashed = [each | {"state": "crashed"} for each in before]
    assert error(**run, failures=crashed)["why"].startswith("Not the error")


def test_a_bare_exit_status_is_an_error_too():
    """Status 3 is like status 3, and not like status 4."""
    before = [a_run(state="failed", exit_code=code, reason="exit") for code in (3, 4)]
    assert error(state="failed", exit_code=3, reason="exit", failures=before)["why"] == "Same error as 1 of the last 2 failures."


def test_the_first_of_many_good_runs_says_so():
    """None before it went wrong; of a first run of all, and of what somebody cancelled, there is nothing to compare."""
    assert error(state="failed", before=BEFORE)["why"] == "None of the 6 runs before went wrong."
    assert error(state="failed", before=BEFORE[:1])["why"] == "The run before did not go wrong."
    assert error(state="failed")["why"] == ""
    assert error(state="cancelled", before=BEFORE, failures=failures("x"))["why"] == ""


def test_where_it_broke_first_is_said():
    """With the time, and with what broke after that, each name once and not all of them."""
    at = datetime(2026, 11, 23, 1, 13, 5, tzinfo=UTC)
    broke = [Breakage(name, at) for name in ("load", "load", "publish", "mail", "publish", "x", "y")]
    assert error(broke, state="failed")["why"] == "First seen in load at 02:13:05, then in publish, mail and x."
    assert error(broke[:2], state="failed")["why"] == "First seen in load at 02:13:05."
    assert error([Breakage(HOSTILE, at)], state="failed")["why"] == f"First seen in {HOSTILE} at 02:13:05."


def test_what_is_known_is_said_in_sentences():
    """One after the other: how often, where first, when it went well."""
    good = {"run": a_run(NIGHT - timedelta(days=1), 466.0, id="good"), "attributes": {}, "work": []}
    broke = [Breakage("load", datetime(2026, 11, 23, 1, 13, 5, tzinfo=UTC))]
    assert error(broke, state="failed", before=BEFORE, good=good)["why"] == (
        "None of the 6 runs before went wrong. First seen in load at 02:13:05. "
        "The last good run before it (yesterday 02:00) took 7m 46s."
    )


def test_the_last_good_run_is_named_and_linked():
    """When it was, and how long it took."""
    good = {"run": a_run(NIGHT - timedelta(days=1), 466.0, id="good"), "attributes": {}, "work": []}
    found = error(state="failed", good=good)
    assert (found["why"], found["good"]) == ("The last good run before it (yesterday 02:00) took 7m 46s.", "/run?id=good")
