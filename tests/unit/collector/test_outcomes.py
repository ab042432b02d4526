"""What became of the last occurrences, in one word each; how long is usual; what a workflow reports."""

from __future__ import annotations

from collections import Counter

from rota_collector.domain.outcomes import KEPT, Noted, Runs, outcomes, usual_ns
from rota_collector.domain.signals import LEVELS, lamps

S = 10**9


def ran(*states: str) -> Runs:
    """Runs in these states, given the oldest first, 100 s apart, each 10 s long."""
    count = len(states)
    at = [100 * S * n for n in range(count)]
    ends = [None if state == "running" else start + 10 * S for state, start in zip(states, at, strict=True)]
    return Runs([f"r{n}" for n in range(count)][::-1], list(states)[::-1], at[::-1], ends[::-1])


def test_an_outcome_is_the_state_of_its_run():
    """The oldest first, as they are read."""
    assert outcomes(ran("succeeded", "failed", "running"), []) == ["succeeded", "failed", "running"]


def test_a_success_that_came_late_is_late_and_a_late_failure_failed():
    """What is worse is said."""
    noted = [Noted(0, "late", "r0"), Noted(100 * S, "late", "r1")]
    assert outcomes(ran("succeeded", "failed"), noted) == ["late", "failed"]


def test_a_slot_to_which_no_run_came_stands_at_its_time():
    """Missed, unknown and skipped occurrences have their place among the runs."""
    noted = [Noted(50 * S, "missed", None), Noted(160 * S, "unknown", None), Noted(150 * S, "skipped", None)]
    assert outcomes(ran("succeeded", "succeeded"), noted) == ["succeeded", "missed", "succeeded", "skipped", "unknown"]


def test_a_run_that_was_skipped_is_one_occurrence():
    """Its slot names it, and is not counted beside it."""
    assert outcomes(ran("skipped"), [Noted(0, "skipped", "r0")]) == ["skipped"]


def test_only_the_last_thirty_are_kept():
    """Slots and runs together."""
    noted = [Noted(100 * S * n + 50 * S, "missed", None) for n in range(KEPT)]
    assert outcomes(ran(*["succeeded"] * KEPT), noted) == ["succeeded", "missed"] * (KEPT // 2)


def test_the_usual_band_is_of_the_successful_runs_before_the_last():
    """The last one is held against it, so it does not make it; failures end early and tell nothing."""
    assert usual_ns(ran(*["succeeded"] * 5)) is None
    assert usual_ns(ran("failed", *["succeeded"] * 5)) is None
    assert usual_ns(ran(*["succeeded"] * 5, "failed", "running")) == (10 * S, 10 * S)


def test_a_lamp_names_what_its_level_reports():
    """In words; a level without any is dark."""
    found = {lamp.level: lamp for lamp in lamps(Counter(hosts=3, exit_codes=2, tasks=5, facts=1))}
    assert found["infrastructure"].signals == ["host", "exit status"]
    assert found["code"].signals == ["tasks"]
    assert found["data"].signals == ["numbers"]
    assert found["systems"].signals == []
    assert list(found) == list(LEVELS)


def test_a_lamp_shows_that_something_went_wrong_there():
    """A failed call of another system is of the systems, a failed task of the code."""
    found = {lamp.level: lamp.is_failing for lamp in lamps(Counter(tasks=1, systems=2, failed_systems=1))}
    assert found == {"infrastructure": False, "code": False, "data": False, "systems": True}
