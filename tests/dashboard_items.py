"""What the collector's API says to the dashboard, made by hand: items with all their fields, lists as Arrow columns."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import httpx
import numpy as np
import pyarrow as pa

from rota_dashboard.client import Collector
from rota_dashboard.shape import run as runs_page
from rota_dashboard.shape import workflow as workflows_page

Item = dict[str, Any]

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 23, 9, 2, tzinfo=UTC)  # a Monday; 10:02 in Berlin
NIGHT = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)  # that day's 02:00 in Berlin
HOSTILE = '<img src=x onerror=alert(1)> **b** [a](http://evil.example) </script> \x1b[31m \u202e "&#'


def iso(at: datetime) -> str:
    """As the API writes times."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def ns(at: datetime) -> int:
    """As its columns hold them."""
    return round(at.timestamp()) * 10**9 + at.microsecond * 1000


# -- items ---------------------------------------------------------------------------------------------------------------


def a_run(started: datetime | None = NIGHT, took: float | None = 2.5, **fields: Any) -> Item:
    """A run that began at 02:00 in Berlin and succeeded; ``took`` None: it has not ended."""
    ended = None if started is None or took is None else started + timedelta(seconds=took)
    return {
        "id": "0193-1", "workflow": "etl.nightly", "state": "succeeded" if ended else "running", "reason": None, "attempt": 1,
        "slot_at": None, "started_at": started and iso(started), "ended_at": ended and iso(ended), "duration_seconds": took,
        "exit_code": None, "error_type": None, "error_message": None, "host": "etl-2", "source": "sdk", "trace_id": "0193",
        "parent_run_id": None, "tags": [], **fields,
    }  # fmt: skip


def nights(*states: str, took: float = 100.0) -> list[Item]:
    """Runs in these states, the newest first, each a day before the one before it."""
    return [
        a_run(NIGHT - timedelta(days=back), None if state == "running" else took, id=f"r{back}", state=state)
        for back, state in enumerate(states)
    ]


def a_slot(due: datetime = NIGHT, verdict: str | None = "on_time", **fields: Any) -> Item:
    """A slot at 02:00 in Berlin; a run came to it, unless its verdict says that none did."""
    lonely = verdict in ("missed", "unknown", "skipped", None)
    return {
        "workflow": "etl.nightly", "host": None, "due_at": iso(due), "deadline_at": iso(due + timedelta(minutes=15)),
        "verdict": verdict, "reason": None, "run_id": None if lonely else "0193-1", "started_at": None if lonely else iso(due),
        "revision": 1, "policy_version": 1, **fields,
    }  # fmt: skip


def a_workflow(**fields: Any) -> Item:
    """A workflow that failed once of three times."""
    return {
        "name": "etl.nightly", "level": "observe", "state": "succeeded", "last_run": a_run(), "next_due_at": None,
        "verdict": None, "paused": False, "open_incidents": 0, "success_rate_30d": 0.9761, "tags": [],
        "outcomes": ["failed", "succeeded", "succeeded"], "usual_seconds": None, **fields,
    }  # fmt: skip


def an_incident(identity: str = "i1", **fields: Any) -> Item:
    """A run that failed half an hour ago, and nobody took it."""
    at = iso(NOW - timedelta(minutes=30))
    return {
        "id": identity, "kind": "failed", "state": "open", "workflow": "etl.nightly", "host": None, "summary": "the run failed",
        "opened_at": at, "since_at": at, "closed_at": None, "reason": None, "run_id": "0193-1", "due_at": None, "error": None,
        "acked_by": None, "snoozed_until": None, "group_id": None, "suppressed_by": None, "told_at": at, **fields,
    }  # fmt: skip


def a_policy(document: Item | None = None, **fields: Any) -> Item:
    """A stored policy, in its first version; without a document there is none."""
    document = document or {}
    return {
        "workflow": "etl.nightly", "version": 1 if document else 0, "level": "observe", "policy": document,
        "stored": document or None, "declared": None, "source": dict.fromkeys(document, "stored"), "problems": [], "warnings": [],
        "from": None, "revision": None, **fields,
    }  # fmt: skip


