"""Requests → run events, for whoever folds runs. Read record by record: few of all records are run events.

They are log records, and what ``foreign`` finds in the spans of other systems.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from rota.rules.declared import Declared
from rota.rules.fold import RunEvent
from rota.wire import names
from rota_collector.decode import otlp_json
from rota_collector.decode.foreign import may_hold_runs, runs_of_spans
from rota_collector.decode.json_pieces import PATHS, json_pieces
from rota_collector.decode.pieces import PIECE_BYTES, pieces
from rota_collector.decode.scalars import LAST_NS, MOST_CHARACTERS, uuid_of
from rota_collector.journal import Record, Signal

_NAME = names.RUN_STATE_EVENT.encode()
_DECLARED = (
    names.SCHEDULE_SPEC,
    names.SCHEDULE_TZ,
    names.SCHEDULE_GRACE,
    names.MAX_DURATION,
    names.NAME_SOURCE,
)  # as in Declared
_ESCAPED = b"\\u00"  # JSON may spell any character of the name this way

Attributes = Mapping[str, Any]


class _Reader(NamedTuple):
    """How the requests of one encoding are read; messages of both have the same field names."""

    requests: Callable[[bytes], Iterator[Any]]
    value: Callable[[Any], Any]
    id_hex: Callable[[Any], str]


def run_events(records: Sequence[Record]) -> list[RunEvent]:
    """The run events among the records, in order of arrival. Event ids and run ids are canonical where they are UUIDs.

    An event id that is no UUID becomes one made from it; a missing one is made from what the event says, so that the
    same event sent again has the same id. A record without a run id or state is no run event.
    """
    return [event for record in records for event in _run_events(record)]


class RunEventsForTwo:
    """``run_events`` for two readers of one journal, in any threads: what the first one decodes is kept for the second.

    Each reads every record once, in order, and they are seldom far apart. No more than ``most`` events are kept.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most, self._turn = most, threading.Lock()
        self._kept: dict[int, list[RunEvent]] = {}  # by the record's offset
        self._size = 0

    def __call__(self, records: Sequence[Record]) -> list[RunEvent]:
        """As ``run_events``."""
        found = [(record, self._taken(record.offset)) for record in records]
        return [event for record, events in found for event in events or self._decoded(record, records[0].offset)]

    def _taken(self, offset: int) -> list[RunEvent]:
        with self._turn:
            events = self._kept.pop(offset, [])
            self._size -= len(events)
        return events

    def _decoded(self, record: Record, reading_from: int) -> list[RunEvent]:
        events = list(_run_events(record))
        if events:
            with self._turn:
                if self._size + len(events) > self._most:  # first goes what the other one left out, or will need last of all
                    self._kept = {offset: kept for offset, kept in self._kept.items() if offset >= reading_from}
                    self._size = sum(map(len, self._kept.values()))
                if self._size + len(events) <= self._most and record.offset not in self._kept:
                    self._kept[record.offset] = events
                    self._size += len(events)
        return events


def _run_events(record: Record) -> Iterable[RunEvent]:
    if _may_hold_events(record):
        return _of_record(record)
    return runs_of_spans(record) if may_hold_runs(record) else ()


def _may_hold_events(record: Record) -> bool:
    if record.signal == Signal.LOGS_PROTO:
        return _NAME in record.payload
    return record.signal == Signal.LOGS_JSON and (_NAME in record.payload or _ESCAPED in record.payload)


def _of_record(record: Record) -> Iterator[RunEvent]:
    reader = _JSON if record.signal == Signal.LOGS_JSON else _PROTOBUF
    for request in reader.requests(record.payload):
        for resource, scope, log in _run_state_logs(request):
            above = _cut(_attributes(reader, resource.resource) | _attributes(reader, scope.scope))
            event = _event(_attributes(reader, log), above, log, reader.id_hex, record.received_ns)
            if event is not None:
                yield event


def _run_state_logs(request: Any) -> Iterator[tuple[Any, Any, Any]]:
    for resource in request.resource_logs or ():
        for scope in resource.scope_logs or ():
            for log in scope.log_records or ():
                if log.event_name == names.RUN_STATE_EVENT:
                    yield resource, scope, log


def _attributes(reader: _Reader, message: Any) -> dict[str, Any]:
    """Python values by name; of duplicates the first, as everywhere."""
    if message is None:
        return {}
    return {item.key: reader.value(item.value) for item in reversed(message.attributes or ()) if item.value is not None}


def _cut(above: Attributes) -> Attributes:
    """What stands above is repeated in each event below: long texts of it are cut, as they are for all records."""
    return {name: value[:MOST_CHARACTERS] if isinstance(value, str) else value for name, value in above.items()}


