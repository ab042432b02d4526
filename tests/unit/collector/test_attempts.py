"""The attempts of a run: what the store tells of each, and what the API makes of that."""

from __future__ import annotations

from typing import Any

import pytest
from otlp_messages import RUN, T0, logs, record
from telemetries import event

from rota.rules import fold
from rota.rules.status import state_of
from rota_collector.api.shape import attempt_items, has_attempts
from rota_collector.decode import to_rows
from rota_collector.journal import Signal
from rota_collector.store.telemetry import Telemetry

S = 10**9
Steps = list[tuple[str, float, dict[str, Any]]]
FAILED: Steps = [
    ("running", 0, {}),
    ("running", 2, {"error_type": "OSError", "exception_message": "reset"}),
    ("retry_wait", 3, {"reason": "exit", "process_exit_code": 75, "run_started": T0}),
]


def items(store: Telemetry, steps: Steps) -> list[dict[str, Any]]:
    """The API's attempts of a run of which these events are told, in an order in which they did not happen."""
    records = [record(logs(event(n, *step[:2], **step[2])), Signal.LOGS_PROTO, n) for n, step in enumerate(reversed(steps))]
    store.apply(records)
    run = None
    for found in to_rows.run_events(records):
        run = fold.fold(run, found)
    assert run is not None
    return attempt_items(run, store.run_attempts(RUN) if has_attempts(run) else [])


def briefly(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(each["attempt"], each["state"], each["duration_seconds"], each["exit_code"], each["error_type"]) for each in found]


def test_each_attempt_has_its_own_times_and_error(store: Telemetry) -> None:
    """An attempt that was tried again has failed, in its own time and with its own error; a later success has none of it."""
    steps: Steps = [*FAILED, ("running", 10, {"attempt": 2}), ("succeeded", 11, {"attempt": 2, "process_exit_code": 0})]
    assert briefly(items(store, steps)) == [(1, "failed", 3.0, 75, "OSError"), (2, "succeeded", 1.0, 0, None)]


def test_while_the_next_one_runs(store: Telemetry) -> None:
    """The attempt that runs has no end yet."""
    found = items(store, [*FAILED, ("running", 10, {"attempt": 2})])
    assert briefly(found) == [(1, "failed", 3.0, 75, "OSError"), (2, "running", None, None, None)]
    assert found[1]["ended_at"] is None


@pytest.mark.parametrize("last", [("crashed", 9, {"reason": "vanished"}), ("cancelled", 9, {"reason": "sigterm"})], ids=str)
def test_an_end_between_two_attempts(store: Telemetry, last: tuple[str, float, dict[str, Any]]) -> None:
    """What ended the run while it waited does not change how its attempt ended."""
    assert briefly(items(store, [*FAILED, last])) == [(1, "failed", 3.0, 75, "OSError")]


def test_an_attempt_whose_end_was_lost(store: Telemetry) -> None:
    """Of an attempt that another one follows, and of whose end nothing is known, nothing is guessed."""
    assert briefly(items(store, [("running", 0, {}), ("running", 5, {"attempt": 2})]))[0] == (1, "ended", None, None, None)


def test_the_start_is_the_attempts_own(store: Telemetry) -> None:
    """Who ends a run that takes too long tells the start of the run: that is not the start of its last attempt."""
    overdue = {"attempt": 2, "reason": "max_duration", "run_started": T0, "source": "collector"}
    found = items(store, [*FAILED, ("running", 10, {"attempt": 2}), ("timed_out", 60, overdue)])
    assert briefly(found)[1] == (2, "timed_out", 50.0, None, None)


def test_a_run_that_was_never_tried_again(store: Telemetry) -> None:
    """Its one attempt is the run."""
    found = items(store, [("running", 0, {}), ("failed", 5, {"process_exit_code": 3, "error_type": "E"})])
    assert briefly(found) == [(1, "failed", 5.0, 3, "E")]


@pytest.mark.parametrize(
    ("reason", "state"),
    [("exit", "failed"), ("exception", "failed"), (None, "failed"), ("sigkill", "crashed"), ("sigterm", "cancelled"),
     ("attempt_timeout", "timed_out"), ("timeout", "timed_out"), ("up_for_retry", "failed")],
)  # fmt: skip
def test_what_the_reason_of_a_retry_tells(reason: str | None, state: str) -> None:
    """The reason for another attempt tells how the one before ended."""
    assert state_of(reason) == state
