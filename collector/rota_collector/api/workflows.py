"""Workflows, and how each of them is doing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from fastapi import APIRouter, Response

from rota.rules.level import level
from rota_collector.api import models, shape
from rota_collector.api.envelope import ApiError, answer
from rota_collector.api.parameters import Cursor, Limit
from rota_collector.api.stores import Stores
from rota_collector.store.control_queries import Workflow


def router(stores: Stores) -> APIRouter:
    """``/api/v1/workflows``."""
    router = APIRouter(prefix="/api/v1/workflows", tags=["workflows"])

    @router.get("", response_model=models.Page[models.Workflow])
    def list_workflows(limit: Limit = 1000, cursor: Cursor = None) -> Response:
        """Workflows by name, those too that have a policy and were never run."""
        found = stores.control.workflows(stores.clock.now_ns(), cursor, limit)
        return answer({"items": _items(stores, found.items), "next": found.next})

    @router.get("/{name:path}", response_model=models.Workflow)
    def get_workflow(name: str) -> Response:
        """One workflow."""
        workflow = stores.control.workflow(name, stores.clock.now_ns())
        if workflow is None:
            raise unknown(name)
        return answer(_items(stores, [workflow])[0])

    return router


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
