"""What a run left: its tasks, spans and logs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from rota_collector.api import arrow, models, run_models, shape
from rota_collector.api.access import Reads
from rota_collector.api.envelope import ApiError, answer
from rota_collector.api.parameters import Severity, Text, Untold
from rota_collector.api.runs import find
from rota_collector.api.stores import Stores
from rota_collector.store.readings import MOST_ITEMS, LogFilter

Most = Annotated[int, Query(ge=1, le=MOST_ITEMS, description="the last so many")]


def router(stores: Stores) -> APIRouter:
    """What is below ``/api/v1/runs/{run_id}``."""
    router = APIRouter(prefix="/api/v1/runs/{run_id}", tags=["runs"])
    telemetry = stores.telemetry

    @router.get("/tasks", response_model=models.Items[models.Task])
    def list_tasks(run_id: str, reads: Reads) -> Response:
        """The tasks of a run, running ones included."""
        run = find(stores.control, run_id, reads)
        return items(shape.task_items(run, telemetry.run_tasks(run.run_id)))

    @router.get("/spans", response_model=models.Items[models.Span], responses=arrow.ALSO)
    def list_spans(run_id: str, reads: Reads, accept: arrow.Accept = "") -> Response:
        """The spans of a run, whoever wrote them. As Arrow: without attributes, with the tasks that have only begun (their
        duration is null); of more than 100,000 those that failed and the longest, and `total` says how many there are.
        """
        run = find(stores.control, run_id, reads)
        if arrow.is_wanted(accept):
            return arrow.answer(telemetry.span_columns(run.run_id))
        return items(telemetry.run_spans(run.run_id))

    @router.get("/spans/{span_id}", response_model=run_models.SpanDetail)
    def get_span(run_id: str, span_id: str, reads: Reads) -> Response:
        """One span with its attributes and events."""
        found = telemetry.run_span(find(stores.control, run_id, reads).run_id, _number(span_id))
        if found is None:
            raise ApiError(404, "not_found", f"no span {span_id!r} in this run", "GET /api/v1/runs/{run_id}/spans lists them")
        return answer(found)

    @router.get("/logs", response_model=models.Items[models.Log])
    def list_logs(
        run_id: str, reads: Reads, q: Text = None, severity: Severity = 0, plain: Untold = False, limit: Most = MOST_ITEMS
    ) -> Response:  # fmt: skip
        """The log records of a run, its events included, in order of their time."""
        return items(telemetry.run_logs(find(stores.control, run_id, reads).run_id, LogFilter(q or None, severity, plain), limit))

    return router


def items(found: list[models.Json]) -> Response:
    """A whole list."""
    return answer({"items": found, "next": None})


def _number(span_id: str) -> int:
    try:
        return int(span_id, 16) & (2**64 - 1)
    except ValueError:
        raise ApiError(422, "invalid", f"span {span_id!r} is no id", "it is 16 hex digits") from None
