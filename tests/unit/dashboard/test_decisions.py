"""What gates said to a run, and its attempts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from dashboard_items import BERLIN, HOSTILE, NIGHT, a_decision, a_run, an_attempt

from rota_dashboard.shape import decisions


def rows(*found: dict[str, Any], is_live: bool = False) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = decisions.decisions(list(found), BERLIN, is_live=is_live)["rows"]
    return made


def test_how_long_it_waited_is_counted_from_the_first_wait():
    """Of the same question; the wait itself has no such time."""
    held = a_decision("wait", reason="1 of 1 in use", gate=0, kind="concurrency")
    other = a_decision("wait", NIGHT + timedelta(seconds=5), ticket="t2", task="load")
    found = rows(held, other, a_decision("go", NIGHT + timedelta(seconds=90)))
    assert [(row["answer"], row["waited"]) for row in found] == [("wait", ""), ("wait", ""), ("go", "1m 30s")]
    assert (found[0]["gate"], found[1]["who"], found[2]["gate"]) == ("concurrency 1", "load", "all")
    assert found[0]["at"] == "02:00:00"


def test_one_that_still_waits_goes_on_waiting():
    """While the run is under way, and as long as nothing else was said to that question."""
    assert rows(a_decision("wait"), is_live=True)[0]["since"] == NIGHT.timestamp() * 1000
    assert rows(a_decision("wait"), a_decision("go"), is_live=True)[0]["since"] is None
    assert rows(a_decision("wait"))[0]["since"] is None


@pytest.mark.parametrize(
    ("source", "blind"), [("collector", False), ("agent", False), (None, False), ("sdk", True), ("exec", True)]
)
def test_what_was_decided_while_nobody_answered_is_blind(source: str | None, blind: bool):
    """The collector and the agent see; a run that decides for itself does not."""
    assert rows(a_decision(source=source))[0]["blind"] is blind


def test_what_is_said_again_and_again_is_one_row():
    """A function in a loop; another answer in between begins a new one."""
    go = [a_decision(task="load", ticket=str(n)) for n in range(4)]
    found = rows(*go, a_decision("deny", task="load", reason="no rows"), *go[:1])
    assert [(row["answer"], row["times"]) for row in found] == [("go", 4), ("deny", 1), ("go", 1)]


def test_of_very_many_it_shows_the_first():
    """And says how many there are beside."""
    many = [a_decision(task=f"load_{n}") for n in range(decisions.SHOWN + 7)]
    found = decisions.decisions(many, BERLIN, is_live=False)
    assert (len(found["rows"]), found["more"]) == (decisions.SHOWN, 7)


def test_each_gate_says_what_it_rests_on():
    """With its facts as text, whatever they are."""
    facts = {"asked_ns": 1_795_000_000 * 10**9, "frees_seconds": 90, "ok": False, "x": [1], "by": None, "y_ns": 1e300}
    answers = [
        {"gate": 0, "kind": "probe", "answer": "deny", "reason": HOSTILE, "facts": facts},
        7,
    ]
    (row,) = rows(a_decision("deny", answers=answers, gate=-1, kind="pause"))
    assert row["gate"] == "pause"
    (said,) = row["answers"]
    assert (said["kind"], said["answer"], said["reason"]) == ("probe", "deny", HOSTILE)
    assert [(each["name"], each["value"]) for each in said["facts"]] == [
        ("asked", "2026-11-18 12:06:40"), ("frees", "1m 30s"), ("ok", "no"), ("x", "1"), ("y", "9999-01-01 01:00:00"),
    ]  # fmt: skip


def test_attempts_are_shown_where_there_was_more_than_one():
    """How each went, with its own error and exit status."""
    failed = an_attempt(1, reason="exit", error_type="OSError", error_message=HOSTILE)
    last = an_attempt(2, "running", exit_code=None, duration_seconds=None, ended_at=None)
    first, second = decisions.attempts(a_run(attempts=[failed, last]), BERLIN)
    assert (first["mark"], first["state"], first["reason"], first["took"], first["exit"]) == ("f", "failed", "exit", "2 s", "1")
    assert first["error"].startswith("OSError: <img src=x")
    assert (second["took"], second["exit"]) == ("–", "–")
    assert second["since"] == (NIGHT + timedelta(minutes=2)).timestamp() * 1000
    assert decisions.attempts(a_run(attempts=[failed]), BERLIN) == []
