"""Stored rows → items of the API. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from rota.rules.fold import TERMINAL, Run, error_of
from rota.rules.level import level
from rota_collector.store.control_queries import Page, Workflow

Row = TypeVar("Row")


def iso(at_ns: int | None) -> str | None:
    """A Unix time in ns as ISO-8601 in UTC, microseconds, Z."""
    if at_ns is None:
        return None
    seconds, rest = divmod(at_ns, 10**9)
    at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)
    return at.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def run_item(run: Run) -> dict[str, Any]:
    """A run as lists show it."""
    error_type, error_message, _ = error_of(run)
    return {
        "id": run.run_id,
        "workflow": run.workflow,
        "state": run.state,
        "reason": run.reason,
        "attempt": run.attempt,
        "slot_at": iso(run.slot_ns),
        "started_at": iso(run.started_ns),
        "ended_at": iso(run.ended_ns),
        "duration_seconds": duration_seconds(run),
        "exit_code": run.exit_code,
        "error_type": error_type,
        "error_message": error_message,
        "host": run.host,
        "source": run.source,
        "trace_id": run.trace_id,
        "parent_run_id": run.parent_run_id,
        "tags": list(run.tags),
    }


def run_detail(run: Run, tasks: list[dict[str, Any]]) -> dict[str, Any]:
    """A run on its own, with its tasks."""
    return {**run_item(run), "error_stack": error_of(run)[2], "tasks": task_items(run, tasks)}


def task_items(run: Run, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tasks of a run. One whose end was never told, in a run that is over, is over too, and how it ended nobody knows."""
    if run.state not in TERMINAL:
        return tasks
    return [{**task, "state": "ended"} if task["state"] == "running" else task for task in tasks]


def duration_seconds(run: Run) -> float | None:
    """None while it runs, and when the clock was set back meanwhile: a negative duration is no duration."""
    if run.started_ns is None or run.ended_ns is None or run.ended_ns < run.started_ns:
        return None
    return (run.ended_ns - run.started_ns) / 1e9


def workflow_item(workflow: Workflow) -> dict[str, Any]:
    """A workflow as lists show it. Nothing knows schedules yet: no slot is due, and none has a verdict."""
    return {
        "name": workflow.name,
        "level": level({}),
        "state": workflow.last_run.state,
        "last_run": run_item(workflow.last_run),
        "next_due_at": None,
        "verdict": None,
        "success_rate_30d": workflow.success_rate_30d,
        "tags": list(workflow.last_run.tags),
        "outcomes": workflow.outcomes,
    }


def page(found: Page[Row], item: Callable[[Row], dict[str, Any]]) -> dict[str, Any]:
    """A page of a list."""
    return {"items": [item(row) for row in found.items], "next": found.next}


def rows(columns: list[str], found: list[tuple[Any, ...]], truncated: bool) -> dict[str, Any]:
    """The answer to a query. Columns of one name get a number, as an object holds each name once."""
    names = _distinct(columns)
    return {"columns": names, "items": [dict(zip(names, map(_utc, row), strict=True)) for row in found], "truncated": truncated}


def _distinct(names: list[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        unique, number = name, 1
        while unique in found:
            unique, number = f"{name}_{number}", number + 1
        found.append(unique)
    return found


def _utc(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
