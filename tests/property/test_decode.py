"""Attributes survive: what a sender says is what a query reads, in both encodings."""

from __future__ import annotations

import base64
import contextlib
import json
import math
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from otlp_messages import log, logs, record, span, traces

from rota.wire import names
from rota_collector import decode
from rota_collector.decode import to_rows
from rota_collector.errors import Malformed
from rota_collector.journal import Signal
from rota_collector.store import batch

TEXT = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(['"', "\\", "\x00", "\n", "null", "{}", "é\u2028"])
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | TEXT | st.binary(max_size=8)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8)
ATTRIBUTES = st.dictionaries(TEXT, VALUES, max_size=5)
SPANS = st.lists(ATTRIBUTES, min_size=1, max_size=4)


def as_read(value: Any) -> Any:
    """What a JSON reader sees of a value."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, list):
        return [as_read(item) for item in value]
    if isinstance(value, dict):
        return {key: as_read(item) for key, item in value.items()}
    return value


def through_duckdb(table: Any) -> list[Any]:
    with duckdb.connect() as connection:
        connection.register("batch", table)
        connection.execute("CREATE TABLE stored (attributes JSON, valid BOOLEAN)")
        connection.execute("INSERT INTO stored SELECT attributes, json_valid(attributes::VARCHAR) FROM batch")
        found = connection.execute("SELECT attributes, valid FROM stored").fetchall()
    assert all(valid for _, valid in found)
    return [json.loads(text) for text, _ in found]


def same(left: Any, right: Any) -> bool:
    """Equal, also in type and in the sign of zero."""
    return left == right and repr(left) == repr(right)


@settings(max_examples=60, deadline=None)
@given(SPANS)
def test_attributes_are_read_back_equal(trees: list[dict[str, Any]]) -> None:
    """Any tree of attribute values is read back from the database as it was sent."""
    request = traces(*(span(number, about) for number, about in enumerate(trees, 1)))
    found = through_duckdb(to_rows.spans([record(request, Signal.TRACES_PROTO)]))
    assert same(found, [as_read(tree) for tree in trees])


@settings(max_examples=60, deadline=None)
@given(SPANS, ATTRIBUTES, ATTRIBUTES)
def test_both_encodings_give_equal_spans(trees: list[dict[str, Any]], resource: dict[str, Any], scope: dict[str, Any]) -> None:
    """A trace request gives the same rows from protobuf and from JSON."""
    request = traces(*(span(number, about) for number, about in enumerate(trees, 1)), resource=resource, scope=scope)
    tables = [to_rows.spans([record(request, signal)]) for signal in (Signal.TRACES_PROTO, Signal.TRACES_JSON)]
    assert tables[0].equals(tables[1])


@settings(max_examples=50, deadline=None)
@given(SPANS, VALUES)
def test_both_encodings_give_equal_logs(trees: list[dict[str, Any]], body: Any) -> None:
    """A logs request gives the same rows from protobuf and from JSON, whatever the body is."""
    records = [log(number, about) for number, about in enumerate(trees, 1)]
    for one in records:
        one.body.CopyFrom(log(1, {"body": body}).attributes[0].value)
    tables = [to_rows.logs([record(logs(*records), signal)]) for signal in (Signal.LOGS_PROTO, Signal.LOGS_JSON)]
    assert tables[0].equals(tables[1])


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from([Signal.TRACES_PROTO, Signal.TRACES_JSON, Signal.LOGS_PROTO, Signal.LOGS_JSON]))
def test_what_is_accepted_can_be_decoded(data: st.DataObject, signal: Signal) -> None:
    """However a body was mutated: it is refused at the door, or it is decoded without an error."""
    trees = data.draw(SPANS)
    is_trace = signal in (Signal.TRACES_PROTO, Signal.TRACES_JSON)
    request = traces(*(span(1, tree) for tree in trees)) if is_trace else logs(*(log(1, tree) for tree in trees))
    payload = bytearray(record(request, signal).payload)
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(payload) - 1))
        payload[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    mutated = record(bytes(payload), signal)
    try:
        decode.check(signal, mutated.payload)
    except Malformed:
        return
    if is_trace:
        to_rows.spans([mutated])
    else:
        to_rows.logs([mutated])
        to_rows.run_events([mutated])


UINT64, UINT32, INT32 = st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(-(2**31), 2**31 - 1)
ODD_SPAN = st.fixed_dictionaries(
    {
        "start_time_unix_nano": UINT64,
        "end_time_unix_nano": UINT64,
        "kind": INT32,
        "flags": UINT32,
        "dropped_attributes_count": UINT32,
        "dropped_links_count": UINT32,
        "parent_span_id": st.binary(max_size=9),
        "trace_state": TEXT,
        "status": st.builds(Status, message=TEXT, code=INT32),
        "events": st.lists(st.builds(Span.Event, time_unix_nano=UINT64, name=TEXT), max_size=2),
        "links": st.lists(st.builds(Span.Link, trace_id=st.binary(max_size=17), span_id=st.binary(max_size=9)), max_size=2),
    }
)
ODD_LOG = st.fixed_dictionaries(
    {
        "time_unix_nano": UINT64,
        "observed_time_unix_nano": UINT64,
        "severity_number": INT32,
        "flags": UINT32,
        "trace_id": st.binary(max_size=17),
        "span_id": st.binary(max_size=9),
        "event_name": TEXT | st.just(names.RUN_STATE_EVENT),
    }
)
ODD_EVENT = st.dictionaries(
    st.sampled_from([names.RUN_ID, names.STATE, names.ATTEMPT, names.SLOT, names.TAGS, names.PROCESS_EXIT_CODE, names.EVENT_ID]),
    VALUES,
)


@settings(max_examples=50, deadline=None)
@given(st.lists(ODD_SPAN, min_size=1, max_size=3))
def test_odd_spans_are_rows(fields: list[dict[str, Any]]) -> None:
    """Whatever numbers, ids and texts the fields of a span have, it becomes a row, equal in both encodings."""
    request = traces(*(span(number, **odd) for number, odd in enumerate(fields, 1)))
    tables = [to_rows.spans([record(request, signal)]) for signal in (Signal.TRACES_PROTO, Signal.TRACES_JSON)]
    assert tables[0].equals(tables[1])
    assert len(through_duckdb(tables[0])) == len(fields)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(ODD_LOG, ODD_EVENT), min_size=1, max_size=3))
def test_odd_logs_are_rows(fields: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    """Whatever a log record says, it becomes a row, and at most one event that stores can take."""
    request = logs(*(log(number, about, **odd) for number, (odd, about) in enumerate(fields, 1)))
    both = [record(request, signal) for signal in (Signal.LOGS_PROTO, Signal.LOGS_JSON)]
    tables = [to_rows.logs([one]) for one in both]
    assert tables[0].equals(tables[1])
    assert len(through_duckdb(tables[0])) == len(fields)
    events = [to_rows.run_events([one]) for one in both]
    assert events[0] == events[1]
    assert batch.run_events(events[0]).num_rows == len(events[0]) <= len(fields)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.sampled_from(list(Signal)))
def test_noise_is_refused_and_nothing_else(payload: bytes, signal: Signal) -> None:
    """Random bytes either pass the check or raise Malformed; nothing else comes out."""
    with contextlib.suppress(Malformed):
        decode.check(signal, payload)


@pytest.mark.parametrize("number", [1e15, 1e16, 123456789012345680.0, 9007199254740993.0, 5e-324, 1.7976931348623157e308, 0.1])
def test_edges_of_doubles_are_read_back_equal(number: float) -> None:
    """Doubles at the edges of notation are read back as the same double."""
    found = through_duckdb(to_rows.spans([record(traces(span(1, {"n": number, "m": -number})), Signal.TRACES_PROTO)]))
    assert same(found, [{"n": number, "m": -number}])
