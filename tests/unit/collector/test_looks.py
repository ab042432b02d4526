"""What the control store learns of observers that look at other systems."""

from __future__ import annotations

import pytest
from otlp_messages import T0, log, logs, record

from rota.wire import names
from rota_collector.decode import to_rows
from rota_collector.decode.to_rows import Look
from rota_collector.journal import Signal

S = 10**9
ABOUT = {names.SOURCE: "prefect", names.OBSERVER_PLACE: "a1", names.OBSERVER_EVERY: 30, names.HOST_NAME: "h1"}


def told(about: dict[str, object], after_seconds: int = -1) -> bytes:
    """A request in which an observer says so."""
    return logs(log(after_seconds, about, event_name=names.LOOK_EVENT))  # type: ignore[no-any-return]


@pytest.mark.parametrize("signal", [Signal.LOGS_PROTO, Signal.LOGS_JSON], ids=["protobuf", "json"])
def test_a_look_says_who_where_and_up_to_when(signal: Signal) -> None:
    """In both encodings; and it is no event of a run."""
    records = [record(told(ABOUT), signal)]
    (look,) = to_rows.looks(records)
    assert look == Look("prefect", "a1", "h1", look.host, T0 - S, records[0].received_ns, 30 * S, None)
    assert to_rows.run_events(records) == []


def test_nobody_knows_what_is_to_come() -> None:
    """Of a clock that is ahead: up to the moment at which it was received."""
    (one,) = [record(told(ABOUT, after_seconds=9_999_999), Signal.LOGS_PROTO)]
    (look,) = to_rows.looks([one])
    assert look.at_ns == one.received_ns


def test_a_problem_is_cut() -> None:
    """A system may answer with a page."""
    (look,) = to_rows.looks([record(told({**ABOUT, names.OBSERVER_PROBLEM: "no " * 1000}), Signal.LOGS_PROTO)])
    assert look.problem is not None
    assert len(look.problem) == 300


@pytest.mark.parametrize(("said", "seconds"), [(None, 1), (0, 1), (-5, 1), ("soon", 1), (10**9, 1), ("60", 60)])
def test_a_promise_is_within_reason(said: object, seconds: int) -> None:
    """Between a second and a day; else as if it had promised nothing."""
    (look,) = to_rows.looks([record(told({**ABOUT, names.OBSERVER_EVERY: said}), Signal.LOGS_PROTO)])
    assert look.every_ns == seconds * S


def test_of_no_system_it_is_none() -> None:
    """Nor is one whose system is no text."""
    requests = [told({names.OBSERVER_PLACE: "a1"}), told({names.SOURCE: 7})]
    assert to_rows.looks([record(request, Signal.LOGS_PROTO) for request in requests]) == []
