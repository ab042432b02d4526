"""Metrics requests → rows of the table ``metrics``, one a point.

Points of five shapes share one table: what queries ask of all of them has columns, the rest of a point is JSON. They
are few beside spans, so they are read one by one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from rota.wire import names
from rota_collector.decode.attributes import object_text
from rota_collector.decode.columns import Requests, left_out
from rota_collector.decode.scalars import LAST_NS, MOST_CHARACTERS, MOST_JSON_BYTES, uuid_of
from rota_collector.journal import Record, Signal

SCHEMA = pa.schema(
    [
        ("measured_at", pa.timestamp("ns")),
        ("name", pa.string()),
        ("unit", pa.string()),
        ("kind", pa.string()),
        ("value", pa.float64()),
        ("count", pa.uint64()),
        ("sum", pa.float64()),
        ("run_id", pa.uuid()),
        ("workflow", pa.string()),
        ("service", pa.string()),
        ("host", pa.string()),
        ("attributes", pa.json_()),
        ("point", pa.json_()),
        ("scope", pa.string()),
        ("resource", pa.json_()),
    ]
)
_REQUESTS = Requests(ExportMetricsServiceRequest, Signal.METRICS_JSON, ("resource_metrics", "scope_metrics", "metrics"))
METRICS_SIGNALS = (Signal.METRICS_JSON, Signal.METRICS_PROTO)
_COLUMNS_OF_POINT = ("attributes", "timeUnixNano", "count", "sum", "asDouble")


def metrics(records: Sequence[Record]) -> pa.Table:
    """One row a point, in the order of arrival."""
    rows = [row for request, received_ns in messages(records) for row in _rows(request, received_ns)]
    return _table(rows)


def messages(records: Sequence[Record]) -> Iterator[tuple[Any, int]]:
    """(request message, Unix ns at which it was received) of each piece of the requests."""
    return _REQUESTS.messages(records)


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    columns = [_column([row.get(field.name) for row in rows], field.type) for field in SCHEMA]
    return pa.table(columns, schema=SCHEMA)


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, pa.array(values, kind.storage_type))
    return pa.array(values, kind)


def _rows(request: Any, received_ns: int) -> Iterator[dict[str, Any]]:
    for resource in request.resource_metrics:
        above = strings(resource.resource)
        text = object_text(resource.resource.attributes)
        about = {"resource": text if len(text) <= MOST_JSON_BYTES else left_out(len(text))}
        for scope in resource.scope_metrics:
            inherited = above | strings(scope.scope)
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                for point in getattr(metric, kind).data_points if kind else ():
                    yield about | _row(metric, kind, point, inherited, received_ns) | {"scope": _short(scope.scope.name)}


def _row(metric: Any, kind: str, point: Any, inherited: dict[str, str], received_ns: int) -> dict[str, Any]:
    told = inherited | strings(point)
    run_id = told.get(names.RUN_ID)
    number = point.WhichOneof("value") if kind in ("gauge", "sum") else None
    return {
        "measured_at": min(point.time_unix_nano or received_ns, LAST_NS),
        "name": metric.name[:MOST_CHARACTERS],
        "unit": _short(metric.unit),
        "kind": kind,
        "value": float(getattr(point, number)) if number else None,
        "count": None if kind in ("gauge", "sum") else point.count,
        "sum": _sum(kind, point),
        "run_id": uuid_of(run_id).bytes if run_id else None,
        "workflow": told.get(names.WORKFLOW),
        "service": told.get(names.SERVICE_NAME),
        "host": told.get(names.HOST_NAME),
        "attributes": object_text(point.attributes),
        "point": _rest(metric, kind, point),
    }


def _sum(kind: str, point: Any) -> float | None:
    """Null where it is not told: a histogram of what may be negative has none."""
    if kind in ("gauge", "sum") or (kind != "summary" and not point.HasField("sum")):
        return None
    return float(point.sum)


def strings(message: Any) -> dict[str, str]:
    """String attributes by name, cut; of duplicates the first."""
    told = (item for item in reversed(message.attributes) if item.value.HasField("string_value"))
    return {item.key: item.value.string_value[:MOST_CHARACTERS] for item in told}


def _short(text: str) -> str | None:
    return text[:MOST_CHARACTERS] or None


def _rest(metric: Any, kind: str, point: Any) -> str | None:
    """What has no column, named as in OTLP-JSON."""
    rest = {name: value for name, value in MessageToDict(point).items() if name not in _COLUMNS_OF_POINT}
    for exemplar, message in zip(rest.get("exemplars", ()), getattr(point, "exemplars", ()), strict=True):
        for name, text in (("traceId", message.trace_id.hex()), ("spanId", message.span_id.hex())):
            if text:
                exemplar[name] = text
        if message.filtered_attributes:
            exemplar["filteredAttributes"] = json.loads(object_text(message.filtered_attributes))
    if metric.description:
        rest["description"] = metric.description[:MOST_CHARACTERS]
    if metric.metadata:
        rest["metadata"] = json.loads(object_text(metric.metadata))
    data = getattr(metric, kind)
    if kind not in ("gauge", "summary"):
        rest["aggregationTemporality"] = data.aggregation_temporality
    if kind == "sum":
        rest["isMonotonic"] = data.is_monotonic
    return json.dumps(rest, ensure_ascii=False, separators=(",", ":"))
