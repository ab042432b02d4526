"""Spans of other orchestrators → run events, so that whoever folds runs reads run events only.

Nearly all spans are of no orchestrator, and nobody looks at them here: the names of the scopes of a request, which stand
before its spans, say whether there is anything to find.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from rota.rules.fold import RunEvent
from rota.wire import names
from rota_collector.decode.aliases import SPAN_NAME, SYSTEMS, RunSpan, System
from rota_collector.decode.from_json import to_protobuf
from rota_collector.decode.pieces import PIECE_BYTES, pieces, scope_names
from rota_collector.decode.scalars import LAST_NS, MOST_CHARACTERS, uuid_of
from rota_collector.domain.failure import of_message
from rota_collector.errors import Malformed
from rota_collector.journal import Record, Signal

_BY_SCOPE = tuple(system for system in SYSTEMS if "" not in system.scopes)
_ANY_SCOPE = tuple(system for system in SYSTEMS if "" in system.scopes)
_SCOPES = tuple({scope.encode() for system in _BY_SCOPE for scope in system.scopes})
_MARKS = tuple({each.has[0].encode() for system in _ANY_SCOPE for each in system.runs})
_MARKS_IN_JSON = tuple({f'"{scope.decode()}'.encode() for scope in _SCOPES}) + _MARKS
_ERROR, _OK = 2, 1  # of Status.StatusCode
_BAD = ("failed", "crashed", "timed_out")

Values = Mapping[str, Any]


def may_hold_runs(record: Record) -> bool:
    """Whether spans of an orchestrator may be in a request: quick, as nearly always there are none."""
    if record.signal == Signal.TRACES_PROTO:
        return any(mark in record.payload for mark in _MARKS) or _names_a_system(record.payload)
    return record.signal == Signal.TRACES_JSON and (
        any(mark in record.payload for mark in _MARKS_IN_JSON) or b"\\u00" in record.payload
    )


def _names_a_system(payload: bytes) -> bool:
    try:
        return any(name.startswith(_SCOPES) for name in scope_names(payload))
    except Malformed:  # to us, as it holds what protobuf allows and nobody writes: its own parser has the last word
        return True


def runs_of_spans(record: Record) -> Iterator[RunEvent]:
    """The run events that the spans of a traces request are."""
    payloads = (record.payload,) if record.signal == Signal.TRACES_PROTO else to_protobuf(record.signal, record.payload)
    for payload in payloads:
        for piece in pieces(payload, PIECE_BYTES):
            yield from _of_request(ExportTraceServiceRequest.FromString(bytes(piece)))


def _of_request(request: Any) -> Iterator[RunEvent]:
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            systems = _systems(scope.scope.name)
            if systems:
                about = _values(resource.resource.attributes)
                for span in scope.spans:
                    yield from _of_span(systems, span, about)


def workflow_told(resource: Any, scope: Any, span: Any) -> str | None:
    """The workflow that a span of an orchestrator speaks of, if it is one."""
    found = _of_span(_systems(scope.scope.name), span, _values(resource.resource.attributes))
    return next((event.workflow for event in found), None)


def _systems(scope: str) -> tuple[System, ...]:
    """Who may speak under that name. Our own spans tell nothing that our run events do not."""
    if scope == names.SCOPE:
        return ()
    return tuple(system for system in _BY_SCOPE if scope.startswith(system.scopes)) or _ANY_SCOPE


def _of_span(systems: Sequence[System], span: Any, about: Values) -> Iterator[RunEvent]:
    own = _values(span.attributes)
    for system in systems:
        entry = next((entry for entry in system.runs if _fits(entry, span, own)), None)
        run_id = _run_id(system, own)
        if entry is not None and run_id and len(span.trace_id) == 16 and len(span.span_id) == 8:
            yield _event(system, entry, run_id, span, own, about)
            return


def _fits(entry: RunSpan, span: Any, own: Values) -> bool:
    return (
        span.name.startswith(entry.name)
        and not (entry.root and span.parent_span_id.strip(b"\0"))
        and all(name in own for name in entry.has)
        and not any(name in own for name in entry.lacks)
        and all(own.get(name) == value for name, value in entry.values.items())
    )


def _run_id(system: System, own: Values) -> str | None:
    if any(own.get(name) != value for name, value in system.only.items()):
        return None
    values = [own.get(name) for name in system.run_id]
    return system.identity([str(value or "") for value in values]) if values[-1] else None


def _event(system: System, entry: RunSpan, run_id: str, span: Any, own: Values, about: Values) -> RunEvent:
    raw, state = _state(system, entry, span, own)
    ended_ns = min(span.end_time_unix_nano or span.start_time_unix_nano, LAST_NS)
    started_ns = (_date_ns(own.get(entry.started)) if entry.started else None) or min(span.start_time_unix_nano, LAST_NS)
    kind, message, stack = _error(span) if state in _BAD else (None, None, None)
    return RunEvent(
        event_id=str(uuid_of(f"{system.source}|{span.trace_id.hex()}|{span.span_id.hex()}|{state}")),
        run_id=str(uuid_of(run_id)),
        workflow=_workflow(system, entry, span, own, about),
        state=state,
        at_ns=started_ns if state == "running" else ended_ns,
        source=system.source,
        raw_state=raw,
        started_ns=_start(system, started_ns, state),
        error_type=kind,
        error_message=message,
        error_stack=stack,
        host=_short(about.get(names.HOST_NAME)),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        tags=tuple(tag for tag in own.get(entry.tags or "", ()) if isinstance(tag, str)),
    )


def _start(system: System, started_ns: int, state: str) -> int | None:
    """When the run began, as far as this span knows: where another span tells of the start, the end's own start is no news."""
    has_start = any(entry.state == "running" for entry in system.runs)
    return None if has_start and state != "running" else started_ns


