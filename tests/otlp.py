"""OTLP-JSON requests as scripts send them: runs, tasks and logs, for tests that play the script."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from rota.wire import names

SECOND = 10**9
T0 = 1_790_000_000 * SECOND  # 2026-09-21T14:13:20Z

Record = dict[str, Any]


def run_id(n: int) -> str:
    """The UUIDv7 of run ``n``, which starts ``n`` seconds after T0."""
    millis = T0 // 10**6 + n * 1000
    return str(uuid.UUID(int=millis << 80 | 7 << 76 | 2 << 62 | n))


def state(n: int, name: str, at_ns: int | None = None, workflow: str = "etl.nightly", **attributes: Any) -> Record:
    """The record that says that run ``n`` is in state ``name``. ``attributes`` add others: ``error_type`` for ``error.type``."""
    identity = run_id(n)
    pairs = {
        names.EVENT_ID: str(uuid.uuid5(uuid.NAMESPACE_OID, f"{identity} {name} {attributes}")),
        names.WORKFLOW: workflow,
        names.RUN_ID: identity,
        names.STATE: name,
        names.ATTEMPT: 1,
        names.SOURCE: "sdk",
        **{_WORDS[word]: value for word, value in attributes.items()},
    }
    return {
        "timeUnixNano": str(T0 + n * SECOND if at_ns is None else at_ns),
        "eventName": names.RUN_STATE_EVENT,
        "attributes": pair_list(pairs),
        "traceId": identity.replace("-", ""),
        "spanId": span_id(n),
    }


_WORDS = {
    "reason": names.REASON, "attempt": names.ATTEMPT, "source": names.SOURCE, "exit_code": names.PROCESS_EXIT_CODE,
    "error_type": names.ERROR_TYPE, "error_message": names.EXCEPTION_MESSAGE, "error_stack": names.EXCEPTION_STACK,
    "started": names.RUN_STARTED, "tags": names.TAGS, "parent": names.PARENT_RUN_ID, "event_id": names.EVENT_ID,
    "slot": names.SLOT,
}  # fmt: skip


def whole_run(n: int, end: str = "succeeded", **attributes: Any) -> list[Record]:
    """The start of run ``n`` and its end, half a second later."""
    started = T0 + n * SECOND
    both = {name: attributes.pop(name) for name in ("workflow", "tags", "parent") if name in attributes}
    return [state(n, "running", **both), state(n, end, started + SECOND // 2, started=started, **both, **attributes)]


def task(n: int, number: int, name: str, parent: int | None = None, error: str | None = None) -> Record:
    """The span of a task of run ``n``, below the run's root or below task ``parent``."""
    started = T0 + n * SECOND + number * SECOND // 100
    span: Record = {
        "traceId": run_id(n).replace("-", ""),
        "spanId": span_id(n, number),
        "parentSpanId": span_id(n, parent or 0),
        "name": name,
        "kind": 1,
        "startTimeUnixNano": str(started),
        "endTimeUnixNano": str(started + SECOND // 100),
        "attributes": pair_list({names.TASK_NAME: name, names.RUN_ID: run_id(n), names.WORKFLOW: "etl.nightly"}),
    }
    if error is not None:
        span["status"] = {"code": 2, "message": error}
    return span


def log(n: int, text: str, severity: str = "INFO") -> Record:
    """A log record inside run ``n``."""
    return {
        "timeUnixNano": str(T0 + n * SECOND + 1),
        "severityNumber": {"INFO": 9, "WARN": 13}[severity],
        "severityText": severity,
        "body": {"stringValue": text},
        "attributes": pair_list({names.RUN_ID: run_id(n), names.WORKFLOW: "etl.nightly"}),
        "traceId": run_id(n).replace("-", ""),
        "spanId": span_id(n),
    }


def span_id(n: int, number: int = 0) -> str:
    """The id of the root span of run ``n``, or of its ``number``th task."""
    return f"{n + 1:08x}{number:08x}"


def logs(records: Iterable[Record]) -> Record:
    """A request for /v1/logs."""
    scope = {"scope": {"name": names.SCOPE}, "logRecords": list(records)}
    return {"resourceLogs": [{"resource": _resource(), "scopeLogs": [scope]}]}


def spans(found: Iterable[Record]) -> Record:
    """A request for /v1/traces."""
    scope = {"scope": {"name": names.SCOPE}, "spans": list(found)}
    return {"resourceSpans": [{"resource": _resource(), "scopeSpans": [scope]}]}


def _resource() -> Record:
    return {"attributes": pair_list({names.SERVICE_NAME: "etl", names.HOST_NAME: "box"})}


def pair_list(pairs: dict[str, Any]) -> list[Record]:
    """A dict as an OTLP attribute list."""
    return [{"key": key, "value": _value(value)} for key, value in pairs.items() if value is not None]


def _value(value: Any) -> Record:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, (list, tuple)):
        return {"arrayValue": {"values": [_value(each) for each in value]}}
    return {"stringValue": str(value)}


def renamed(record: Record, identity: str) -> Record:
    """The record with another run id."""
    ours = {"key": names.RUN_ID, "value": {"stringValue": identity}}
    return {**record, "attributes": [ours if pair["key"] == names.RUN_ID else pair for pair in record["attributes"]]}
