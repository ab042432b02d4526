"""Which rows of a request are of workflows that its key is not for, and the request without them.

Only requests that come with a limited key are looked at, so nobody else pays for it. A row is of the workflow that it names
itself, else of the one that its scope or its resource names, else its service stands for it: as the stores read it. What
names none of them could be anybody's and is refused, but for what an agent says of itself and metrics, which make no run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableSequence
from typing import Any, NamedTuple

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from rota.wire import names
from rota_collector.decode.foreign import workflow_told
from rota_collector.decode.from_json import DIALECTS, to_protobuf
from rota_collector.domain.reach import Reach
from rota_collector.journal import Signal

_AGENT = "rota-agent"
_AMBIGUOUS = "\0"  # no key is for it
_POINTS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")
_AS_PROTOBUF = {
    Signal.TRACES_JSON: Signal.TRACES_PROTO, Signal.LOGS_JSON: Signal.LOGS_PROTO, Signal.METRICS_JSON: Signal.METRICS_PROTO,
}  # fmt: skip

Rows = MutableSequence[Any]
Workflows = Callable[[Any], tuple[str | None, ...]]  # that a row speaks of


class Narrowed(NamedTuple):
    """What is left of a request, how many rows are not, and why."""

    signal: Signal
    payload: bytes | bytearray
    rejected: int = 0
    reason: str = ""


class _Shape(NamedTuple):
    """Where a request of one signal has its rows."""

    request: type[Message]
    resources: str
    scopes: str
    rows: str


_SHAPES = {
    Signal.TRACES_PROTO: _Shape(ExportTraceServiceRequest, "resource_spans", "scope_spans", "spans"),
    Signal.LOGS_PROTO: _Shape(ExportLogsServiceRequest, "resource_logs", "scope_logs", "log_records"),
    Signal.METRICS_PROTO: _Shape(ExportMetricsServiceRequest, "resource_metrics", "scope_metrics", "metrics"),
}


def narrowed(signal: Signal, payload: bytes | bytearray, reach: Reach) -> Narrowed:
    """A valid request without the rows beyond reach; the very ``payload`` when there are none."""
    whole = b"".join(to_protobuf(signal, payload)) if signal in DIALECTS else bytes(payload)
    shape = _SHAPES[_AS_PROTOBUF.get(signal, signal)]
    request = shape.request.FromString(whole)
    foreign: list[str] = []
    left, before = 0, 0
    for rows, workflows_of in _groups(request, shape):
        keep = _keeper(workflows_of, reach, foreign)
        before += len(rows)
        kept = [row for row in rows if not _is_of_all(row) and keep(row)]
        left += len(kept)
        if len(kept) < len(rows):
            del rows[:]
            rows.extend(kept)
    if left == before:
        return Narrowed(signal, payload)
    payload = request.SerializeToString() if left else b""
    return Narrowed(_AS_PROTOBUF.get(signal, signal), payload, len(foreign), _reason(foreign, reach) if foreign else "")


def _is_of_all(row: Any) -> bool:
    """That an observer looked at a system is about all workflows there. It is left out without a word, as it comes again and
    again, and an agent would set each aside.
    """
    return getattr(row, "event_name", None) == names.LOOK_EVENT


def _groups(request: Any, shape: _Shape) -> Iterator[tuple[Rows, Workflows]]:
    """Rows that stand together, and whose each of them is (None: nobody's, and it may be so)."""
    for resource in getattr(request, shape.resources):
        service = _text(resource.resource.attributes, names.SERVICE_NAME)
        for scope in getattr(resource, shape.scopes):
            above = _text(scope.scope.attributes, names.WORKFLOW) or _text(resource.resource.attributes, names.WORKFLOW)
            if shape.rows == "metrics":
                for metric in scope.metrics:
                    yield from _points(metric, above)
            elif shape.rows == "spans":
                yield scope.spans, _naming_also(_naming(above, service), resource, scope)
            else:
                yield getattr(scope, shape.rows), _naming(above, service)


def _points(metric: Any, above: str | None) -> Iterator[tuple[Rows, Workflows]]:
    for kind in _POINTS:
        if metric.HasField(kind):
            yield getattr(metric, kind).data_points, lambda point: (_text(point.attributes, names.WORKFLOW) or above,)


def _naming(above: str | None, service: str | None) -> Workflows:
    def workflows_of(row: Any) -> tuple[str | None]:
        named = _text(row.attributes, names.WORKFLOW) or above
        if named is None and service == _AGENT and getattr(row, "event_name", None) != names.RUN_STATE_EVENT:
            return (None,)
        return (named or service or "",)

    return workflows_of


def _naming_also(naming: Workflows, resource: Any, scope: Any) -> Workflows:
    """``naming``, and the workflow whose run a span of an orchestrator tells of."""
    return lambda span: (*naming(span), workflow_told(resource, scope, span))


def _keeper(workflows_of: Workflows, reach: Reach, foreign: list[str]) -> Callable[[Any], bool]:
    """Whether a row is within reach; the workflow of one that is not is added to ``foreign``."""

    def keep(row: Any) -> bool:
        for workflow in workflows_of(row):
            if workflow is not None and not (workflow and reach.allows(workflow)):
                foreign.append(workflow)
                return False
        return True

    return keep


def _text(attributes: Any, name: str) -> str | None:
    """The string that is the value of that name. One that is there twice, or is no string, some read in another way than we."""
    values = [attribute.value for attribute in attributes if attribute.key == name]
    if len(values) > 1 or any(not value.HasField("string_value") for value in values):
        return _AMBIGUOUS
    return values[0].string_value or None if values else None


def _reason(foreign: list[str], reach: Reach) -> str:
    named = ", ".join(sorted({each for each in foreign if each and each != _AMBIGUOUS})[:3])
    what = f"of workflows that the key is not for ({named})" if named else f"of no workflow: they need {names.WORKFLOW}"
    return f"{len(foreign)} rows are {what}; it is for {reach}"
