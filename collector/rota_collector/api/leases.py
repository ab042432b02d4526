"""Leases as people see them, who waits for permission, and the pools that some of them are of."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from rota_collector.api import access, models, permission_models, shape
from rota_collector.api.access import Asking, Reads
from rota_collector.api.envelope import answer
from rota_collector.api.parameters import Cursor, Limit
from rota_collector.api.stores import Stores
from rota_collector.store.line import waiting

Scope = Annotated[str | None, Query(description="`workflow NAME`, `instance NAME@HOST` or `pool NAME`")]
Name = Annotated[str | None, Query(description="of this workflow")]
Pool = Annotated[str, Path(min_length=1, max_length=500)]


def router(stores: Stores) -> APIRouter:
    """``/api/v1/leases``, ``/api/v1/waiting``, ``/api/v1/pools``."""
    router = APIRouter(prefix="/api/v1", tags=["permission"])

    @router.get("/leases", response_model=models.Page[permission_models.Lease])
    def list_leases(reads: Reads, scope: Scope = None, limit: Limit = 100, cursor: Cursor = None) -> Response:
        """Leases that are held now, the last granted first."""
        now_ns = stores.clock.now_ns()
        found = stores.leases.live(scope, cursor, limit, reads)
        return answer(shape.page(found, lambda lease: shape.lease_item(lease, now_ns)))

    @router.get("/waiting", response_model=models.Page[permission_models.Waiting])
    def list_waiting(reads: Reads, workflow: Name = None, limit: Limit = 100, cursor: Cursor = None) -> Response:
        """Runs, and tasks of them, that wait for permission now, who asked first first. A higher priority goes before them."""
        found = waiting(stores.control.engine, workflow, cursor, limit, reads)
        return answer(shape.page(found, shape.waiting_item))

    @router.put("/pools/{name}", response_model=permission_models.Pool, dependencies=[access.operate])
    def set_pool(name: Pool, body: permission_models.PoolLimit, asker: Asking) -> Response:
        """Say how much there is of a pool: it holds until it is taken back with null, whatever the policies say."""
        by = asker.who(body.by)
        stores.pools.set(name, body.limit, by=by, now_ns=stores.clock.now_ns())
        stores.room.look_again()
        limit = body.limit if body.limit is not None else stores.expectations.policies.asking.pool_limit(name)
        return answer({"name": name, "limit": limit, "set_by": by if body.limit is not None else None})

    return router
