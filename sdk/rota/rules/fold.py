"""Run events -> the state of a run.

A run is folded from its events one at a time, in whatever order they come. Every field is a *register*: a value and
the sort key of the event that set it; the event with the greatest key wins (the smallest, for what is known first).
Taking a maximum is associative, commutative and idempotent, so any order, duplication or delay of the same events
gives the same run. Keys are strings that sort, so a database can fold too: ``arg_max(state, state_key)``.
"""

from __future__ import annotations

from typing import NamedTuple

from rota.rules.declared import Declared

NONTERMINAL = ("scheduled", "queued", "blocked", "starting", "running", "paused", "retry_wait", "cancelling")
TERMINAL = ("succeeded", "failed", "timed_out", "crashed", "cancelled", "skipped", "upstream_failed", "ended")
STATES = NONTERMINAL + TERMINAL
RESULTS = {  # what OpenTelemetry's conventions for CI/CD call how something ended
    "succeeded": "success", "failed": "failure", "timed_out": "timeout", "crashed": "error", "cancelled": "cancellation",
    "skipped": "skip", "upstream_failed": "skip",
}  # fmt: skip

# Who is believed, among terminal words of the same attempt. Evidence beats inference; what was seen from outside
# (an exit status) outranks the process's own word; a person outranks everybody.
_INFERRED, _OWN_WORD, _OUTSIDE, _PERSON = 20, 30, 40, 50
_EVIDENCE = {"agent": _OUTSIDE, "exec": _OUTSIDE, "person": _PERSON}
_INFERRED_REASONS = ("vanished", "max_duration", "process_ended")

# Before the end, later stages outrank earlier ones; stages that alternate share a rank, and time decides.
_PROGRESS = {
    "scheduled": 1,
    "queued": 2,
    "blocked": 3,
    "starting": 4,
    "running": 5,
    "paused": 5,
    "retry_wait": 5,
    "cancelling": 6,
}


class RunEvent(NamedTuple):
    """One ``rota.run.state`` record as decoded from the wire. ``*_ns`` are Unix times; run and trace ids lower-case."""

    event_id: str
    run_id: str
    workflow: str
    state: str
    at_ns: int
    attempt: int = 1
    source: str = "sdk"
    reason: str | None = None
    raw_state: str | None = None
    started_ns: int | None = None
    slot_ns: int | None = None
    exit_code: int | None = None
    error_type: str | None = None
    error_message: str | None = None
    error_stack: str | None = None
    host: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    parent_run_id: str | None = None
    tags: tuple[str, ...] = ()
    declared: Declared | None = None  # what the code says about its workflow; no part of the run's state


class Run(NamedTuple):
    """A run as its events tell it so far. Each ``*_key`` is of the event that set the fields under it."""

    run_id: str
    started_ns: int | None
    slot_ns: int | None
    state_key: str
    state: str
    attempt: int
    source: str
    reason: str | None
    raw_state: str | None
    exit_code: int | None
    ended_ns: int | None
    error_key: str
    error_type: str | None
    error_message: str | None
    error_stack: str | None
    first_key: str
    workflow: str
    host: str | None
    trace_id: str | None
    span_id: str | None
    parent_run_id: str | None
    tags: tuple[str, ...]


_NOTHING = Run("", None, None, "", "", 0, "", None, None, None, None, "", None, None, None, "", "", None, None, None, None, ())


def rank(state: str, source: str, reason: str | None) -> int:
    """How strongly one event of an attempt speaks. A state outside the closed set ranks as ``running``."""
    if state not in TERMINAL:
        return _PROGRESS.get(state, _PROGRESS["running"])
    if reason in _INFERRED_REASONS:
        return _INFERRED
    return _EVIDENCE.get(source, _OWN_WORD)


def state_key(event: RunEvent) -> str:
    """Sorts events of a run: attempt, then rank, then time, then id (so that no two different events tie)."""
    return "%06d.%02d.%020d.%s" % (event.attempt, rank(event.state, event.source, event.reason), event.at_ns, event.event_id)


def fold(run: Run | None, event: RunEvent) -> Run:
    """The run after one more of its events; ``run`` is None before the first one that arrives."""
    run = run or _NOTHING._replace(run_id=event.run_id)
    key, first = state_key(event), "%020d.%s" % (event.at_ns, event.event_id)
    terminal = event.state in TERMINAL
    if key > run.state_key:
        run = run._replace(
            state_key=key, state=event.state, attempt=event.attempt, source=event.source, reason=event.reason,
            raw_state=event.raw_state, exit_code=event.exit_code, ended_ns=event.at_ns if terminal else None,
        )  # fmt: skip
    if event.error_type and key > run.error_key:
        run = run._replace(
            error_key=key, error_type=event.error_type, error_message=event.error_message, error_stack=event.error_stack
        )
    if not run.first_key or first < run.first_key:
        run = run._replace(
            first_key=first, workflow=event.workflow, host=event.host, trace_id=event.trace_id, span_id=event.span_id,
            parent_run_id=event.parent_run_id, tags=event.tags,
        )  # fmt: skip
    return run._replace(started_ns=_earliest(run.started_ns, _started(event)), slot_ns=_earliest(run.slot_ns, event.slot_ns))


def error_of(run: Run) -> tuple[str | None, str | None, str | None]:
    """(type, message, stack) to show: an error of an earlier attempt, or under a success, is history and not shown."""
    if run.state == "succeeded" or not run.error_key.startswith("%06d." % run.attempt):
        return None, None, None
    return run.error_type, run.error_message, run.error_stack


def _started(event: RunEvent) -> int | None:
    if event.started_ns is not None:
        return event.started_ns
    return event.at_ns if event.state in ("starting", "running") else None


def _earliest(a: int | None, b: int | None) -> int | None:
    if a is None or b is None:
        return b if a is None else a
    return min(a, b)
