"""Workflows, and how each of them is doing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from rota.rules.level import level
from rota_collector.api import arrow, models, shape
from rota_collector.api.access import Reads
from rota_collector.api.envelope import ApiError, answer
from rota_collector.api.parameters import Cursor, Limit
from rota_collector.api.stores import Stores
from rota_collector.domain.reach import Reach
from rota_collector.domain.signals import lamps
from rota_collector.store.control_queries import RunFilter, Workflow, listed_ns

_SIGNAL_RUNS = 10  # whose telemetry says what a workflow reports
_BEFORE_NS = 3600 * 10**9  # clocks differ


class Lamp(BaseModel):
    """What a level of a workflow reports."""

    level: Literal["infrastructure", "code", "data", "systems"]
    signals: list[str] = Field(description="in words; none: it does not report")
    is_failing: bool = Field(description="it said of the last run that something went wrong there")


class Signals(BaseModel):
    """What a workflow really reports."""

    runs: int = Field(description="so many were looked at")
    levels: list[Lamp]


def router(stores: Stores) -> APIRouter:
    """``/api/v1/workflows``."""
    router = APIRouter(prefix="/api/v1/workflows", tags=["workflows"])

    @router.get("", response_model=models.Page[models.Workflow], responses=arrow.ALSO)
    def list_workflows(
        reads: Reads, limit: Limit = 1000, cursor: Cursor = None, accept: arrow.Accept = ""
    ) -> Response:  # fmt: skip
        """Workflows by name, those too that have a policy and were never run. As Arrow: all of them, and no pages."""
        if arrow.is_wanted(accept):
            outlooks = stores.expectations.slots.outlooks(None, stores.clock.now_ns())
            return arrow.answer(stores.control.workflow_columns(outlooks, reads))
        found = stores.control.workflows(stores.clock.now_ns(), cursor, limit, reads)
        return answer({"items": _items(stores, found.items), "next": found.next})

    @router.get("/{name:path}/signals", response_model=Signals)
    def get_signals(name: str, reads: Reads) -> Response:
        """What the last 10 runs of a workflow report, by level: infrastructure, code, data, systems."""
        must_read(reads, name)
        runs = stores.control.runs(RunFilter(name), limit=_SIGNAL_RUNS).items
        since_ns = min((listed_ns(run) for run in runs), default=0) - _BEFORE_NS
        found = lamps(stores.telemetry.signals([run.run_id for run in runs], since_ns))
        return answer({"runs": len(runs), "levels": [each._asdict() for each in found]})

    @router.get("/{name:path}", response_model=models.Workflow)
    def get_workflow(name: str, reads: Reads) -> Response:
        """One workflow."""
        must_read(reads, name)
        workflow = stores.control.workflow(name, stores.clock.now_ns())
        if workflow is None:
            raise unknown(name)
        return answer(_items(stores, [workflow])[0])

    return router


def must_read(reads: Reach, name: str) -> None:
    """Raises ApiError when a workflow may not be read: the same as if there were none of that name."""
    if not reads.allows(name):
        raise unknown(name)


def unknown(name: str) -> ApiError:
    """Nobody ever heard of such a workflow."""
    return ApiError(
        404, "not_found", f"no run and no policy of a workflow {name!r} was ever seen", "GET /api/v1/workflows lists them"
    )


def _items(stores: Stores, workflows: Sequence[Workflow]) -> list[dict[str, Any]]:
    policies = stores.expectations.policies.known
    ahead = stores.expectations.slots.outlooks([each.name for each in workflows], stores.clock.now_ns())
    last = {run.run_id: run for run in stores.with_slots([each.last_run for each in workflows if each.last_run])}
    items = []
    for each in workflows:
        run = last[each.last_run.run_id] if each.last_run else None
        policy = policies.get(each.name)
        reached = _level(policy.document) if policy else level({})
        items.append(shape.workflow_item(each._replace(last_run=run), ahead.get(each.name), reached))
    return items


@lru_cache(maxsize=1 << 14)
def _level(document: str) -> str:
    return level(json.loads(document))