def _workflow(system: System, entry: RunSpan, span: Any, own: Values, about: Values) -> str:
    """The name that was given to it in our own words, else what the system calls it."""
    given = own.get(names.WORKFLOW) or (_short(about.get(names.WORKFLOW)) if not span.parent_span_id else None)
    for name in system.workflow:
        told = span.name[len(entry.name) :] if name == SPAN_NAME else own.get(name)
        if told and not given:
            given = told if _is_a_name(name) else f"{system.source}/{told}"
    return str(given or _short(about.get(names.SERVICE_NAME)) or "unknown")


def _is_a_name(attribute: str) -> bool:
    """Ids do not say whose they are."""
    return not attribute.endswith("flow.id")


def _state(system: System, entry: RunSpan, span: Any, own: Values) -> tuple[str | None, str]:
    """(in the system's words, ours)."""
    if entry.state:
        return None, entry.state
    told = [own, *(_values(event.attributes) for event in reversed(span.events))]
    for values in told:
        words = [str(values[name]) for name in entry.told if name in values]
        for word in words:
            if word in system.states:
                return words[0], system.states[word]
    code = span.status.code
    return {_OK: "OK", _ERROR: "ERROR"}.get(code), "failed" if code == _ERROR else "succeeded" if code == _OK else "ended"


def _error(span: Any) -> tuple[str | None, str | None, str | None]:
    """(type, message, stack) of the last exception of a span, else of its status."""
    for event in reversed(span.events):
        if event.name == names.EXCEPTION_EVENT:
            values = _values(event.attributes)
            found = [values.get(name) for name in (names.EXCEPTION_TYPE, names.EXCEPTION_MESSAGE, names.EXCEPTION_STACK)]
            return tuple(str(each) if each else None for each in found)  # type: ignore[return-value]
    return (*of_message(span.status.message), None) if span.status.message else (None, None, None)


def _values(attributes: Any) -> dict[str, Any]:
    """Texts and lists of texts by name; of duplicates the first, as everywhere."""
    found: dict[str, Any] = {}
    for item in reversed(attributes):
        kind = item.value.WhichOneof("value")
        if kind == "string_value":
            found[item.key] = item.value.string_value
        elif kind == "array_value":
            found[item.key] = [value.string_value for value in item.value.array_value.values]
        elif kind in ("int_value", "bool_value", "double_value"):
            found[item.key] = getattr(item.value, kind)
    return found


def _short(value: Any) -> str | None:
    """A text of the resource, which is repeated below it."""
    return value[:MOST_CHARACTERS] if isinstance(value, str) and value else None


def _date_ns(text: Any) -> int | None:
    """A date in ISO 8601 as Unix time."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    return round(seconds * 1e6) * 1000 if 0 <= seconds < LAST_NS / 1e9 else None
