"""Telemetry: every acknowledged record in its table once, whatever is sent twice and whenever the process ends."""

from __future__ import annotations

import os
import random
import signal as signals
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from otlp_messages import RUN, T0, TRACE, attributes, log, logs, record, span, traces

from rota.rules import fold
from rota.rules.fold import RunEvent
from rota.wire import names
from rota_collector.clock import ManualClock
from rota_collector.decode import to_rows
from rota_collector.errors import StoreError, StoreLocked
from rota_collector.journal import Journal, Record, Signal
from rota_collector.store import batch, sandbox, telemetry
from rota_collector.store.telemetry import Telemetry

HOUR = 3_600 * 10**9


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[], Telemetry]]:
    """Opens the same database each time; closes what is still open at the end."""
    stores: list[Telemetry] = []

    def open_telemetry() -> Telemetry:
        for store in stores:
            store.close()
        stores[:] = [Telemetry.open(tmp_path / "telemetry.duckdb", memory_limit="200MB", threads=1)]
        return stores[0]

    yield open_telemetry
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Callable[[], Telemetry]) -> Telemetry:
    return opened()


def one(store: Telemetry, query: str) -> Any:
    """The only value of a query."""
    return store.sql(query).rows[0][0]


def column(store: Telemetry, query: str) -> list[Any]:
    return [row[0] for row in store.sql(query).rows]


def trace_record(offset: int, *spans: Span, **above: Any) -> Record:
    return record(traces(*spans, **above), Signal.TRACES_PROTO, offset)


def event(number: int, state: str, seconds: float = 0, **told: Any) -> Any:
    """A run event as a log record: its id is made from ``number``."""
    about = {
        names.EVENT_ID: str(uuid.UUID(int=number + 1)), names.RUN_ID: RUN, names.WORKFLOW: "etl", names.STATE: state,
        **{getattr(names, name.upper()): value for name, value in told.items()},
    }  # fmt: skip
    return log(0, about, event_name=names.RUN_STATE_EVENT, time_unix_nano=T0 + round(seconds * 1e9))


def test_rows_and_offset_are_stored(opened: Callable[[], Telemetry]) -> None:
    """What was applied is there after a restart, with the offset behind it."""
    store = opened()
    assert store.offset() == 0
    store.apply([trace_record(5, span(1), span(2)), record(logs(log(1)), Signal.LOGS_PROTO, 6)])
    store = opened()
    assert store.offset() == 7
    assert column(store, "SELECT name FROM spans ORDER BY started_at") == ["span 1", "span 2"]
    assert one(store, "SELECT count(*) FROM logs") == 1


def test_a_batch_made_ready_ahead_leaves_out_what_the_one_before_it_brings(store: Telemetry) -> None:
    """The next batch is decoded while one is inserted: a request of both is kept once, and neither is applied twice."""
    request = record(logs(log(1)), Signal.LOGS_PROTO, 0)
    first = store.prepare([request])
    second = store.prepare([request, request._replace(offset=1, next_offset=2)], first)
    store.insert(first)
    store.insert(second)
    store.insert(first)
    assert store.offset() == 2
    assert one(store, "SELECT count(*) FROM logs") == 1


