"""Rendering of OTLP-JSON metrics as text, as ``events`` does it for states and spans."""

from __future__ import annotations

from rota.wire.events import attributes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Mapping

_CUMULATIVE = 2
_NO_RECORDED_VALUE = 1  # of DataPointFlags: the series ends here


def point(value: float, at_ns: int, since_ns: int = 0, pairs: Mapping[str, object] | None = None) -> str:
    """A ``NumberDataPoint``. ``since_ns`` is where a sum began; 0 for what is no sum over time."""
    number = '"asInt":"%d"' % value if isinstance(value, int) else '"asDouble":%r' % value
    since = '"startTimeUnixNano":"%d",' % since_ns if since_ns else ""
    return '{"attributes":[%s],%s"timeUnixNano":"%d",%s}' % (attributes(pairs or {}), since, at_ns, number)


def last_point(at_ns: int) -> str:
    """A ``NumberDataPoint`` without a value: that there will be no more."""
    return '{"attributes":[],"timeUnixNano":"%d","asDouble":0.0,"flags":%d}' % (at_ns, _NO_RECORDED_VALUE)


def gauge(name: str, unit: str, points: Iterable[str]) -> str:
    """A ``Metric`` whose values stand for themselves."""
    return '{"name":"%s","unit":"%s","gauge":{"dataPoints":[%s]}}' % (name, unit, ",".join(points))


def total(name: str, unit: str, points: Iterable[str], is_monotonic: bool) -> str:
    """A ``Metric`` whose values may be added up; monotonic when they only grow."""
    return '{"name":"%s","unit":"%s","sum":{"aggregationTemporality":%d,"isMonotonic":%s,"dataPoints":[%s]}}' % (
        name, unit, _CUMULATIVE, "true" if is_monotonic else "false", ",".join(points),
    )  # fmt: skip


def of_scope(resource_json: str, scope_json: str, metrics: Iterable[str]) -> str:
    """A ``ResourceMetrics`` of one scope."""
    return '{"resource":%s,"scopeMetrics":[{"scope":%s,"metrics":[%s]}]}' % (resource_json, scope_json, ",".join(metrics))


def line(resources: Iterable[str]) -> str:
    """One line: an ExportMetricsServiceRequest."""
    return '{"resourceMetrics":[%s]}\n' % ",".join(resources)
