"""Trace requests → rows of the table ``spans``."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from rota.wire import names
from rota_collector.decode import foreign_columns
from rota_collector.decode.attributes import Attributes, joined, quoted
from rota_collector.decode.columns import (
    SHARED_JSON,
    Requests,
    Rows,
    concat,
    identified,
    json_column,
    kept,
    nanoseconds,
    nonempty,
    small,
    timestamps,
    uint64s,
    uuids,
    uuids_of_text,
)
from rota_collector.journal import Record, Signal

SCHEMA = pa.schema(
    [
        ("trace_id", pa.uuid()),
        ("span_id", pa.uint64()),
        ("parent_span_id", pa.uint64()),
        ("run_id", pa.uuid()),
        ("workflow", pa.string()),
        ("task", pa.string()),
        ("name", pa.string()),
        ("kind", pa.uint8()),
        ("started_at", pa.timestamp("ns")),
        ("duration_ns", pa.int64()),
        ("status", pa.uint8()),
        ("status_message", pa.string()),
        ("service", pa.string()),
        ("host", pa.string()),
        ("attributes", pa.json_()),
        ("events", pa.json_()),
        ("links", pa.json_()),
        ("dropped", pa.uint32()),
        ("trace_state", pa.string()),
        ("flags", pa.uint8()),
        ("scope", pa.string()),
        ("scope_version", pa.string()),
        ("scope_attributes", SHARED_JSON),
        ("resource", SHARED_JSON),
        ("calls", pa.uint32()),
    ]
)
_NUMBERS_OF_EVENT = {"droppedAttributesCount": "dropped_attributes_count"}
_NUMBERS_OF_LINK = {"flags": "flags", **_NUMBERS_OF_EVENT}
_REQUESTS = Requests(ExportTraceServiceRequest, Signal.TRACES_JSON, ("resource_spans", "scope_spans", "spans"))


def spans(records: Sequence[Record]) -> pa.Table:
    """One row a span, in the order of arrival; spans without a valid trace and span id are left out, as was answered."""
    return concat([_table(rows) for rows in _REQUESTS.rows(records)], SCHEMA)


def _table(rows: Rows) -> pa.Table:
    rows = kept(rows, pc.and_(identified(rows.records.field("trace_id"), 16), identified(rows.records.field("span_id"), 8)))
    spans = rows.records
    about = Attributes(spans.field("attributes"))
    started_ns = nanoseconds(spans.field("start_time_unix_nano"))
    columns = {
        "trace_id": uuids(spans.field("trace_id")),
        "span_id": uint64s(spans.field("span_id")),
        "parent_span_id": uint64s(spans.field("parent_span_id")),
        "run_id": uuids_of_text(foreign_columns.run_ids(about, pc.coalesce(about.first(names.RUN_ID), rows.run_id))),
        "workflow": pc.coalesce(about.first(names.WORKFLOW), rows.workflow),
        "task": foreign_columns.tasks(about, about.first(names.TASK_NAME)),
        "name": spans.field("name"),
        "kind": small(spans.field("kind")),
        "started_at": timestamps(started_ns),
        "duration_ns": _duration(started_ns, spans.field("end_time_unix_nano")),
        "status": small(pc.fill_null(pc.struct_field(spans, ["status", "code"]), 0)),
        "status_message": nonempty(pc.struct_field(spans, ["status", "message"])),
        "service": rows.service,
        "host": rows.host,
        "attributes": json_column(about.objects()),
        "events": json_column(_events(spans.field("events"))),
        "links": json_column(_links(spans.field("links"))),
        "dropped": _dropped(spans),
        "trace_state": nonempty(spans.field("trace_state")),
        "flags": pc.bit_wise_and(spans.field("flags"), pa.scalar(255, pa.uint32())).cast(pa.uint8()),
        "scope": nonempty(rows.scope),
        "scope_version": nonempty(rows.scope_version),
        "scope_attributes": rows.scope_attributes,
        "resource": rows.resource,
        "calls": _count(about.first_integer(names.CALLS_COUNT)),
    }
    return pa.table(columns, schema=SCHEMA)


def _duration(started_ns: pa.Int64Array, ended: pa.UInt64Array) -> pa.Int64Array:
    """Null when the end is not told."""
    ended_ns = nanoseconds(ended)
    return pc.if_else(pc.equal(ended_ns, 0), None, pc.subtract(ended_ns, started_ns))


def _count(numbers: pa.Int64Array) -> pa.UInt32Array:
    """Null when it is not told, or no count."""
    there = pc.and_(pc.greater_equal(numbers, 0), pc.less(numbers, 1 << 32))
    return pc.if_else(there, numbers, None).cast(pa.uint32())


def _dropped(spans: pa.StructArray) -> pa.UInt32Array:
    """How many attributes, events and links the sender says it left out."""
    counts = [spans.field(f"dropped_{what}_count") for what in ("attributes", "events", "links")]
    return pc.add(pc.add(counts[0], counts[1]), counts[2])


def _events(lists: pa.ListArray) -> pa.StringArray:
    """Events of each span as a JSON array, named as in OTLP-JSON; null without any."""
    events = lists.flatten()
    texts = pc.binary_join_element_wise(
        '{"timeUnixNano":"', events.field("time_unix_nano").cast(pa.string()),
        '","name":', quoted(events.field("name")),
        ',"attributes":', Attributes(events.field("attributes")).objects(), _rest(events, _NUMBERS_OF_EVENT), "}", "",
    )  # fmt: skip
    return _array(lists, texts)


def _links(lists: pa.ListArray) -> pa.StringArray:
    """Links of each span as a JSON array, named as in OTLP-JSON; null without any."""
    links = lists.flatten()
    texts = pc.binary_join_element_wise(
        '{"traceId":"', _hex(links.field("trace_id")),
        '","spanId":"', _hex(links.field("span_id")),
        '","attributes":', Attributes(links.field("attributes")).objects(),
        _trace_states(links), _rest(links, _NUMBERS_OF_LINK), "}", "",
    )  # fmt: skip
    return _array(lists, texts)


def _rest(records: pa.StructArray, names: dict[str, str]) -> pa.StringArray | str:
    """``,"name":number`` of each number that is not 0: hardly any is."""
    texts: pa.StringArray | str = ""
    for name, field in names.items():
        numbers = records.field(field)
        if pc.any(pc.not_equal(numbers, 0)).as_py():
            text = pc.binary_join_element_wise(f',"{name}":', numbers.cast(pa.string()), "")
            texts = pc.binary_join_element_wise(texts, pc.if_else(pc.equal(numbers, 0), "", text), "")
    return texts


def _trace_states(links: pa.StructArray) -> pa.StringArray | str:
    texts = links.field("trace_state")
    if not pc.any(pc.not_equal(texts, "")).as_py():
        return ""
    return pc.if_else(pc.equal(texts, ""), "", pc.binary_join_element_wise(',"traceState":', quoted(texts), ""))


def _array(lists: pa.ListArray, texts: pa.StringArray) -> pa.StringArray:
    if not len(texts):
        return pa.nulls(len(lists), pa.string())
    return nonempty(pc.binary_join_element_wise("[", joined(lists, texts), "]", ""), "[]")


def _hex(ids: pa.BinaryArray) -> pa.StringArray:
    return pa.array([text.hex() for text in ids.to_pylist()], pa.string())
