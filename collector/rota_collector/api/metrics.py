"""``/metrics``: how the collector and its workflows are, for Prometheus."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from fastapi import APIRouter, Header, Response

from rota_collector.api.stores import Progress, Stores
from rota_collector.domain.exposition import OPENMETRICS, TEXT, label, series, text, wants_openmetrics
from rota_collector.store import standing
from rota_collector.store.slots import NOTHING_AHEAD, Outlook
from rota_collector.store.standing import Standing

Numbers = Iterator[tuple[str, float]]


def router(stores: Stores, version: str) -> APIRouter:
    """``/metrics``."""
    router = APIRouter(tags=["health"])

    @router.get("/metrics", response_class=Response)
    def metrics(accept: str = Header("", include_in_schema=False)) -> Response:
        """Every number of the collector and of its workflows: Prometheus's text, or OpenMetrics."""
        openmetrics = wants_openmetrics(accept)
        numbers = {series("rota_collector_info", version=version): 1.0, **dict(_own(stores)), **dict(_workflows(stores))}
        page = text({**numbers, **stores.numbers()}, openmetrics=openmetrics)
        return Response(page, headers={"content-type": OPENMETRICS if openmetrics else TEXT})

    return router


def _own(stores: Stores) -> Numbers:
    for name, progress in (("telemetry", stores.telemetry_progress), ("control", stores.control_progress)):
        yield from _store(name, progress)
    yield from _files(stores.home)
    for scope, count in Counter(key.scope for key in stores.keys.all() if key.revoked_ns is None).items():
        yield series("rota_keys", scope=scope), count


def _store(name: str, progress: Progress) -> Numbers:
    yield series("rota_store_lag_bytes", store=name), progress.lag_bytes
    yield series("rota_store_lag_seconds", store=name), round(progress.lag_seconds, 3)
    yield series("rota_store_up", store=name), int(progress.is_alive() and progress.trouble is None)


def _files(home: Path | None) -> Numbers:
    if home is None:
        return
    disk = os.statvfs(home)
    yield "rota_disk_free_bytes", disk.f_bavail * disk.f_frsize
    yield "rota_journal_disk_bytes", _size(home / "journal", "*")
    yield series("rota_store_bytes", store="telemetry"), _size(home, "telemetry.duckdb*")
    yield series("rota_store_bytes", store="control"), _size(home, "control.sqlite*")


def _size(folder: Path, pattern: str) -> int:
    found = 0
    for path in folder.glob(pattern):
        try:
            found += path.stat().st_size
        except OSError:
            continue  # gone this very moment
    return found


def _workflows(stores: Stores) -> Numbers:
    now_ns = stores.clock.now_ns()
    with stores.expectations.reading() as connection:
        totals = standing.totals(connection, now_ns)
        standings = list(standing.standings(connection, stores.metrics_workflows))
    ahead = stores.expectations.slots.outlooks(None, now_ns)
    yield "rota_workflows", totals.workflows
    yield "rota_workflows_left_out", totals.workflows - len(standings)
    yield "rota_incidents_open", totals.open_incidents
    yield "rota_monitor_due", totals.due
    yield "rota_alerts_waiting", totals.waiting
    for each in standings:
        yield from _workflow(each, ahead.get(each.name, NOTHING_AHEAD))


def _workflow(found: Standing, ahead: Outlook) -> Numbers:
    mine = label("workflow", found.name)
    if found.succeeded_ns is not None:
        yield f"rota_workflow_last_success_timestamp_seconds{{{mine}}}", found.succeeded_ns / 1e9
    if found.started_ns is not None:
        yield f"rota_workflow_last_run_timestamp_seconds{{{mine}}}", found.started_ns / 1e9
        if found.ended_ns is not None:
            yield f"rota_workflow_last_run_duration_seconds{{{mine}}}", max(0, found.ended_ns - found.started_ns) / 1e9
    if found.state is not None:
        yield f'rota_workflow_last_run_state{{{mine},state="{found.state}"}}', 1
    for outcome, count in found.outcomes.items():
        yield f'rota_workflow_recent{{{mine},outcome="{outcome}"}}', count
    if ahead.next_due_ns is not None:
        yield f"rota_workflow_next_slot_timestamp_seconds{{{mine}}}", ahead.next_due_ns / 1e9
    if ahead.verdict is not None:
        yield f'rota_workflow_last_verdict{{{mine},verdict="{ahead.verdict}"}}', 1
    yield f"rota_workflow_incidents_open{{{mine}}}", ahead.open_incidents
    yield f"rota_workflow_paused{{{mine}}}", int(ahead.paused)
