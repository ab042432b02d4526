"""GitHub's webhooks ``workflow_run`` and ``workflow_job`` → what we keep of them. Pure.

Fields and words: GitHub's documentation of webhook events, and the payloads that octokit/webhooks collects.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from rota_collector.errors import Malformed

RUN, JOB = "workflow_run", "workflow_job"
_STATUSES = {
    "requested": ("queued", None), "queued": ("queued", None), "pending": ("blocked", "concurrency"),
    "waiting": ("blocked", "approval"), "in_progress": ("running", None),
}  # fmt: skip
_CONCLUSIONS = {
    "success": ("succeeded", None), "neutral": ("succeeded", "neutral"), "failure": ("failed", None),
    "startup_failure": ("failed", "startup_failure"), "timed_out": ("timed_out", None), "cancelled": ("cancelled", None),
    "stale": ("cancelled", "stale"), "skipped": ("skipped", None), "action_required": ("blocked", "action_required"),
}  # fmt: skip


class State(NamedTuple):
    """A state of ours, why, and GitHub's own word."""

    name: str
    reason: str | None
    raw: str


class Step(NamedTuple):
    """A step of a job that is over. Times are Unix ns."""

    number: int
    name: str
    state: State
    started_ns: int
    ended_ns: int


class Told(NamedTuple):
    """How a run is, or, with the name of a ``job``, one of its jobs. Times are Unix ns."""

    workflow: str
    key: tuple[str, str]  # what names the run: the ids of its repository, which may be renamed, and of itself
    attempt: int  # of the run, from 1
    state: State
    at_ns: int
    started_ns: int | None
    job: str | None
    job_id: str
    steps: tuple[Step, ...]
    facts: Mapping[str, object]


def event(kind: str, said: Any) -> Told | None:
    """What a delivery says; None for an event of another kind (``ping``, ``push``, …). Raises Malformed."""
    if kind not in (RUN, JOB):
        return None
    body, repository = _map(_map(said, None), kind), _map(_map(said, None), "repository")
    key = _number(repository.get("id"), "repository.id"), _number(body.get("run_id" if kind == JOB else "id"), f"{kind}.id")
    where = _text(repository.get("full_name"), "repository.full_name")
    if kind == JOB:
        return _job(body, key, where)
    named = said.get("workflow")
    named = named if isinstance(named, Mapping) else {}
    name = named.get("name") or body.get("name") or _file(body.get("path")) or _text(None, "workflow.name")
    state = _state(body)
    started_ns = _time_ns(body.get("run_started_at") or body.get("created_at"), "run_started_at")
    has_begun = state.name not in ("queued", "blocked")
    at_ns = _time_ns(body.get("updated_at"), "updated_at") if has_begun or state.raw == "action_required" else started_ns
    facts = {
        "github.event": body.get("event"), "github.ref": body.get("head_branch"), "github.sha": body.get("head_sha"),
        "github.run_number": body.get("run_number"), "url.full": body.get("html_url"),
    }  # fmt: skip
    return Told(
        f"{where}/{name}",
        key,
        _attempt(body),
        state,
        max(at_ns, started_ns),
        started_ns if has_begun else None,
        None,
        "",
        (),
        facts,
    )


def _job(body: Mapping[str, Any], key: tuple[str, str], where: str) -> Told:
    state, name = _state(body), _text(body.get("name"), "workflow_job.name")
    is_over = body.get("completed_at") is not None
    started_ns = _time_ns(body.get("started_at") or body.get("created_at"), "started_at")
    at_ns = max(_time_ns(body["completed_at"], "completed_at"), started_ns) if is_over else started_ns
    steps = body.get("steps")
    done = [each for each in steps if isinstance(each, Mapping)] if is_over and isinstance(steps, list) else []
    facts = {"github.runner": body.get("runner_name"), "url.full": body.get("html_url")}
    return Told(
        f"{where}/{body.get('workflow_name') or 'workflow'}", key, _attempt(body), state, at_ns,
        None if state.name in ("queued", "blocked") else started_ns, name, _number(body.get("id"), "workflow_job.id"),
        tuple(_step(each) for each in done if each.get("started_at") and each.get("completed_at")), facts,
    )  # fmt: skip


def _step(said: Mapping[str, Any]) -> Step:
    began = _time_ns(said["started_at"], "started_at")
    ended = max(began, _time_ns(said["completed_at"], "completed_at"))
    number = said.get("number")
    return Step(number if isinstance(number, int) else 0, str(said.get("name") or "step"), _state(said), began, ended)


def _state(said: Mapping[str, Any]) -> State:
    """A word that nobody knows is ``running``, or ``ended`` where it is a conclusion."""
    raw = said.get("conclusion") or said.get("status") or ""
    if not isinstance(raw, str) or not raw:
        raise Malformed(f"status is {said.get('status')!r}: it says how the run is", "status")
    is_over = bool(said.get("conclusion"))
    known = (_CONCLUSIONS if is_over else _STATUSES).get(raw, ("ended" if is_over else "running", f"unknown state {raw}"))
    return State(*known, raw)


def _attempt(said: Mapping[str, Any]) -> int:
    given = said.get("run_attempt")
    return given if isinstance(given, int) and given > 0 else 1


def _file(path: object) -> str | None:
    return path.rpartition("/")[2] if isinstance(path, str) and path else None


def _map(said: Any, name: str | None) -> Mapping[str, Any]:
    found = said if name is None else said.get(name)
    if not isinstance(found, Mapping):
        raise Malformed(f"{name or 'the body'} is {found!r:.80}: it is a JSON object in GitHub's webhooks", name or "")
    return found


def _text(given: object, name: str) -> str:
    if not isinstance(given, str) or not given:
        raise Malformed(f"{name} is {given!r:.80}: it is a text", name)
    return given


def _number(given: object, name: str) -> str:
    if not isinstance(given, int) or isinstance(given, bool):
        raise Malformed(f"{name} is {given!r:.80}: it is a number", name)
    return str(given)


def _time_ns(given: object, name: str) -> int:
    try:
        at = datetime.fromisoformat(given)  # type: ignore[arg-type]
        return int(at.timestamp()) * 10**9 + at.microsecond * 1000 if at.tzinfo else _no_time(given, name)
    except (TypeError, ValueError, OverflowError):
        return _no_time(given, name)


def _no_time(given: object, name: str) -> int:
    raise Malformed(f"{name} is {given!r:.80}: it is a time as 2026-01-31T02:00:00Z", name)
