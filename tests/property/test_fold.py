"""Folding run events: the same events derive the same run, however they arrive, and the right word wins."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rota.rules.fold import STATES, TERMINAL, RunEvent, error_of, fold

SECOND = 10**9
SOURCES = ("sdk", "agent", "exec", "ping", "person")


def event(n: int, state: str, **fields) -> RunEvent:
    """The ``n``th event of a run, a second after the one before."""
    return RunEvent(**{"event_id": f"e{n}", "run_id": "r", "workflow": "w", "state": state, "at_ns": n * SECOND, **fields})


def folded(events):
    run = None
    for each in events:
        run = fold(run, each)
    return run


events = st.lists(
    st.builds(
        RunEvent,
        event_id=st.uuids().map(str),
        run_id=st.just("r"),
        workflow=st.sampled_from(("a", "b")),
        state=st.sampled_from(STATES),
        at_ns=st.integers(0, 20).map(lambda n: n * SECOND),
        attempt=st.integers(1, 3),
        source=st.sampled_from(SOURCES),
        reason=st.sampled_from((None, "vanished", "max_duration", "retry")),
        started_ns=st.none() | st.integers(0, 20).map(lambda n: n * SECOND),
        slot_ns=st.none() | st.integers(0, 3).map(lambda n: n * SECOND),
        exit_code=st.none() | st.integers(0, 255),
        error_type=st.sampled_from((None, "ValueError", "OSError")),
        error_message=st.sampled_from((None, "boom")),
        tags=st.sampled_from(((), ("x",), ("x", "y"))),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda each: each.event_id,
)


@given(events, st.data())
def test_any_order_and_duplication_of_the_same_events_is_the_same_run(given_events, data):
    """Delay, reordering and retries on the way change nothing about what a run turns out to be."""
    again = data.draw(st.lists(st.sampled_from(given_events), max_size=5))
    assert folded(data.draw(st.permutations(given_events + again))) == folded(given_events)


@given(events, events)
def test_folding_in_pieces_is_folding_at_once(first, second):
    """A run that was stored between two batches goes on as if it had not been."""
    run = folded(first)
    for each in second:
        run = fold(run, each)
    assert run == folded(first + second)


@given(events)
def test_a_run_has_ended_exactly_when_its_state_is_terminal(given_events):
    """`ended_at` stands beside every terminal state and beside no other."""
    run = folded(given_events)
    assert (run.ended_ns is not None) == (run.state in TERMINAL)


@given(st.permutations([event(1, "running"), event(2, "succeeded"), event(9, "crashed", source="agent", reason="vanished")]))
def test_what_really_happened_beats_what_was_inferred(order):
    """A run that was thought to have vanished and then reports its end has that end, whenever the guess was made."""
    run = folded(order)
    assert (run.state, run.reason, run.ended_ns) == ("succeeded", None, 2 * SECOND)


@given(st.permutations([event(1, "running"), event(2, "succeeded"), event(3, "crashed", source="agent", exit_code=-11)]))
def test_an_exit_status_seen_from_outside_outranks_the_process(order):
    """A process that says it succeeded and then dies with SIGSEGV has crashed."""
    assert folded(order).state == "crashed"


@given(
    st.permutations(
        [event(1, "running"), event(2, "failed"), event(3, "succeeded", source="person"), event(4, "failed", source="exec")]
    )
)
def test_a_person_outranks_everybody(order):
    """The outcome that a person set stays, whatever else arrives."""
    assert folded(order).state == "succeeded"


@given(st.permutations([event(5, "succeeded", started_ns=SECOND), event(1, "running")]))
def test_a_start_that_arrives_late_fills_in_the_start_and_revives_nothing(order):
    """A run whose end came first stays ended, with the start and the duration that both events tell."""
    run = folded(order)
    assert (run.state, run.started_ns, run.ended_ns) == ("succeeded", SECOND, 5 * SECOND)


def test_an_end_alone_has_the_start_that_it_repeats():
    """The end event carries the start, so that one lost event does not lose the duration."""
    assert folded([event(5, "failed", started_ns=2 * SECOND)]).started_ns == 2 * SECOND


@given(st.permutations([event(1, "running"), event(2, "failed"), event(3, "running", attempt=2)]))
def test_a_rerun_opens_the_run_again_under_a_new_attempt(order):
    """The later attempt decides the state, even while it is only running."""
    run = folded(order)
    assert (run.state, run.attempt, run.ended_ns) == ("running", 2, None)


@given(st.permutations([event(1, "failed", error_type="OSError", error_message="disk"), event(2, "succeeded", attempt=2)]))
def test_the_error_of_an_attempt_that_was_repaired_is_not_shown(order):
    """A run that succeeded on its second attempt shows no error of the first."""
    assert error_of(folded(order)) == (None, None, None)


@given(
    st.permutations(
        [event(2, "failed", error_type="OSError", error_message="disk"), event(3, "failed", source="agent", exit_code=1)]
    )
)
def test_the_exit_status_from_outside_keeps_the_error_from_inside(order):
    """The agent knows the exit code and not why: the process's own exception stays with the run."""
    run = folded(order)
    assert (run.exit_code, error_of(run)[:2]) == (1, ("OSError", "disk"))
