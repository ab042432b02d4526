"""Runs, and what each of them left."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import AwareDatetime

from rota.rules.fold import STATES, Run
from rota_collector.api import models, shape
from rota_collector.api.envelope import ApiError, answer
from rota_collector.api.parameters import Cursor, Limit, ns
from rota_collector.api.stores import Stores
from rota_collector.store.control import Control
from rota_collector.store.control_queries import RunFilter

_SHORTEST_PREFIX = 4


def router(stores: Stores) -> APIRouter:
    """``/api/v1/runs``."""
    router = APIRouter(prefix="/api/v1/runs", tags=["runs"])

    @router.get("", response_model=models.Page[models.Run])
    def list_runs(
        workflow: str | None = None,
        state: str | None = None,
        tag: str | None = None,
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response:
        """Runs, the last started first; `since` is inclusive, `until` is not."""
        if state is not None and state not in STATES:
            raise ApiError(422, "unknown_state", f"state={state!r} is none", "states: " + " ".join(STATES))
        filters = RunFilter(workflow, state, tag, ns(since), ns(until))
        found = stores.control.runs(filters, cursor, limit)
        return answer(shape.page(found._replace(items=stores.with_slots(found.items)), shape.run_item))

    @router.get("/{run_id}", response_model=models.RunDetail)
    def get_run(run_id: str) -> Response:
        """One run with its tasks. The beginning of an id will do, where only one run's begins so."""
        (run,) = stores.with_slots([_find(stores.control, run_id)])
        return answer(shape.run_detail(run, stores.telemetry.run_tasks(run.run_id)))

    @router.get("/{run_id}/tasks", response_model=models.Items[models.Task])
    def list_tasks(run_id: str) -> Response:
        """The tasks of a run, running ones included."""
        run = _find(stores.control, run_id)
        return answer({"items": shape.task_items(run, stores.telemetry.run_tasks(run.run_id)), "next": None})

    @router.get("/{run_id}/spans", response_model=models.Items[models.Span])
    def list_spans(run_id: str) -> Response:
        """The spans of a run, whoever wrote them."""
        return answer({"items": stores.telemetry.run_spans(_find(stores.control, run_id).run_id), "next": None})

    @router.get("/{run_id}/logs", response_model=models.Items[models.Log])
    def list_logs(run_id: str) -> Response:
        """The log records of a run, its events included."""
        return answer({"items": stores.telemetry.run_logs(_find(stores.control, run_id).run_id), "next": None})

    return router


def _find(control: Control, run_id: str) -> Run:
    run = control.run(run_id)
    if run is not None:
        return run
    ids = control.runs_starting_with(run_id) if len(run_id) >= _SHORTEST_PREFIX else []
    if len(ids) > 1:
        raise ApiError(409, "ambiguous", f"several runs begin with {run_id!r}", f"write more of the id: {ids[0]}, {ids[1]}, …")
    run = control.run(ids[0]) if ids else None
    if run is None:
        raise ApiError(404, "not_found", f"no run {run_id!r}", "GET /api/v1/runs lists them")
    return run
