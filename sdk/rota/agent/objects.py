"""Spool lines as objects of opentelemetry-sdk, so that its exporters can carry them anywhere."""

from __future__ import annotations

import base64
import json
from typing import Any, Iterator, Sequence

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    _Item = tuple[dict[str, Any], Resource, InstrumentationScope]

_IS_REMOTE = 0x200  # the flag of a span or link whose parent is known to be of another process
_KINDS = {1: SpanKind.INTERNAL, 2: SpanKind.SERVER, 3: SpanKind.CLIENT, 4: SpanKind.PRODUCER, 5: SpanKind.CONSUMER}


def spans(lines: Sequence[bytes]) -> list[ReadableSpan]:
    """The spans of ``{"resourceSpans": …}`` lines.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: a line is JSON, but not of this shape.
    """
    return [_span(span, resource, scope) for span, resource, scope in _items(lines, "resourceSpans", "scopeSpans", "spans")]


def logs(lines: Sequence[bytes]) -> list[ReadableLogRecord]:
    """The records of ``{"resourceLogs": …}`` lines. Raises as ``spans`` does."""
    return [_log(record, resource, scope) for record, resource, scope in _items(lines, "resourceLogs", "scopeLogs", "logRecords")]


def _items(lines: Sequence[bytes], groups: str, scopes: str, items: str) -> Iterator[_Item]:
    for line in lines:
        for group in json.loads(line).get(groups) or ():
            resource = Resource(attributes(group.get("resource") or {}), group.get("schemaUrl"))
            for scoped in group.get(scopes) or ():
                scope = scope_of(scoped)
                for item in scoped.get(items) or ():
                    yield item, resource, scope


def scope_of(scoped: dict[str, Any]) -> InstrumentationScope:
    """The scope of a group of spans, records or metrics."""
    scope = scoped.get("scope") or {}
    return InstrumentationScope(scope.get("name", ""), scope.get("version"), scoped.get("schemaUrl"), attributes(scope))


def _span(span: dict[str, Any], resource: Resource, scope: InstrumentationScope) -> ReadableSpan:
    flags = int(span.get("flags", 0))
    trace_id, parent_id = int(span["traceId"], 16), int(span.get("parentSpanId") or "0", 16)
    status = span.get("status") or {}
    code = StatusCode(int(status.get("code", 0)))
    return ReadableSpan(
        name=span.get("name", ""),
        context=_context(trace_id, span["spanId"], flags, span.get("traceState", "")),
        parent=SpanContext(trace_id, parent_id, is_remote=bool(flags & _IS_REMOTE)) if parent_id else None,
        resource=resource,
        attributes=attributes(span),
        events=_bounded([_event(event) for event in span.get("events") or ()], span.get("droppedEventsCount")),
        links=_bounded([_link(link) for link in span.get("links") or ()], span.get("droppedLinksCount")),
        kind=_KINDS.get(int(span.get("kind", 1)), SpanKind.INTERNAL),
        status=Status(code, status.get("message") or None) if code is StatusCode.ERROR else Status(code),
        start_time=int(span.get("startTimeUnixNano", 0)),
        end_time=int(span.get("endTimeUnixNano", 0)),
        instrumentation_scope=scope,
    )


def _log(record: dict[str, Any], resource: Resource, scope: InstrumentationScope) -> ReadableLogRecord:
    context = _context(int(record.get("traceId") or "0", 16), record.get("spanId") or "0", int(record.get("flags", 0)), "")
    severity = int(record.get("severityNumber", 0))
    return ReadableLogRecord(
        LogRecord(
            timestamp=int(record.get("timeUnixNano", 0)),
            observed_timestamp=int(record.get("observedTimeUnixNano", 0)),
            context=set_span_in_context(NonRecordingSpan(context)),
            severity_text=record.get("severityText"),
            severity_number=SeverityNumber(severity) if severity else None,
            body=_value(record.get("body") or {}),
            attributes=attributes(record),
            event_name=record.get("eventName"),
        ),
        resource,
        scope,
    )


def _context(trace_id: int, span_id: str, flags: int, state: str) -> SpanContext:
    trace_state = TraceState.from_header([state]) if state else None
    return SpanContext(trace_id, int(span_id, 16), bool(flags & _IS_REMOTE), TraceFlags(flags & 0xFF), trace_state)


def _event(event: dict[str, Any]) -> Event:
    return Event(event.get("name", ""), attributes(event), int(event.get("timeUnixNano", 0)))


def _link(link: dict[str, Any]) -> Link:
    flags = int(link.get("flags", 0))
    return Link(_context(int(link["traceId"], 16), link["spanId"], flags, link.get("traceState", "")), attributes(link))


def attributes(holder: dict[str, Any]) -> BoundedAttributes | dict[str, Any]:
    """The attributes of whatever has some."""
    pairs = {pair["key"]: _value(pair.get("value") or {}) for pair in holder.get("attributes") or ()}
    dropped = int(holder.get("droppedAttributesCount", 0))
    if not dropped:
        return pairs
    bounded = BoundedAttributes(attributes=pairs)
    bounded.dropped = dropped
    return bounded


def _bounded(items: list[Any], dropped: int | None) -> Sequence[Any]:
    """The items, and how many more there were."""
    if not dropped:
        return items
    bounded = BoundedList.from_seq(len(items), items)
    bounded.dropped = int(dropped)
    return bounded


def _value(value: dict[str, Any]) -> Any:
    """The Python value of an OTLP AnyValue; an empty one is None."""
    for kind, given in value.items():
        if kind == "intValue":
            return int(given)
        if kind == "doubleValue":
            return float(given)
        if kind == "bytesValue":
            return base64.b64decode(given)
        if kind == "arrayValue":
            return [_value(item) for item in given.get("values") or ()]
        if kind == "kvlistValue":
            return {pair["key"]: _value(pair.get("value") or {}) for pair in given.get("values") or ()}
        return given  # stringValue, boolValue
    return None
