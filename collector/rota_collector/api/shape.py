"""Stored rows → items of the API. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from rota.rules import status as statuses
from rota.rules.fold import TERMINAL, Run, error_of
from rota.rules.level import level
from rota_collector.domain.incident import Incident
from rota_collector.store.approvals import Approval
from rota_collector.store.control_queries import Page, Workflow
from rota_collector.store.leases import Lease
from rota_collector.store.line import Waiting
from rota_collector.store.policy_rows import PolicyVersion, PolicyView
from rota_collector.store.quiet import QuietTime
from rota_collector.store.readings import Attempt
from rota_collector.store.slots import NOTHING_AHEAD, Outlook, SlotRow

Row = TypeVar("Row")

_LONGEST = 1000  # characters of an error in a list; whole it is with the run or the incident itself


def iso(at_ns: int | None) -> str | None:
    """A Unix time in ns as ISO-8601 in UTC, microseconds, Z."""
    if at_ns is None:
        return None
    seconds, rest = divmod(at_ns, 10**9)
    at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)
    return at.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def short(text: str | None) -> str | None:
    """As much of a text as a list has room for."""
    return text if text is None or len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


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
        "error_message": short(error_message),
        "host": run.host,
        "source": run.source,
        "trace_id": run.trace_id,
        "parent_run_id": run.parent_run_id,
        "tags": list(run.tags),
    }


def run_detail(run: Run, attempts: list[Attempt], tasks: list[dict[str, Any]]) -> dict[str, Any]:
    """A run on its own, with its attempts and its tasks."""
    _, message, stack = error_of(run)
    more = {"attempts": attempt_items(run, attempts), "tasks": task_items(run, tasks)}
    return {**run_item(run), "error_message": message, "error_stack": stack, **more}


def has_attempts(run: Run) -> bool:
    """Whether there may be more to tell of its attempts than the run itself tells: it may have ended between two of them."""
    return run.attempt > 1 or run.state in ("retry_wait", "crashed", "cancelled", "timed_out")


def attempt_items(run: Run, told: list[Attempt]) -> list[dict[str, Any]]:
    """The attempts of a run. Of one attempt, the run itself tells all."""
    if not has_attempts(run) or not told:
        item = run_item(run)
        return [{key: item[key] for key in ("attempt", "state", "reason", *_OF_ATTEMPTS)}]
    return [_attempt_item(each, is_last=each is told[-1]) for each in told]


_OF_ATTEMPTS = ("started_at", "ended_at", "duration_seconds", "exit_code", "error_type", "error_message")


def _attempt_item(each: Attempt, *, is_last: bool) -> dict[str, Any]:
    state = statuses.state_of(each.reason) if each.state == "retry_wait" else each.state
    is_over = state in TERMINAL
    ended_ns = each.told_ns if is_over else None
    has_duration = ended_ns is not None and each.started_ns is not None and ended_ns >= each.started_ns
    has_error = state != "succeeded"
    return {
        "attempt": each.attempt,
        "state": state if is_over or is_last else "ended",
        "reason": each.reason,
        "started_at": iso(each.started_ns),
        "ended_at": iso(ended_ns),
        "duration_seconds": (each.told_ns - (each.started_ns or 0)) / 1e9 if has_duration else None,
        "exit_code": each.exit_code,
        "error_type": each.error_type if has_error else None,
        "error_message": short(each.error_message) if has_error else None,
    }


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


def workflow_item(workflow: Workflow, outlook: Outlook | None = None, reached: str = "observe") -> dict[str, Any]:
    """A workflow as lists show it; ``reached`` is the level of its policy. One that never ran has no state."""
    last, ahead = workflow.last_run, outlook or NOTHING_AHEAD
    return {
        "name": workflow.name,
        "level": reached,
        "state": last.state if last else None,
        "last_run": run_item(last) if last else None,
        "next_due_at": iso(ahead.next_due_ns),
        "verdict": ahead.verdict,
        "paused": ahead.paused,
        "open_incidents": ahead.open_incidents,
        "success_rate_30d": workflow.success_rate_30d,
        "tags": list(last.tags) if last else [],
        "outcomes": workflow.outcomes,
        "usual_seconds": None if workflow.usual_ns is None else [each / 1e9 for each in workflow.usual_ns],
    }


def slot_item(row: SlotRow) -> dict[str, Any]:
    """A slot. Its host is null where the workflow is expected once, wherever it runs."""
    slot = row.slot
    return {
        "workflow": row.workflow,
        "host": row.host or None,
        "due_at": iso(slot.due_ns),
        "deadline_at": iso(slot.deadline_ns),
        "verdict": slot.verdict,
        "reason": slot.reason,
        "run_id": slot.run_id,
        "started_at": iso(slot.started_ns),
        "revision": slot.revision,
        "policy_version": slot.version,
    }


def policy_item(view: PolicyView, warnings: list[str]) -> dict[str, Any]:
    """A policy, and for each of its keys who set it."""
    return {
        "workflow": view.workflow,
        "version": view.version,
        "level": level(view.in_force),
        "policy": view.in_force,
        "stored": view.stored,
        "declared": view.declared,
        "source": {key: _source(view.stored or {}, key, value) for key, value in view.in_force.items()},
        "problems": view.problems,
        "warnings": warnings,
        "from": view.source.place,
        "revision": view.source.revision,
    }


def stored_item(view: PolicyView) -> dict[str, Any]:
    """What somebody stored of a policy."""
    place, revision = view.source
    return {"workflow": view.workflow, "version": view.version, "policy": view.stored, "from": place, "revision": revision}


def _source(stored: dict[str, Any], key: str, value: Any) -> str:
    if stored.get(key) is None:
        return "code"
    return "both" if isinstance(value, dict) and not value.keys() <= stored[key].keys() else "stored"


def version_item(version: PolicyVersion) -> dict[str, Any]:
    """One version of a policy."""
    return {
        "version": version.version,
        "origin": version.origin,
        "policy": version.document,
        "author": version.author,
        "reason": version.reason,
        "created_at": iso(version.created_ns),
        "from": version.source.place,
        "revision": version.source.revision,
    }


def incident_item(incident: Incident, now_ns: int) -> dict[str, Any]:
    """An incident as lists show it. One that speaks for several has no workflow; one of no single host has none either."""
    return {
        "id": incident.id,
        "kind": incident.kind,
        "state": incident_state(incident, now_ns),
        "workflow": incident.workflow or None,
        "host": incident.host or None,
        "summary": incident.summary,
        "opened_at": iso(incident.opened_ns),
        "since_at": iso(incident.since_ns),
        "closed_at": iso(incident.closed_ns),
        "reason": incident.reason,
        "run_id": incident.run_id,
        "due_at": iso(incident.due_ns),
        "error": short(incident.error),
        "acked_by": incident.acked_by if incident.acked_ns is not None else None,
        "snoozed_until": iso(incident.snoozed_until_ns),
        "group_id": incident.group_id,
        "suppressed_by": incident.suppressed_by,
        "told_at": iso(incident.told_ns),
    }


def incident_state(incident: Incident, now_ns: int) -> str:
    """Of its facts, the one that says most about who has to do what."""
    if incident.closed_ns is not None:
        return "closed"
    if incident.acked_ns is not None:
        return "acknowledged"
    return "snoozed" if incident.snoozed_until_ns is not None and incident.snoozed_until_ns > now_ns else "open"


def incident_detail(incident: Incident, members: list[Incident], now_ns: int) -> dict[str, Any]:
    """An incident on its own, with those that it speaks for."""
    items = [incident_item(each, now_ns) for each in members]
    return {**incident_item(incident, now_ns), "error": incident.error, "members": items}


def quiet_item(quiet: QuietTime) -> dict[str, Any]:
    """A pause or a maintenance window."""
    return {
        "id": quiet.id,
        "kind": quiet.kind,
        "workflow": quiet.workflow,
        "host": quiet.host,
        "from_at": iso(quiet.from_ns),
        "until_at": iso(quiet.until_ns),
        "reason": quiet.reason or None,
        "by": quiet.by,
    }


def granted_item(lease: Lease) -> dict[str, Any]:
    """A lease that was granted or renewed just now, as its holder is told: whatever a clock on a wall says meanwhile."""
    return {"id": lease.id, "scope": lease.scope, "token": lease.token, "expires_in_seconds": lease.lasts_ns / 1e9}


def lease_item(lease: Lease, now_ns: int) -> dict[str, Any]:
    """A lease, and who holds it."""
    of = {name: getattr(lease, name) for name in ("workflow", "run_id", "task", "attempt", "host", "weight")}
    times = {"granted_at": iso(lease.granted_ns), "expires_at": iso(lease.expires_ns)}
    left_seconds = max(0, lease.expires_ns - now_ns) / 1e9
    return {**granted_item(lease), "expires_in_seconds": left_seconds, **of, **times}


def waiting_item(waiting: Waiting) -> dict[str, Any]:
    """Somebody who waits for permission."""
    of = {name: getattr(waiting, name) for name in ("workflow", "run_id", "attempt", "task")}
    return {**of, "asked_at": iso(waiting.asked_ns)}


def approval_item(approval: Approval, now_ns: int) -> dict[str, Any]:
    """A question to a person."""
    of = {name: getattr(approval, name) for name in ("id", "workflow", "run_id", "task", "host", "role", "by", "comment")}
    times = {name + "_at": iso(getattr(approval, name + "_ns")) for name in ("asked", "expires", "answered")}
    return {**of, "state": approval.state(now_ns), **times}


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
