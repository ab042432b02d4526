"""Logs requests → rows of the table ``logs``."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from rota.wire import names
from rota_collector.decode.attributes import Attributes, strings
from rota_collector.decode.columns import (
    SHARED_JSON,
    Requests,
    Rows,
    concat,
    json_column,
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
        ("logged_at", pa.timestamp("ns")),
        ("trace_id", pa.uuid()),
        ("span_id", pa.uint64()),
        ("run_id", pa.uuid()),
        ("workflow", pa.string()),
        ("task", pa.string()),
        ("event_name", pa.string()),
        ("event_id", pa.uuid()),
        ("severity", pa.uint8()),
        ("severity_text", pa.string()),
        ("body", pa.string()),
        ("service", pa.string()),
        ("host", pa.string()),
        ("attributes", pa.json_()),
        ("dropped", pa.uint32()),
        ("flags", pa.uint8()),
        ("scope", pa.string()),
        ("scope_version", pa.string()),
        ("scope_attributes", SHARED_JSON),
        ("resource", SHARED_JSON),
    ]
)
REQUESTS = Requests(ExportLogsServiceRequest, Signal.LOGS_JSON, ("resource_logs", "scope_logs", "log_records"))


def logs(records: Sequence[Record]) -> pa.Table:
    """One row a log record, in the order of arrival. A wrong trace or span id makes it uncorrelated, nothing more."""
    return concat([_table(rows) for rows in REQUESTS.rows(records)], SCHEMA)


def _table(rows: Rows) -> pa.Table:
    logs = rows.records
    about = Attributes(logs.field("attributes"))
    columns = {
        "logged_at": timestamps(_times(logs, rows.received_ns)),
        "trace_id": uuids(logs.field("trace_id")),
        "span_id": uint64s(logs.field("span_id")),
        "run_id": uuids_of_text(pc.coalesce(about.first(names.RUN_ID), rows.run_id)),
        "workflow": pc.coalesce(about.first(names.WORKFLOW), rows.workflow),
        "task": about.first(names.TASK_NAME),
        "event_name": nonempty(logs.field("event_name")),
        "event_id": uuids_of_text(about.first(names.EVENT_ID)),
        "severity": small(logs.field("severity_number")),
        "severity_text": nonempty(logs.field("severity_text")),
        "body": strings(logs.field("body")),
        "service": rows.service,
        "host": rows.host,
        "attributes": json_column(about.objects()),
        "dropped": logs.field("dropped_attributes_count"),
        "flags": pc.bit_wise_and(logs.field("flags"), pa.scalar(255, pa.uint32())).cast(pa.uint8()),
        "scope": nonempty(rows.scope),
        "scope_version": nonempty(rows.scope_version),
        "scope_attributes": rows.scope_attributes,
        "resource": rows.resource,
    }
    return pa.table(columns, schema=SCHEMA)


def _times(logs: pa.StructArray, received_ns: pa.Int64Array) -> pa.Int64Array:
    """When it happened; when that is not told, when it was seen; else when it came here."""
    told = [nanoseconds(logs.field(name)) for name in ("time_unix_nano", "observed_time_unix_nano")]
    return pc.coalesce(*(pc.if_else(pc.equal(times, 0), None, times) for times in told), received_ns)
