"""What was logged and what was done in any runs, by its time and by what it says."""

from __future__ import annotations

from typing import Annotated

import pyarrow as pa
from fastapi import APIRouter, Query, Response

from rota_collector.api import arrow, models
from rota_collector.api.envelope import ApiError, answer
from rota_collector.api.parameters import (
    LONGEST_SECONDS,
    Cursor,
    Most,
    Severity,
    Text,
    Time,
    Untold,
    Workflows,
    name_or_pattern,
    ns,
    of_json,
    within_bits,
)
from rota_collector.api.stores import Stores
from rota_collector.store.readings import items
from rota_collector.store.searches import Search

_DAY_NS = 86_400 * 10**9
_AHEAD_NS = 300 * 10**9  # clocks differ, and what is a little ahead is to be seen
_MOST_COLUMNS = 100_000

Since = Annotated[Time | None, Query(description="inclusive; a day before `until` unless it is said")]
Until = Annotated[Time | None, Query(description="exclusive; now unless it is said")]
Failed = Annotated[bool, Query(description="that failed only")]
MinSeconds = Annotated[float | None, Query(ge=0, le=LONGEST_SECONDS, description="that took at least so long")]


def router(stores: Stores) -> APIRouter:
    """``/api/v1/logs`` and ``/api/v1/spans``."""
    router = APIRouter(prefix="/api/v1", tags=["telemetry"])

    @router.get("/logs", response_model=models.Page[models.FoundLog], responses=arrow.ALSO)
    def find_logs(
        workflow: Workflows = None, q: Text = None, severity: Severity = 0, plain: Untold = False, since: Since = None,
        until: Until = None, limit: Most = None, cursor: Cursor = None, accept: arrow.Accept = "",
    ) -> Response:  # fmt: skip
        """Log records of all runs, the last first, of a day unless it is said. As Arrow, `next` is in the schema's metadata."""
        search = _search(stores, workflow, q, since, until)
        table, following = stores.telemetry.logs(search, cursor, _size(limit, accept), severity=severity, told=plain)
        return _answer(table, following, accept)

    @router.get("/spans", response_model=models.Page[models.FoundSpan], responses=arrow.ALSO)
    def find_spans(
        workflow: Workflows = None, q: Text = None, failed: Failed = False, min_seconds: MinSeconds = None, since: Since = None,
        until: Until = None, limit: Most = None, cursor: Cursor = None, accept: arrow.Accept = "",
    ) -> Response:  # fmt: skip
        """Spans of all runs, the last begun first, of a day unless it is said; `q` searches name, message and attributes."""
        search = _search(stores, workflow, q, since, until)
        shortest = None if min_seconds is None else round(min_seconds * 1e9)
        size = _size(limit, accept)
        table, following = stores.telemetry.spans(search, cursor, size, failed=failed, min_duration_ns=shortest)
        return _answer(table, following, accept)

    return router


def _search(stores: Stores, workflow: str | None, text: str | None, since: Since, until: Until) -> Search:
    until_ns = ns(until)
    if until_ns is None:
        until_ns = stores.clock.now_ns() + _AHEAD_NS
    since_ns = ns(since)
    if since_ns is None:
        since_ns = within_bits(until_ns - _DAY_NS)
    if since_ns >= until_ns:
        raise ApiError(422, "invalid", "until is not after since", "send a stretch of time: since=…&until=…")
    return Search(since_ns, until_ns, *name_or_pattern(workflow), text or None)


def _size(limit: int | None, accept: str) -> int:
    return (limit or _MOST_COLUMNS) if arrow.is_wanted(accept) else of_json(limit)


def _answer(table: pa.Table, following: str | None, accept: str) -> Response:
    if arrow.is_wanted(accept):
        return arrow.answer(arrow.with_next(table, following))
    return answer({"items": items(table), "next": following})
