"""Runs: the list, each of them, and what people say of one."""

from __future__ import annotations

import time
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from rota.rules.fold import STATES, Run
from rota_collector.api import access, arrow, models, shape
from rota_collector.api.access import Owning, Reads
from rota_collector.api.envelope import ApiError, answer
from rota_collector.api.parameters import LONGEST_SECONDS, Acting, Cursor, Most, Time, Workflows, name_or_pattern, ns, of_json
from rota_collector.api.stores import Stores
from rota_collector.domain.reach import Reach
from rota_collector.store import events
from rota_collector.store.columns import MOST_RUNS
from rota_collector.store.control import Control
from rota_collector.store.control_queries import RunFilter

_SHORTEST_PREFIX = 4
_APPLIED_SECONDS, _POLL_SECONDS = 3.0, 0.02

States = Annotated[list[str] | None, Query(description="one or several: `state=failed&state=crashed`")]
Text = Annotated[str | None, Query(max_length=200, description="in the type or message of the error, or the reason; in any case")]
MinSeconds = Annotated[float | None, Query(ge=0, le=LONGEST_SECONDS, description="that ended, and took at least so long")]
Retried = Annotated[bool, Query(description="of more than one attempt")]
WithTasks = Annotated[bool, Query(description="0: without its tasks, which may be thousands")]
During = Annotated[
    bool, Query(description="`since` and `until` are about the time in which runs were under way, not about their start")
]


Ended = Literal[
    "succeeded", "failed", "timed_out", "crashed", "cancelled", "skipped", "upstream_failed", "ended"
]  # as a test says


class Outcome(Acting):
    """How a run ended, as somebody says who knows better."""

    state: Ended
    reason: Annotated[str, Field(max_length=1000, description="why, for the record")] = ""


def router(stores: Stores) -> APIRouter:
    """``/api/v1/runs``."""
    router = APIRouter(prefix="/api/v1/runs", tags=["runs"])

    @router.get("", response_model=models.Page[models.Run], responses=arrow.ALSO)
    def list_runs(
        reads: Reads,
        workflow: Workflows = None,
        state: States = None,
        tag: str | None = None,
        since: Time | None = None,
        until: Time | None = None,
        host: str | None = None,
        q: Text = None,
        min_seconds: MinSeconds = None,
        retried: Retried = False,
        during: During = False,
        limit: Most = None,
        cursor: Cursor = None,
        accept: arrow.Accept = "",
    ) -> Response:
        """Runs, the last started first; `since` is inclusive, `until` is not. A page looks at 10,000 runs at most: it may hold
        fewer than asked for, even none, and `next` all the same. As Arrow, `next` is in the metadata of the schema.
        """
        shortest = None if min_seconds is None else round(min_seconds * 1e9)
        name, pattern = name_or_pattern(workflow)
        filters = RunFilter(
            name, _states(state), tag, ns(since), ns(until), pattern, host, q or None, shortest, retried, reach=reads
        )
        if during and not arrow.is_wanted(accept):
            raise ApiError(422, "invalid", "during=1 is answered in Arrow only", f"send Accept: {arrow.MEDIA_TYPE}")
        if during:
            return arrow.answer(stores.control.run_columns_during(_complete(filters)))
        if arrow.is_wanted(accept):
            return arrow.answer(stores.control.run_columns(filters, cursor, limit or MOST_RUNS))
        found = stores.control.runs(filters, cursor, of_json(limit))
        return answer(shape.page(found._replace(items=stores.with_slots(found.items)), shape.run_item))

    @router.get("/{run_id}", response_model=models.RunDetail)
    def get_run(run_id: str, reads: Reads, tasks: WithTasks = True) -> Response:
        """One run with its attempts and its tasks. The beginning of an id will do, where only one run's begins so."""
        (run,) = stores.with_slots([find(stores.control, run_id, reads)])
        attempts = stores.telemetry.run_attempts(run.run_id) if shape.has_attempts(run) else []
        return answer(shape.run_detail(run, attempts, stores.telemetry.run_tasks(run.run_id) if tasks else []))

    @router.post("/{run_id}/outcome", response_model=models.Run, dependencies=[access.operate])
    def set_outcome(run_id: str, asker: Owning, body: Outcome) -> Response:
        """Say how a run ended. A fact like any other, which outranks what programs say; a later one outranks an earlier."""
        run = find(stores.control, run_id, asker.reads)
        asker.must_own(run.workflow)
        by, now_ns = asker.who(body.by), stores.clock.now_ns()
        record = events.of_outcome(run, body.state, by, body.reason, now_ns)
        _wait_for(stores.control, stores.submit([record]))
        said = {"state": body.state, "reason": body.reason} if body.reason else {"state": body.state}
        stores.audit.note(now_ns, by, "run.outcome", run.run_id, before={"state": run.state}, after=said)
        (run,) = stores.with_slots([find(stores.control, run.run_id, asker.reads)])
        return answer(shape.run_item(run))

    return router


def _states(given: list[str] | None) -> tuple[str, ...]:
    states = tuple(dict.fromkeys(given or ()))
    unknown = [state for state in states if state not in STATES]
    if unknown:
        raise ApiError(422, "unknown_state", f"state={unknown[0]!r} is none", "states: " + " ".join(STATES))
    return states


def _complete(filters: RunFilter) -> RunFilter:
    if filters.since_ns is None or filters.until_ns is None:
        raise ApiError(
            422, "invalid", "during=1 needs both since and until", "send since=2026-03-01T00:00Z&until=2026-03-02T00:00Z"
        )
    return filters


def _wait_for(control: Control, offset: int) -> None:
    """Until what is in the journal at ``offset`` is in the store, so that the answer shows it; a busy store may take longer."""
    give_up_at = time.monotonic() + _APPLIED_SECONDS
    while control.offset() <= offset and time.monotonic() < give_up_at:
        time.sleep(_POLL_SECONDS)


def find(control: Control, run_id: str, reads: Reach) -> Run:
    """The run of this id, or the only one whose id begins so, among those that may be read. Raises ApiError."""
    run = control.run(run_id)
    if run is not None and reads.allows(run.workflow):
        return run
    ids = control.runs_starting_with(run_id, reach=reads) if len(run_id) >= _SHORTEST_PREFIX else []
    if len(ids) > 1:
        raise ApiError(409, "ambiguous", f"several runs begin with {run_id!r}", f"write more of the id: {ids[0]}, {ids[1]}, …")
    run = control.run(ids[0]) if ids else None
    if run is None:
        raise ApiError(404, "not_found", f"no run {run_id!r}", "GET /api/v1/runs lists them")
    return run
