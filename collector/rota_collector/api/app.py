"""The endpoints, one router a resource. Each is a plain function, which FastAPI runs in a worker thread: the stores block,
the event loop must not.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from rota_collector.api import (
    access,
    advice,
    approvals,
    audit,
    badges,
    cancels,
    channels,
    counts,
    drafts,
    envelope,
    export,
    health,
    incidents,
    keys,
    leases,
    metrics,
    models,
    permission,
    policies,
    quiet,
    retries,
    run_parts,
    run_story,
    runs,
    searches,
    slots,
    spectrum,
    sql,
    tail,
    workflows,
)
from rota_collector.api.guard import Guard
from rota_collector.api.stores import Progress, Stores, Tails
from rota_collector.asgi import App

__all__ = ["Progress", "Stores", "Tails", "create"]

_ERRORS: dict[int | str, dict[str, Any]] = {"default": {"model": models.Error, "description": "What failed, and what to do"}}
# Names of workflows may hold slashes, so what stands below a workflow comes before the workflow itself.
_ROUTERS = (
    policies, drafts, spectrum, advice, quiet, counts, badges, workflows, run_parts, run_story, cancels, runs, searches, slots,
    incidents, channels, keys, audit, sql, export, tail, leases, approvals,
)  # fmt: skip


def create(stores: Stores, version: str) -> App:
    """The API as one ASGI application, guarded, and closed to who has no key as soon as there is one."""
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
    app.include_router(health.router(stores))  # whoever watches the collector needs no key
    app.include_router(badges.pictures(stores))  # their address is their key
    app.include_router(metrics.router(stores, version), dependencies=[access.read])
    for for_hosts in (permission.router, retries.router, cancels.for_hosts):  # first, as they are asked most
        app.include_router(access.declared(for_hosts(stores)), dependencies=[access.known])
    for resource in _ROUTERS:
        app.include_router(access.declared(resource.router(stores)), dependencies=[access.read])
    app.include_router(access.router(stores), dependencies=[access.known])
    shared = stores.expectations.policies
    stores.key_changes  # noqa: B018 (its tables are there before somebody asks for a key)
    return Guard(access.Door(app, stores.keys, lambda: shared.shared, stores.rates), version, stores.keys)
