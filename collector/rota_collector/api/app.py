"""The endpoints. Each is a plain function, which FastAPI runs in a worker thread: the stores block, the event loop must not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, FastAPI, Response
from fastapi import Query as Parameter
from pydantic import AwareDatetime

from rota.rules.fold import STATES, Run
from rota_collector.api import envelope, models, shape
from rota_collector.api.envelope import ApiError, answer
from rota_collector.api.guard import App, Guard
from rota_collector.clock import Clock
from rota_collector.store.control import Control
from rota_collector.store.control_queries import RunFilter
from rota_collector.store.telemetry import Telemetry

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHORTEST_PREFIX = 4

Limit = Annotated[int, Parameter(ge=1, le=1000, description="items a page")]
Cursor = Annotated[str | None, Parameter(description="`next` of the page before")]
_ERRORS: dict[int | str, dict[str, Any]] = {"default": {"model": models.Error, "description": "What failed, and what to do"}}


class Progress(Protocol):
    """How a store follows the journal."""

    trouble: str | None

    @property
    def lag_bytes(self) -> int:
        """Bytes of the journal that the store does not have yet."""

    def is_alive(self) -> bool:
        """Whether it still follows."""


@dataclass(frozen=True)
class Stores:
    """What the endpoints read."""

    control: Control
    telemetry: Telemetry
    control_progress: Progress
    telemetry_progress: Progress
    clock: Clock


def create(stores: Stores, version: str) -> App:
    """The API as one ASGI application, guarded."""
    # Pages with documentation would load their scripts from elsewhere: there is the document, and none of those.
    app = FastAPI(
        title="rota collector",
        version=version,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        responses=_ERRORS,
    )
    envelope.install(app)
    for router in (_health(stores), _workflows(stores), _runs(stores), _sql(stores)):
        app.include_router(router)
    return Guard(app, version)


def _health(stores: Stores) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/healthz", response_model=models.Health)
    def healthz() -> Response:
        """200 as long as the process answers."""
        return answer({"status": "ok"})

    @router.get("/readyz", response_model=models.Ready, responses={503: {"model": models.Ready}})
    def readyz() -> Response:
        """200 when requests are kept and both stores follow the journal without trouble."""
        both = {"telemetry": stores.telemetry_progress, "control": stores.control_progress}
        lags = {f"{name}_lag_bytes": progress.lag_bytes for name, progress in both.items()}
        troubles = [f"{name}: {_trouble(progress)}" for name, progress in both.items() if _trouble(progress)]
        return answer({**lags, "trouble": "; ".join(troubles) or None}, 503 if troubles else 200)

    return router


def _trouble(progress: Progress) -> str | None:
    return progress.trouble if progress.is_alive() else "does not follow the journal"


def _workflows(stores: Stores) -> APIRouter:
    router = APIRouter(prefix="/api/v1/workflows", tags=["workflows"])

    @router.get("", response_model=models.Page[models.Workflow])
    def list_workflows(limit: Limit = 1000, cursor: Cursor = None) -> Response:
        """Workflows by name."""
        return answer(shape.page(stores.control.workflows(stores.clock.now_ns(), cursor, limit), shape.workflow_item))

    @router.get("/{name:path}", response_model=models.Workflow)
    def get_workflow(name: str) -> Response:
        """One workflow."""
        workflow = stores.control.workflow(name, stores.clock.now_ns())
        if workflow is None:
            raise ApiError(404, "not_found", f"no run of a workflow {name!r} was ever seen", "GET /api/v1/workflows lists them")
        return answer(shape.workflow_item(workflow))

    return router


def _runs(stores: Stores) -> APIRouter:
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
        filters = RunFilter(workflow, state, tag, _ns(since), _ns(until))
        return answer(shape.page(stores.control.runs(filters, cursor, limit), shape.run_item))

    @router.get("/{run_id}", response_model=models.RunDetail)
    def get_run(run_id: str) -> Response:
        """One run with its tasks. The beginning of an id will do, where only one run's begins so."""
        run = _find(stores.control, run_id)
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


def _ns(at: datetime | None) -> int | None:
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000 if at is not None else None


def _sql(stores: Stores) -> APIRouter:
    router = APIRouter(prefix="/api/v1/sql", tags=["sql"])

    @router.post("", response_model=models.Rows)
    def run_sql(query: models.Query) -> Response:
        """One SELECT on telemetry, with limits of time, rows and memory."""
        found = stores.telemetry.sql(query.query)
        return answer(shape.rows(found.columns, found.rows, found.truncated))

    return router
