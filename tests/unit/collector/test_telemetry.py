"""Telemetry: every acknowledged record in its table once, whatever is sent twice."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from otlp_messages import T0, TRACE, log, logs, record, span
from telemetries import Opener, column, event, one, trace_record

from rota_collector.decode import to_rows
from rota_collector.journal import Signal
from rota_collector.store import batch, telemetry
from rota_collector.store.telemetry import Telemetry

HOUR = 3_600 * 10**9


def test_rows_and_offset_are_stored(open_telemetry: Opener) -> None:
    """What was applied is there after a restart, with the offset behind it."""
    store = open_telemetry()
    assert store.offset() == 0
    store.apply([trace_record(5, span(1), span(2)), record(logs(log(1)), Signal.LOGS_PROTO, 6)])
    store = open_telemetry()
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


def test_a_repeated_request_is_left_out(open_telemetry: Opener) -> None:
    """The same bytes again are one request: in one batch, in a later one, and after a restart; other bytes are others."""
    same, other = logs(log(1)), logs(log(2))
    store = open_telemetry()
    store.apply([record(same, Signal.LOGS_PROTO, 0), record(same, Signal.LOGS_PROTO, 1), record(other, Signal.LOGS_PROTO, 2)])
    store.apply([record(same, Signal.LOGS_PROTO, 3)])
    store = open_telemetry()
    store.apply([record(same, Signal.LOGS_PROTO, 4)])
    assert (store.offset(), one(store, "SELECT count(*) FROM logs")) == (5, 2)


def test_only_recent_requests_are_remembered(open_telemetry: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes are bounded in memory and in the file; the latest are the ones that stay."""
    monkeypatch.setattr(telemetry, "_RECENT_REQUESTS", 10)
    store = open_telemetry()
    for n in range(50):
        store.apply([record(logs(log(n)), Signal.LOGS_PROTO, n)])
    assert len(store._recent) <= 11
    assert one(store, "SELECT count(*) FROM requests") <= 11
    store = open_telemetry()
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


def test_the_rows_of_a_trace_lie_together_beside_many_that_are_known(store: Telemetry) -> None:
    """However much is stored of the same time, and although some of the batch came before."""
    traces = [bytes([n]) * 16 for n in range(1, 21)]
    store.apply([trace_record(0, *(span(n) for n in range(1, 20_001)))])
    again = span(1)
    mixed = [span(n, trace_id=traces[n % 20]) for n in range(1, 2001)]
    store.apply([trace_record(1, *mixed[:1000], again, *mixed[1000:])])
    stored = column(store, "SELECT trace_id FROM spans ORDER BY rowid OFFSET 20000")
    assert len(stored) == 2000
    assert sum(one != next_one for one, next_one in itertools.pairwise(stored)) == 19


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
