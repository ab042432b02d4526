"""How many spans, log records or points a request has: its lists are measured, and no record is looked at."""

from __future__ import annotations

from typing import Any

from rota_collector.journal import Signal

_POINTS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")


def spans(request: Any) -> int:
    """Of a trace request, protobuf's or ours."""
    return sum(len(scope.spans or ()) for resource in request.resource_spans or () for scope in resource.scope_spans or ())


def log_records(request: Any) -> int:
    """Of a logs request."""
    return sum(len(scope.log_records or ()) for resource in request.resource_logs or () for scope in resource.scope_logs or ())


def points(request: Any) -> int:
    """Of a metrics request, those of all its kinds."""
    scopes = (scope for resource in request.resource_metrics or () for scope in resource.scope_metrics or ())
    return sum(_points(metric) for scope in scopes for metric in scope.metrics or ())


def _points(metric: Any) -> int:
    if hasattr(metric, "WhichOneof"):
        kind = metric.WhichOneof("data")
        return len(getattr(metric, kind).data_points) if kind else 0
    return sum(len(data.data_points or ()) for kind in _POINTS if (data := getattr(metric, kind, None)) is not None)


OF = {
    Signal.TRACES_PROTO: spans,
    Signal.TRACES_JSON: spans,
    Signal.LOGS_PROTO: log_records,
    Signal.LOGS_JSON: log_records,
    Signal.METRICS_PROTO: points,
    Signal.METRICS_JSON: points,
}
