"""Telemetry read: the view of runs is the fold, and what there is of one run."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from otlp_messages import RUN, T0, TRACE, attributes, log, logs, record, span
from telemetries import column, event, one, trace_record

from rota.rules import fold
from rota.rules.fold import RunEvent
from rota.wire import names
from rota_collector.decode import to_rows
from rota_collector.journal import Signal
from rota_collector.store import batch
from rota_collector.store.telemetry import Telemetry

HISTORIES = [
    [("running", 0, {}), ("succeeded", 10, {"process_exit_code": 0})],
    [("succeeded", 10, {"run_started": T0 - 10**9}), ("running", 0, {})],
    [("running", 0, {}), ("failed", 5, {"error_type": "ValueError", "exception_message": "no", "process_exit_code": 1})],
    [("failed", 5, {"error_type": "E"}), ("running", 6, {"attempt": 2}), ("succeeded", 9, {"attempt": 2})],
    [("failed", 5, {"error_type": "E"}), ("running", 6, {"attempt": 2})],
    [("running", 0, {}), ("crashed", 7, {"reason": "vanished"}), ("failed", 6, {"process_exit_code": 3, "error_type": "E"})],
    [("running", 0, {"host_name": "a", "tags": ["x"]}), ("ended", 6, {"host_name": "b", "slot": T0})],
    [("failed", 5, {"error_type": "E", "source": "sdk"}), ("succeeded", 6, {"source": "person"})],
    [("queued", 0, {}), ("paused", 3, {}), ("running", 4, {"reason": "again"})],
]


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: " ".join(state for state, _, _ in history))
def test_the_view_runs_is_the_fold(store: Telemetry, history: list[tuple[str, float, dict[str, Any]]]) -> None:
    """The view ``runs`` tells of a run what rota.rules.fold tells."""
    records = [record(logs(event(n, *step[:2], **step[2])), Signal.LOGS_PROTO, n) for n, step in enumerate(history)]
    store.apply(records)
    run = None
    for found in to_rows.run_events(records):
        run = fold.fold(run, found)
    assert run is not None
    columns, rows, _ = store.sql(
        "SELECT workflow, state, reason, attempt, epoch_ns(slot_at) AS slot_ns, epoch_ns(started_at) AS started_ns,"
        " epoch_ns(ended_at) AS ended_ns, exit_code, error_type, error_message, host, source, tags FROM runs"
    )
    error_type, error_message, _ = fold.error_of(run)
    told = run._asdict() | {"tags": list(run.tags), "error_type": error_type, "error_message": error_message}
    assert [dict(zip(columns, row, strict=True)) for row in rows] == [{name: told[name] for name in columns}]


def test_the_state_key_is_that_of_the_fold(store: Telemetry) -> None:
    """``state_key`` is computed by rota.rules.fold, so that SQL and control agree."""
    records = [record(logs(event(1, "failed", 3, source="exec")), Signal.LOGS_PROTO)]
    store.apply(records)
    assert column(store, "SELECT state_key FROM run_events") == [fold.state_key(found) for found in to_rows.run_events(records)]


def test_a_run_event_survives_the_table(store: Telemetry) -> None:
    """Each field of a run event is in its column."""
    told = RunEvent(
        event_id=str(uuid.UUID(int=1)), run_id=RUN, workflow="etl", state="failed", at_ns=T0, attempt=2, source="exec",
        reason="r", raw_state="raw", started_ns=T0 - 1, slot_ns=T0 - 2, exit_code=3, error_type="E", error_message="m",
        error_stack="s", host="h", trace_id=TRACE.hex(), span_id="f" * 16, parent_run_id=RUN, tags=("a",),
    )  # fmt: skip
    row = batch.run_events([told]).to_pylist()[0]
    assert (row["span_id"], row["trace_id"], row["parent_run_id"]) == (2**64 - 1, uuid.UUID(bytes=TRACE), uuid.UUID(RUN))
    same = (
        "workflow",
        "state",
        "attempt",
        "source",
        "reason",
        "raw_state",
        "exit_code",
        "error_type",
        "error_message",
        "error_stack",
    )
    assert {name: row[name] for name in same} == {name: getattr(told, name) for name in same}


def test_spans_of_a_run_are_read(store: Telemetry) -> None:
    """A run's spans come in order of time, with hex ids, ISO times in UTC and attributes as a dict; others' do not."""
    store.apply(
        [
            trace_record(
                0, span(2, {"k": [1, None]}, parent_span_id=(1).to_bytes(8, "big")), span(1, kind=2), scope={names.RUN_ID: RUN}
            ),
            trace_record(1, span(3)),
        ]
    )
    first, second = store.run_spans(RUN)
    assert (first["name"], first["kind"], first["parent_span_id"]) == ("span 1", "server", None)
    assert second == {
        "trace_id": TRACE.hex(), "span_id": "0000000000000002", "parent_span_id": "0000000000000001", "name": "span 2",
        "kind": "internal", "started_at": "2026-09-21T14:13:22.000000Z", "ended_at": "2026-09-21T14:13:22.005000Z",
        "duration_seconds": 0.005, "status": "unset", "status_message": None, "attributes": {"k": [1, None]}, "events": [],
        "scope": "tests",
    }  # fmt: skip
    assert store.run_spans(RUN, limit=1) == [first]
    assert store.run_spans("unheard of") == []


def test_logs_of_a_run_are_read(store: Telemetry) -> None:
    """A run's log records come in order of time; severity is the sender's word, else that of its number."""
    late, early = (
        log(2, {names.RUN_ID: RUN}, severity_text="Hinweis"),
        log(1, {names.RUN_ID: RUN}, severity_number=17, trace_id=TRACE),
    )
    late.body.string_value = "text"
    store.apply([record(logs(late, early, log(3)), Signal.LOGS_PROTO)])
    first, second = store.run_logs(RUN)
    assert (first["severity"], first["trace_id"], first["body"]) == ("error", TRACE.hex(), None)
    assert second == {
        "at": "2026-09-21T14:13:22.000000Z", "severity": "Hinweis", "event_name": None, "body": "text",
        "attributes": {names.RUN_ID: RUN}, "trace_id": None, "span_id": None,
    }  # fmt: skip


def test_tasks_of_a_run_are_read(store: Telemetry) -> None:
    """A run's tasks are its task spans, and those that were only seen to begin; a failed one says how."""
    about = {names.RUN_ID: RUN, names.TASK_NAME: "load"}
    failure = Span.Event(name="exception", attributes=attributes({"exception.type": "KeyError", "exception.message": "'x'"}))
    began = [
        log(
            n,
            about | {names.TASK_STATE: "running"},
            event_name=names.TASK_STATE_EVENT,
            trace_id=TRACE,
            span_id=n.to_bytes(8, "big"),
        )
        for n in (1, 3)
    ]
    store.apply(
        [
            trace_record(
                0, span(1, about), span(2, about, status=Status(code=2), events=[failure]), span(9, {names.RUN_ID: RUN})
            ),
            record(logs(*began), Signal.LOGS_PROTO, 1),
        ]
    )
    done, failed, running = store.run_tasks(RUN)
    assert (done["state"], done["name"], done["duration_seconds"], done["span_id"]) == (
        "succeeded",
        "load",
        0.005,
        "0000000000000001",
    )
    assert (failed["state"], failed["error_type"], failed["error_message"]) == ("failed", "KeyError", "'x'")
    assert (running["state"], running["ended_at"], running["started_at"]) == ("running", None, "2026-09-21T14:13:23.000000Z")


def test_many_threads_read_while_one_applies(store: Telemetry) -> None:
    """Readers see whole batches only, and no call disturbs another."""
    seen: set[int] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(one(store, "SELECT count(*) FROM spans"))
            store.run_spans(RUN)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for n in range(20):
        store.apply([trace_record(n, *(span(10 * n + i) for i in range(1, 11)))])
    stop.set()
    for reader in readers:
        reader.join()
    assert all(count % 10 == 0 for count in seen)
    assert one(store, "SELECT count(*) FROM spans") == 200
