"""Requests → run events: what tells that a run began, goes on or is over."""

from __future__ import annotations

from typing import Any

import pytest
from otlp_messages import RUN, T0, TRACE, log, logs, record, to_json

from rota.rules.fold import RunEvent
from rota.wire import names
from rota_collector.decode import events, to_rows
from rota_collector.journal import Record, Signal

BOTH_LOGS = pytest.mark.parametrize("signal", [Signal.LOGS_PROTO, Signal.LOGS_JSON], ids=["protobuf", "json"])
EVENT = "0189f0c0-a1b2-7c3d-8e4f-000000000001"


@BOTH_LOGS
def test_a_run_event_is_decoded_whole(signal: Signal) -> None:
    """Every attribute of a run event has its field, ids are in their usual spelling, the rest comes from above."""
    about = {
        names.EVENT_ID: EVENT.upper(), names.RUN_ID: RUN.replace("-", "").upper(), names.STATE: "failed",
        names.REASON: "exception", names.ATTEMPT: 2, names.SOURCE: "exec", names.PROCESS_EXIT_CODE: 3,
        names.ERROR_TYPE: "ValueError", names.EXCEPTION_MESSAGE: "no", names.EXCEPTION_STACK: "Traceback",
        names.RUN_STARTED: T0, names.SLOT: T0 - 1, names.PARENT_RUN_ID: RUN, names.TAGS: ["a", "b"], names.RAW_STATE: "F",
    }  # fmt: skip
    request = logs(
        log(9, about, event_name=names.RUN_STATE_EVENT, trace_id=TRACE, span_id=bytes(range(8))),
        log(10, {"not": "an event"}),
        resource={names.HOST_NAME: "box"}, scope={names.WORKFLOW: "etl"},
    )  # fmt: skip
    assert to_rows.run_events([record(request, signal)]) == [
        RunEvent(
            event_id=EVENT, run_id=RUN, workflow="etl", state="failed", at_ns=T0 + 9 * 10**9, attempt=2, source="exec",
            reason="exception", raw_state="F", started_ns=T0, slot_ns=T0 - 1, exit_code=3, error_type="ValueError",
            error_message="no", error_stack="Traceback", host="box", trace_id=TRACE.hex(), span_id="0001020304050607",
            parent_run_id=RUN, tags=("a", "b"),
        )
    ]  # fmt: skip


@BOTH_LOGS
@pytest.mark.parametrize(
    ("told", "field", "expected"),
    [
        ({names.ATTEMPT: "2"}, "attempt", 2), ({names.ATTEMPT: "many"}, "attempt", 1), ({names.ATTEMPT: -4}, "attempt", 1),
        ({names.PROCESS_EXIT_CODE: 2**40}, "exit_code", None), ({names.TAGS: "a"}, "tags", ()),
        ({names.TAGS: [1, "b"]}, "tags", ("b",)),
        ({names.REASON: 5}, "reason", None), ({names.EVENT_ID: "ev-1"}, "event_id", str(to_rows.uuid_of("ev-1"))),
        ({names.RUN_STARTED: -(2**63)}, "started_ns", None), ({names.RUN_ID: "build-17"}, "run_id", "build-17"),
    ],
    ids=repr,
)  # fmt: skip
def test_odd_attributes_of_a_run_event_do_no_harm(signal: Signal, told: dict[str, Any], field: str, expected: Any) -> None:
    """What is of the wrong type or size is read as far as it makes sense, and never stops the follower."""
    about = {names.RUN_ID: RUN, names.STATE: "running"} | told
    found = to_rows.run_events([record(logs(log(1, about, event_name=names.RUN_STATE_EVENT)), signal)])
    assert [getattr(event, field) for event in found] == [expected]


@BOTH_LOGS
def test_an_event_without_an_id_gets_the_same_one_each_time(signal: Signal) -> None:
    """The id of an event that has none is made from what it says: equal for the same event, different for another."""
    about = {names.RUN_ID: RUN, names.STATE: "running"}
    requests = [
        (logs(log(number, about, event_name=names.RUN_STATE_EVENT)), offset) for number, offset in ((1, 0), (1, 5), (2, 6))
    ]
    found = to_rows.run_events([record(request, signal, offset=offset) for request, offset in requests])
    one, again, other = (event.event_id for event in found)
    assert one == again != other


@BOTH_LOGS
def test_the_trace_is_the_run_when_nothing_else_says(signal: Signal) -> None:
    """Without a run id the trace id is it; without either, or without a state, there is no run event."""
    told = {names.STATE: "running"}
    request = logs(
        log(1, told, event_name=names.RUN_STATE_EVENT, trace_id=TRACE),
        log(2, told, event_name=names.RUN_STATE_EVENT),
        log(3, {names.RUN_ID: RUN}, event_name=names.RUN_STATE_EVENT),
    )
    found = to_rows.run_events([record(request, signal)])
    assert [event.run_id for event in found] == [RUN]


def test_an_event_name_may_be_spelled_with_escapes() -> None:
    """JSON that escapes characters of the event's name is found too."""
    about = {names.RUN_ID: RUN, names.STATE: "running"}
    text = to_json(logs(log(1, about, event_name=names.RUN_STATE_EVENT))).replace(
        b"rota.run.state", b"\\u0072ota.run.stat\\u0065"
    )
    assert b"rota.run.state" not in text
    assert len(to_rows.run_events([record(text, Signal.LOGS_JSON)])) == 1


def test_other_signals_are_not_decoded_for_run_events() -> None:
    """Bodies without run events are not even parsed: nonsense in them does not matter. Of spans the scopes are read first."""
    nonsense = [Record(0, 1, signal, 0, b"\xff nonsense") for signal in Signal if signal is not Signal.TRACES_PROTO]
    assert to_rows.run_events(nonsense) == []


def test_what_one_reader_decoded_another_need_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two stores read each record: it is decoded for the first that comes, kept for the second, and then forgotten."""
    decoded: list[int] = []
    real = events.named
    monkeypatch.setattr(events, "named", lambda record, name: decoded.append(record.offset) or real(record, name))
    told = {names.RUN_ID: RUN, names.STATE: "running"}
    records = [record(logs(log(n, told, event_name=names.RUN_STATE_EVENT)), Signal.LOGS_PROTO, n) for n in range(6)]
    plain = to_rows.run_events(records)
    read = to_rows.RunEventsForTwo(most=4)

    def newly_decoded(some: list[Record]) -> list[int]:
        decoded.clear()
        assert read(some) == [event for event, each in zip(plain, records, strict=True) if each in some]
        return decoded

    assert newly_decoded(records[:3]) == [0, 1, 2]
    assert newly_decoded(records[:2]) == [], "the second reader decoded what the first did"
    assert newly_decoded(records) == [0, 1, 3, 4, 5]
    assert newly_decoded(records) == [2, 5], "one that both had is kept, or more than may be"

    read = to_rows.RunEventsForTwo(most=2)
    assert newly_decoded(records[:2]) == [0, 1]
    assert newly_decoded(records[4:]) == [4, 5]
    assert newly_decoded(records[4:]) == [], "what nobody will read any more takes the room of what somebody will"
