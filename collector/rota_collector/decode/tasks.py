"""Traces requests → the ends of tasks, for rules that wait for their facts: of the few workflows that have rules.

Nobody looks at a span of any other workflow here: whether a request may hold one of theirs is told by their names in its bytes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from rota.wire import names
from rota_collector.decode.from_json import to_protobuf
from rota_collector.decode.pieces import PIECE_BYTES, pieces
from rota_collector.decode.scalars import LAST_NS, uuid_of
from rota_collector.journal import Record, Signal

MOST_FACTS, LONGEST_TEXT = 100, 1000  # of one task, and of one fact
_MARK = names.TASK_NAME.encode()
_ERROR = 2  # of Status.StatusCode
_STATES = {"skip": "skipped", "failure": "failed", "error": "failed", "timeout": "failed", "cancellation": "cancelled"}


class TaskEnd(NamedTuple):
    """One call of a task that is over. ``told``: the attributes of its span."""

    run_id: str
    workflow: str
    attempt: int
    task: str
    span_id: str
    ended_ns: int
    seconds: float
    state: str
    told: Mapping[str, Any]


def task_ends(records: Sequence[Record], workflows: Collection[str]) -> list[TaskEnd]:
    """Those of these workflows, in the order of arrival."""
    if not workflows:
        return []
    marks = {mark for name in workflows for mark in (name.encode(errors="replace"), json.dumps(name)[1:-1].encode())}
    return [end for record in records if _may_hold(record, marks) for end in _of_record(record, workflows)]


def _may_hold(record: Record, marks: Collection[bytes]) -> bool:
    if record.signal not in (Signal.TRACES_PROTO, Signal.TRACES_JSON) or _MARK not in record.payload:
        return False
    return any(mark in record.payload for mark in marks)


def _of_record(record: Record, workflows: Collection[str]) -> Iterator[TaskEnd]:
    payloads = (record.payload,) if record.signal == Signal.TRACES_PROTO else to_protobuf(record.signal, record.payload)
    for payload in payloads:
        for piece in pieces(payload, PIECE_BYTES):
            for resource in ExportTraceServiceRequest.FromString(bytes(piece)).resource_spans:
                about = _values(resource.resource.attributes)
                for scope in resource.scope_spans:
                    above = {**about, **_values(scope.scope.attributes)}
                    yield from (end for span in scope.spans if (end := _end(span, above, workflows)) is not None)


def _end(span: Any, above: Mapping[str, Any], workflows: Collection[str]) -> TaskEnd | None:
    own = _values(span.attributes)
    task, workflow = own.get(names.TASK_NAME), own.get(names.WORKFLOW, above.get(names.WORKFLOW))
    run_id = own.get(names.RUN_ID, above.get(names.RUN_ID)) or span.trace_id.hex()
    if not isinstance(task, str) or workflow not in workflows or not isinstance(run_id, str):
        return None
    attempt = own.get(names.ATTEMPT, above.get(names.ATTEMPT))
    attempt = attempt if isinstance(attempt, int) else 1
    ended_ns = min(span.end_time_unix_nano, LAST_NS)
    seconds = max(0, ended_ns - min(span.start_time_unix_nano, LAST_NS)) / 1e9
    is_failed = span.status.code == _ERROR
    state = "failed" if is_failed else _STATES.get(str(own.get(names.TASK_RESULT)), "succeeded")
    return TaskEnd(str(uuid_of(run_id)), str(workflow), attempt, task, span.span_id.hex(), ended_ns, seconds, state, own)


def _values(attributes: Any) -> dict[str, Any]:
    """Python values by name; of duplicates the first, as everywhere."""
    found: dict[str, Any] = {}
    for item in attributes[:MOST_FACTS]:
        found.setdefault(item.key, _plain(item.value))
    return found


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(each) for each in value.array_value.values[:MOST_FACTS]]
    if kind == "string_value":
        return value.string_value[:LONGEST_TEXT]
    return getattr(value, kind) if kind in ("int_value", "double_value", "bool_value") else None