def a_version(number: int = 1, **fields: Any) -> Item:
    """A version of a policy that Ada stored."""
    created = iso(NOW - timedelta(days=3))
    return {
        "version": number, "origin": "stored", "policy": {}, "author": "ada", "reason": None, "created_at": created,
        "from": None, "revision": None, **fields,
    }  # fmt: skip


def some_work(name: str = "load", **fields: Any) -> Item:
    """What the tasks of one name did in a run."""
    return {"name": name, "count": 1, "failed": 0, "duration_seconds": 1.0, "started_at": iso(NIGHT), "facts": {}, **fields}


def a_record(body: Any = "loaded", **fields: Any) -> Item:
    """A log record."""
    return {
        "at": "2026-11-23T01:00:03.042000Z", "severity": "info", "event_name": None, "body": body, "attributes": {},
        "trace_id": None, "span_id": None, **fields,
    }  # fmt: skip


def an_approval(identity: str = "a1", **fields: Any) -> Item:
    """A run that has waited half an hour for an operator's word, and has half an hour left."""
    at = NOW - timedelta(minutes=30)
    return {
        "id": identity, "workflow": "billing.invoices", "run_id": "0193-1", "task": None, "host": "app-1", "role": "operate",
        "state": "asked", "asked_at": iso(at), "expires_at": iso(at + timedelta(hours=1)), "answered_at": None, "by": None,
        "comment": None, **fields,
    }  # fmt: skip


def a_decision(answer: str = "go", at: datetime = NIGHT, **fields: Any) -> Item:
    """What the collector said to a run that asked."""
    return {
        "id": f"d{answer}", "at": iso(at), "attempt": 1, "task": None, "answer": answer, "reason": "all 2 gates say go",
        "gate": None, "kind": None, "host": "etl-2", "ticket": "t1", "source": "collector", "answers": [], **fields,
    }  # fmt: skip


def an_attempt(number: int, state: str = "failed", **fields: Any) -> Item:
    """One try of a run, that took two seconds."""
    at = NIGHT + timedelta(minutes=number)
    return {
        "attempt": number, "state": state, "reason": None, "started_at": iso(at), "ended_at": iso(at + timedelta(seconds=2)),
        "duration_seconds": 2.0, "exit_code": 1, "error_type": None, "error_message": None, **fields,
    }  # fmt: skip


def a_standing(workflow: str = "etl.nightly", **fields: Any) -> Item:
    """What advice for all says of a workflow that never failed."""
    return {"workflow": workflow, "level": "observe", "runs": 90, "failed": 0, "items": [], "coverage": None, **fields}


def said_of_run(run: Item, **fields: Any) -> runs_page.Known:
    """All that the collector says of a run of which little is known."""
    whole = {"error_stack": None, "tasks": [], **run}
    return runs_page.Known(whole, None, {}, [], [], [], [], None, NOW)._replace(**fields)


def said_of_workflow(**fields: Any) -> workflows_page.Known:
    """All that the collector says of a workflow of which little is known."""
    empty = workflows_page.Known(a_workflow(), a_policy(), [], [], {"runs": 0, "levels": []}, [], [], [], NOW)
    return empty._replace(**fields)


# -- columns (collector/rota_collector/store/columns.py, and span_columns in telemetry.sql) -------------------------------