def _event(own: Attributes, above: Attributes, log: Any, id_hex: Callable[[Any], str], received_ns: int) -> RunEvent | None:
    trace_id, span_id = _id(id_hex(log.trace_id), 32), _id(id_hex(log.span_id), 16)
    run_id = _text(own, names.RUN_ID) or _text(above, names.RUN_ID) or trace_id
    state = _text(own, names.STATE)
    if not run_id or not state:
        return None
    at_ns = min(log.time_unix_nano or log.observed_time_unix_nano or received_ns, LAST_NS)
    attempt = max(1, min(_integer(own, names.ATTEMPT, 999_999) or 1, 999_999))
    source = _text(own, names.SOURCE) or "sdk"
    told_id = _text(own, names.EVENT_ID) or f"{run_id}|{attempt}|{state}|{at_ns}|{source}"
    parent = _text(own, names.PARENT_RUN_ID)
    return RunEvent(
        event_id=str(uuid_of(told_id)),
        run_id=_canonical(run_id),
        workflow=_text(own, names.WORKFLOW) or _text(above, names.WORKFLOW) or _text(above, names.SERVICE_NAME) or "unknown",
        state=state,
        at_ns=at_ns,
        attempt=attempt,
        source=source,
        reason=_text(own, names.REASON),
        raw_state=_text(own, names.RAW_STATE),
        started_ns=_integer(own, names.RUN_STARTED, LAST_NS),
        slot_ns=_integer(own, names.SLOT, LAST_NS),
        exit_code=_integer(own, names.PROCESS_EXIT_CODE, 2**31 - 1),
        error_type=_text(own, names.ERROR_TYPE) or _text(own, names.EXCEPTION_TYPE),
        error_message=_text(own, names.EXCEPTION_MESSAGE),
        error_stack=_text(own, names.EXCEPTION_STACK),
        host=_text(own, names.HOST_NAME) or _host_of_who_tells(own, above),
        trace_id=trace_id,
        span_id=span_id,
        parent_run_id=_canonical(parent) if parent else None,
        tags=_texts(own, names.TAGS),
        declared=_declared(own),
    )


def _host_of_who_tells(own: Attributes, above: Attributes) -> str | None:
    """Where the run is, too, unless somebody only looked at it from there."""
    return None if _text(own, names.RUN_SCOPE) == "foreign" else _text(above, names.HOST_NAME)


def _declared(own: Attributes) -> Declared | None:
    """What the code says about its workflow; only the event that begins a run says anything."""
    said = Declared(*(_text(own, name) for name in _DECLARED))
    return said if any(said) else None


def _text(attributes: Attributes, name: str) -> str | None:
    value = attributes.get(name)
    return value if isinstance(value, str) and value else None


def _texts(attributes: Attributes, name: str) -> tuple[str, ...]:
    values = attributes.get(name)
    return tuple(value for value in values if isinstance(value, str)) if isinstance(values, list) else ()


def _integer(attributes: Attributes, name: str, most: int) -> int | None:
    """A number that a store can keep; None for anything else."""
    value = attributes.get(name)
    try:
        number = int(value) if isinstance(value, (int, str)) else None
    except ValueError:
        return None
    return number if number is not None and -most <= number <= most else None


def _id(text: str, digits: int) -> str | None:
    return text if len(text) == digits and text.strip("0") else None


def _canonical(run_id: str) -> str:
    """A UUID in its usual spelling, also when it came as 32 hex digits; any other id as it is."""
    if len(run_id) not in (32, 36):
        return run_id
    identity = uuid_of(run_id)
    return str(identity) if identity.hex == run_id.replace("-", "").lower() else run_id


def _struct_value(value: otlp_json.AnyValue) -> Any:
    if value.string_value is not None:
        return value.string_value
    if value.int_value is not None:
        return value.int_value
    return _struct_items(value.array_value)


def _struct_items(array: otlp_json.ArrayValue | None) -> list[Any] | None:
    return None if array is None else [_struct_value(item) for item in array.values or ()]


def _message_value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_message_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind in ("string_value", "int_value") else None


def _json_requests(payload: bytes) -> Iterator[otlp_json.LogsRequest]:
    return _each(lambda piece: otlp_json.decode(otlp_json.LogsRequest, piece), json_pieces(payload, PATHS["logs"], PIECE_BYTES))


def _protobuf_requests(payload: bytes) -> Iterator[Any]:
    return _each(lambda piece: ExportLogsServiceRequest.FromString(bytes(piece)), pieces(payload, PIECE_BYTES))


def _each(decode: Callable[[Any], Any], payloads: Iterable[Any]) -> Iterator[Any]:
    return (decode(piece) for piece in payloads)


_JSON = _Reader(_json_requests, _struct_value, lambda text: otlp_json.unhex(text).hex())
_PROTOBUF = _Reader(_protobuf_requests, _message_value, bytes.hex)