def test_rows_and_offset_change_together(store: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a batch fails half way, neither rows nor offset have changed, and the same batch can be applied again."""
    records = [trace_record(0, span(1)), record(logs(event(0, "running")), Signal.LOGS_PROTO, 1)]

    def fail(_: Any) -> Any:
        raise RuntimeError("half way")

    with monkeypatch.context() as patched:
        patched.setattr(batch, "run_events", fail)
        with pytest.raises(RuntimeError):
            store.apply(records)
    assert (store.offset(), one(store, "SELECT count(*) FROM spans")) == (0, 0)
    store.apply(records)
    assert (store.offset(), one(store, "SELECT count(*) FROM spans"), one(store, "SELECT count(*) FROM run_events")) == (2, 1, 1)


def test_records_before_the_offset_are_skipped(store: Telemetry) -> None:
    """Replaying from an older cursor adds nothing, also of what has no identity."""
    records = [record(logs(log(n)), Signal.LOGS_PROTO, n) for n in range(5)]
    store.apply(records[:3])
    store._recent.clear()  # the hashes would hide it
    store.apply(records)
    assert (store.offset(), one(store, "SELECT count(*) FROM logs")) == (5, 5)


def test_a_repeated_request_is_left_out(opened: Callable[[], Telemetry]) -> None:
    """The same bytes again are one request: in one batch, in a later one, and after a restart; other bytes are others."""
    same, other = logs(log(1)), logs(log(2))
    store = opened()
    store.apply([record(same, Signal.LOGS_PROTO, 0), record(same, Signal.LOGS_PROTO, 1), record(other, Signal.LOGS_PROTO, 2)])
    store.apply([record(same, Signal.LOGS_PROTO, 3)])
    store = opened()
    store.apply([record(same, Signal.LOGS_PROTO, 4)])
    assert (store.offset(), one(store, "SELECT count(*) FROM logs")) == (5, 2)


def test_only_recent_requests_are_remembered(opened: Callable[[], Telemetry], monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes are bounded in memory and in the file; the latest are the ones that stay."""
    monkeypatch.setattr(telemetry, "_RECENT_REQUESTS", 10)
    store = opened()
    for n in range(50):
        store.apply([record(logs(log(n)), Signal.LOGS_PROTO, n)])
    assert len(store._recent) <= 11
    assert one(store, "SELECT count(*) FROM requests") <= 11
    store = opened()
    store.apply([record(logs(log(n)), Signal.LOGS_PROTO, 50 + n) for n in (49, 0)])
    assert one(store, "SELECT count(*) FROM logs") == 51


def test_a_repeated_span_is_left_out(store: Telemetry) -> None:
    """A span is known by trace and span id: in its request, in its batch, and later, whatever else came with it."""
    store.apply([trace_record(0, span(1), span(2), span(1)), trace_record(1, span(2), span(3))])
    store.apply([trace_record(2, span(3), span(4))])
    other_trace = span(4, trace_id=TRACE[::-1])
    store.apply([trace_record(3, other_trace)])
    assert sorted(column(store, "SELECT span_id FROM spans")) == [1, 2, 3, 4, 4]


def test_late_spans_are_recognised(store: Telemetry) -> None:
    """Spans that are hours, days and years apart are all looked for where they would be, in whatever company they come again."""
    far = [span(n, start_time_unix_nano=T0 - n**4 * HOUR, end_time_unix_nano=0) for n in range(1, 20)]
    store.apply([trace_record(0, *far)])
    store.apply([trace_record(1, *reversed(far), span(99))])
    assert one(store, "SELECT count(*) FROM spans") == 20


def test_only_the_time_of_the_batch_is_read() -> None:
    """Stretches of time cover all rows and are few and short: late rows have hours of their own."""
    times = [T0, T0 + 1, T0 + HOUR, T0 - 500 * HOUR, T0 - 500 * HOUR + 7]
    rows = to_rows.spans([trace_record(0, *(span(n, start_time_unix_nano=at) for n, at in enumerate(times, 1)))])
    found = batch.stretches(rows, batch.SPANS)
    assert all(any(first <= at <= last for first, last in found) for at in times)
    assert len(found) == 2
    assert sum(last - first for first, last in found) < 3 * HOUR
    many = to_rows.spans([trace_record(0, *(span(n, start_time_unix_nano=T0 - n * 30 * HOUR) for n in range(1, 400)))])
    assert len(batch.stretches(many, batch.SPANS)) <= 50


def test_a_repeated_event_is_left_out(store: Telemetry) -> None:
    """An event is known by its id, in the run events and in the logs; logs without an id are all kept."""
    store.apply([record(logs(event(1, "running"), log(1), event(1, "running")), Signal.LOGS_PROTO, 0)])
    store.apply([record(logs(event(1, "running"), log(1), event(2, "failed", 1)), Signal.LOGS_PROTO, 1)])
    assert column(store, "SELECT state FROM run_events ORDER BY happened_at") == ["running", "failed"]
    assert one(store, "SELECT count(*) FROM logs WHERE event_id IS NULL") == 2
    assert one(store, "SELECT count(*) FROM logs WHERE event_id IS NOT NULL") == 2


def test_the_rows_of_a_trace_lie_together(store: Telemetry) -> None:
    """Spans of traces that came mixed are stored trace by trace, each in the order of arrival: a run is read in one piece."""
    mixed = [span(n, trace_id=bytes([n % 3 + 1]) * 16) for n in random.Random(5).sample(range(1, 50), 40)]
    store.apply([trace_record(0, *mixed)])
    arrived = [(each.trace_id, each.start_time_unix_nano) for each in mixed]
    stored = store.sql("SELECT trace_id, epoch_ns(started_at) FROM spans").rows
    assert [(trace.bytes, at_ns) for trace, at_ns in stored] == sorted(arrived, key=lambda row: row[0])


def test_large_batches_are_cut_and_kept_whole(store: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of many chunks of all signals, with repetitions across the chunks, is stored once each."""
    monkeypatch.setattr(telemetry, "_CHUNK_BYTES", 300)
    records = []
    for n in range(0, 120, 3):
        records.append(trace_record(n, span(n + 1), span(n // 2 + 1)))
        records.append(record(logs(event(n, "running", n)), Signal.LOGS_JSON, n + 1))
        records.append(record(logs(log(n)), Signal.LOGS_PROTO, n + 2))
    store.apply(records)
    expected = {n + 1 for n in range(0, 120, 3)} | {n // 2 + 1 for n in range(0, 120, 3)}
    assert sorted(column(store, "SELECT span_id FROM spans")) == sorted(expected)
    assert one(store, "SELECT count(*) FROM run_events") == 40
    assert one(store, "SELECT count(*) FROM logs") == 80


def test_a_request_that_would_grow_beyond_memory_is_stored(store: Telemetry) -> None:
    """Very many small spans under one large resource need no more memory than is allowed, and are all stored."""
    small = [Span(trace_id=TRACE, span_id=n.to_bytes(8, "big")) for n in range(1, 40_001)]
    store.apply([trace_record(0, *small, resource={"large": "x" * 8000})])
    assert store.sql("SELECT count(*), min(length(resource)), max(length(resource)) FROM spans").rows == [(40_000, 8012, 8012)]


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


def test_a_second_process_is_refused(store: Telemetry, tmp_path: Path) -> None:
    """A database that another process has open raises StoreLocked, and is left alone."""
    code = (
        "import sys, pathlib\nfrom rota_collector.store.telemetry import Telemetry\n"
        "from rota_collector.errors import StoreLocked\n"
        "try: Telemetry.open(pathlib.Path(sys.argv[1]))\nexcept StoreLocked: sys.exit(42)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "telemetry.duckdb")], check=False).returncode == 42
    assert one(store, "SELECT 1") == 1
    assert not list(tmp_path.glob("*.bad-*"))
    assert issubclass(StoreLocked, StoreError)


def test_a_file_that_cannot_be_opened_is_set_aside(opened: Callable[[], Telemetry], tmp_path: Path) -> None:
    """A destroyed database is moved away, kept, and replaced by an empty one that begins at offset 0."""
    opened().apply([trace_record(0, span(1))])
    opened().close()
    path = tmp_path / "telemetry.duckdb"
    path.write_bytes(b"no database" * 5000)
    store = opened()
    assert store.set_aside is not None
    assert store.set_aside.read_bytes().startswith(b"no database")
    assert (store.offset(), one(store, "SELECT count(*) FROM spans")) == (0, 0)


def test_an_interrupted_creation_is_begun_again(opened: Callable[[], Telemetry], tmp_path: Path) -> None:
    """What a kill during the first creation left behind is no obstacle."""
    (tmp_path / "telemetry.duckdb.new").write_bytes(b"half a file")
    (tmp_path / "telemetry.duckdb.new.wal").write_bytes(b"half a log")
    assert opened().offset() == 0
    assert not list(tmp_path.glob("*.new*"))


def test_an_unwritable_place_is_an_error(tmp_path: Path) -> None:
    """A path in which no database can be made raises StoreError with the path in it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        Telemetry.open(tmp_path / "file" / "telemetry.duckdb")


def test_a_fatal_error_passes_through(store: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    """duckdb.FatalException leaves apply and sql as it is: the process must end."""

    def fatal(*_: Any, **__: Any) -> Any:
        raise duckdb.FatalException("dead")

    with monkeypatch.context() as patched:
        patched.setattr(batch, "run", fatal)
        with pytest.raises(duckdb.FatalException):
            store.apply([trace_record(0, span(1))])
    monkeypatch.setattr(sandbox, "_only_select", fatal)
    with pytest.raises(duckdb.FatalException):
        store.sql("SELECT 1")


APPLY_UNTIL_KILLED = """
import sys, pathlib
from rota_collector.clock import SystemClock
from rota_collector.journal import Journal
from rota_collector.store.telemetry import Telemetry
home = pathlib.Path(sys.argv[1])
journal = Journal(home / "journal", clock=SystemClock())
telemetry = Telemetry.open(home / "telemetry.duckdb", memory_limit="200MB", threads=1)
print("ready", flush=True)
while records := journal.read(telemetry.offset(), 2000):
    telemetry.apply(records)
    print(telemetry.offset(), flush=True)
"""


def test_killed_at_any_moment_each_record_is_there_once(tmp_path: Path) -> None:
    """kill -9 while applying, again and again, and reading on from the stored offset: nothing lost, nothing twice."""
    journal = Journal(tmp_path / "journal", clock=ManualClock())
    for n in range(300):
        journal.append_blocking(Signal.LOGS_PROTO, logs(log(n), event(n, "running", n)).SerializeToString())
        journal.append_blocking(Signal.TRACES_PROTO, traces(span(n + 1), span(n)).SerializeToString())
    journal.close()
    chance = random.Random(1)
    killed = 0
    while True:
        command = [sys.executable, "-c", APPLY_UNTIL_KILLED, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            wanted = chance.randrange(1, 25) if killed < 6 else 10**6
            lines = 0
            while lines < wanted and process.stdout.readline():
                lines += 1
            if lines == wanted:
                os.kill(process.pid, signals.SIGKILL)
                killed += 1
        if process.returncode == 0:
            break
    with_all = Telemetry.open(tmp_path / "telemetry.duckdb")
    try:
        assert with_all.set_aside is None
        assert one(with_all, "SELECT count(*) FROM logs WHERE event_id IS NULL") == 300
        assert sorted(column(with_all, "SELECT event_id FROM run_events")) == [uuid.UUID(int=n + 1) for n in range(300)]
        assert sorted(column(with_all, "SELECT span_id FROM spans")) == list(range(1, 301))
        assert with_all.offset() == journal.durable_end
    finally:
        with_all.close()
    assert killed == 6
