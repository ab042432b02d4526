"""How much ran, and how it went, over time: of everything by the minute, of a workflow by the day."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BaseModel, Field

from rota_collector.api import models, shape
from rota_collector.api.access import Reads
from rota_collector.api.envelope import ApiError, answer
from rota_collector.api.parameters import Time, ns
from rota_collector.api.stores import Stores
from rota_collector.api.workflows import must_read

_MOST_DAYS = 3 * 366
_SHOWN_DAYS = 366
_DAY_NS = 86_400 * 10**9

Zone = Annotated[str, Query(description="whose days, as `Europe/Berlin`")]
Days = Annotated[int, Query(ge=1, le=_MOST_DAYS, description="so many, today included")]
Parts = Annotated[int, Query(ge=1, le=1000, description="equal stretches of time")]


class Activity(BaseModel):
    """How the runs ended that began in a stretch of time."""

    from_at: AwareDatetime
    runs: dict[str, int] = Field(description="state → how many")


class Day(BaseModel):
    """How a day of a workflow went. A day on which nothing ran and nothing was due is not listed."""

    day: date
    runs: dict[str, int] = Field(description="state → how many runs began on it")
    slots: dict[str, int] = Field(description="verdict → how many slots were due on it")


def router(stores: Stores) -> APIRouter:
    """``/api/v1/activity`` and ``/api/v1/workflows/{name}/days``."""
    router = APIRouter(prefix="/api/v1", tags=["runs"])

    @router.get("/activity", response_model=models.Items[Activity])
    def list_activity(reads: Reads, since: Time | None = None, until: Time | None = None, parts: Parts = 96) -> Response:
        """How many runs of all workflows ended how, by when they began: [since, until), else the last day."""
        until_ns = ns(until) or stores.clock.now_ns()
        bounds = _parts(ns(since) or until_ns - _DAY_NS, until_ns, parts)
        counts = stores.control.run_counts(bounds, reach=reads)
        items = [{"from_at": shape.iso(at), "runs": count} for at, count in zip(bounds, counts, strict=False)]
        return answer({"items": items, "next": None})

    @router.get("/workflows/{name:path}/days", response_model=models.Items[Day])
    def list_days(name: str, reads: Reads, tz: Zone = "UTC", days: Days = _SHOWN_DAYS) -> Response:
        """How each of the last days of a workflow went: its runs by state, its slots by verdict."""
        must_read(reads, name)
        dates, bounds = _days(_zone(tz), stores.clock.now_ns(), days)
        ran = stores.control.run_counts(bounds, name)
        due = stores.expectations.slots.counts(bounds, name)
        return answer({"items": list(_items(dates, ran, due)), "next": None})

    return router


def _parts(since_ns: int, until_ns: int, parts: int) -> list[int]:
    if until_ns <= since_ns:
        raise ApiError(422, "invalid", "until is not after since", "send a stretch of time: since=…&until=…")
    return [since_ns + (until_ns - since_ns) * i // parts for i in range(parts + 1)]


def _days(tz: ZoneInfo, now_ns: int, days: int) -> tuple[list[date], list[int]]:
    """The dates, and the midnights (Unix ns) around them, local ones: a day may have 23 or 25 hours."""
    today = datetime.fromtimestamp(now_ns / 1e9, UTC).astimezone(tz).date()
    dates = [today - timedelta(days=back) for back in reversed(range(days))]
    midnights = (datetime.combine(each, time(), tz) for each in [*dates, today + timedelta(days=1)])
    return dates, [round(each.timestamp()) * 10**9 for each in midnights]


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ApiError(422, "invalid", f"tz={name!r} is no time zone", "send a name as Europe/Berlin") from error


def _items(dates: list[date], ran: list[Counter[str]], due: list[Counter[str]]) -> Any:
    for day, runs, slots in zip(dates, ran, due, strict=True):
        if runs or slots:
            yield {"day": day.isoformat(), "runs": runs, "slots": slots}
