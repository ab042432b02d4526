"""Lines of metrics as objects of opentelemetry-sdk: sums and gauges of numbers, which is what ``sample`` writes."""

from __future__ import annotations

import json
from typing import Any, Sequence

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource

from rota.agent.objects import attributes, scope_of


def metrics(lines: Sequence[bytes]) -> MetricsData:
    """The metrics of ``{"resourceMetrics": …}`` lines.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: a line is JSON, but not of this shape.
    """
    return MetricsData([_resource(group) for line in lines for group in json.loads(line)["resourceMetrics"]])


def _resource(group: dict[str, Any]) -> ResourceMetrics:
    resource = Resource(attributes(group["resource"]), group.get("schemaUrl"))
    return ResourceMetrics(resource, [_scope(scoped) for scoped in group["scopeMetrics"]], "")


def _scope(scoped: dict[str, Any]) -> ScopeMetrics:
    return ScopeMetrics(scope_of(scoped), [_metric(metric) for metric in scoped["metrics"]], "")


def _metric(metric: dict[str, Any]) -> Metric:
    data: Sum | Gauge
    if "sum" in metric:
        points = [_point(point) for point in metric["sum"]["dataPoints"]]
        data = Sum(points, AggregationTemporality(metric["sum"]["aggregationTemporality"]), metric["sum"]["isMonotonic"])
    else:
        data = Gauge([_point(point) for point in metric["gauge"]["dataPoints"]])
    return Metric(metric["name"], "", metric["unit"], data)


def _point(point: dict[str, Any]) -> NumberDataPoint:
    value = int(point["asInt"]) if "asInt" in point else float(point["asDouble"])
    return NumberDataPoint(attributes(point), int(point.get("startTimeUnixNano", 0)), int(point["timeUnixNano"]), value)