_WORD = pa.dictionary(pa.int32(), pa.string())
_TEXTS = pa.list_(pa.string())
_WORKFLOWS: dict[str, tuple[pa.DataType, Any]] = {
    "name": (pa.string(), "etl.nightly"), "outcomes": (_TEXTS, []), "usual_low_ns": (pa.int64(), None),
    "usual_high_ns": (pa.int64(), None), "run_id": (pa.string(), None), "state": (_WORD, None), "reason": (_WORD, None),
    "started_ns": (pa.int64(), None), "ended_ns": (pa.int64(), None), "host": (_WORD, None), "tags": (_TEXTS, []),
    "level": (_WORD, "observe"), "next_due_ns": (pa.int64(), None), "verdict": (_WORD, None), "paused": (pa.bool_(), False),
    "open_incidents": (pa.int32(), 0),
}  # fmt: skip
_RUNS: dict[str, tuple[pa.DataType, Any]] = {
    "run_id": (pa.string(), "01936d3e-0000-7000-8000-000000000001"), "workflow": (_WORD, "etl.nightly"),
    "state": (_WORD, "succeeded"), "reason": (_WORD, None), "attempt": (pa.int32(), 1), "started_ns": (pa.int64(), ns(NIGHT)),
    "ended_ns": (pa.int64(), None), "exit_code": (pa.int32(), None), "host": (_WORD, None), "source": (_WORD, "sdk"),
    "error_type": (_WORD, None), "tags": (_TEXTS, []),
}  # fmt: skip
_SPANS: dict[str, tuple[pa.DataType, Any]] = {
    "span_id": (pa.uint64(), 1), "parent_span_id": (pa.uint64(), None), "name": (pa.string(), "load"), "kind": (pa.int32(), 1),
    "is_task": (pa.bool_(), True), "started_ns": (pa.int64(), ns(NIGHT)), "duration_ns": (pa.int64(), 10**9),
    "is_failed": (pa.bool_(), False), "calls": (pa.uint32(), None), "total": (pa.int64(), None),
}  # fmt: skip


def workflow_columns(*rows: Item) -> pa.Table:
    """Workflows, each with what differs from one that never ran."""
    return _columns(_WORKFLOWS, rows)


def run_columns(*rows: Item) -> pa.Table:
    """Runs, each with what differs from one that runs since 02:00."""
    return _columns(_RUNS, rows)


def span_columns(*rows: Item) -> pa.Table:
    """Spans in order of their start, each with what differs from a task of one second."""
    return _columns(_SPANS, [{"total": len(rows), **row} for row in rows])


def _columns(kinds: dict[str, tuple[pa.DataType, Any]], rows: Sequence[Item]) -> pa.Table:
    assert all(row.keys() <= kinds.keys() for row in rows)
    columns = {}
    for name, (kind, usual) in kinds.items():
        values = [row.get(name, usual) for row in rows]
        is_word = pa.types.is_dictionary(kind)
        columns[name] = pa.array(values, pa.string()).dictionary_encode().cast(kind) if is_word else pa.array(values, kind)
    return pa.table(columns)


def streamed(table: pa.Table) -> bytes:
    """As it is sent."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    found: bytes = sink.getvalue().to_pybytes()
    return found


# -- blocks of bytes, read as the browser reads them -----------------------------------------------------------------------


class Block(NamedTuple):
    """A header, and the arrays behind it."""

    header: Item
    arrays: dict[str, Any]


def unpacked(given: bytes, layout: dict[str, str], multiple: int) -> Block:
    """``layout``: name → numpy's name of its type, in order; the first array has to lie at a ``multiple`` of so many bytes."""
    (size,) = struct.unpack_from("<I", given)
    header = json.loads(given[4 : 4 + size])
    assert (4 + size) % multiple == 0
    at, arrays = 4 + size, {}
    for name, kind in layout.items():
        arrays[name] = np.frombuffer(given, kind, header["count"], at)
        at += arrays[name].nbytes
    assert at == len(given)
    return Block(header, arrays)


# -- a collector ---------------------------------------------------------------------------------------------------------


def a_collector(answer: Callable[[httpx.Request], httpx.Response] | httpx.Response, token: str = "") -> Collector:
    """One that answers so, and whose network is no network."""
    transport = httpx.MockTransport(answer if callable(answer) else lambda _request: answer)
    return Collector("http://collector:4318", token, httpx.Client(base_url="http://collector:4318", transport=transport))


def asked_of(app: Any, method: str, path: str, **how: Any) -> httpx.Response:
    """What an ASGI application answers a browser that found it at 127.0.0.1:8501."""

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8501") as browser:
            return await browser.request(method, path, **how)

    return asyncio.run(ask())


def refusal(status: int, message: str, hint: str | None = None) -> httpx.Response:
    """An error as the API tells it."""
    return httpx.Response(status, json={"error": {"code": "any", "message": message, "hint": hint}})
