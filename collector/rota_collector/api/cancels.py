"""Cancelling runs: people say so, or rules; the host that a run is on is told, and ends it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rota_collector.api import access, shape
from rota_collector.api.access import Owning, Reads
from rota_collector.api.bell import Bell
from rota_collector.api.envelope import ApiError, answer
from rota_collector.api.parameters import Acting
from rota_collector.api.permission_models import MOST_WAIT_SECONDS, Name
from rota_collector.api.runs import find
from rota_collector.api.stores import Stores
from rota_collector.store.cancels import MOST, Cancel

_LOOK_SECONDS = 1.0  # between two looks whether the collector stops


class Cancelled(BaseModel):
    """A run that is to end."""

    run_id: str
    number: int = Field(description="grows from one to the next")
    workflow: str
    host: str | None
    by: str
    reason: str
    at: AwareDatetime


class Why(Acting):
    """What goes on record."""

    reason: Annotated[str, Field(max_length=1000)] = ""


class Listening(BaseModel):
    """What a host knows, and what it wants to hear of."""

    model_config = ConfigDict(extra="forbid")

    known: Annotated[int, Field(ge=0, strict=True, description="the `number` of the answer before")] = 0
    policies: Annotated[int, Field(ge=0, strict=True)] | None = Field(
        default=None, description="the `version` of its policies; null: it has none and wants none"
    )
    run_ids: Annotated[list[Name], Field(max_length=MOST, description="only cancels of these runs; none: of all")] = []
    wait_seconds: Annotated[
        float, Field(ge=0, le=MOST_WAIT_SECONDS, strict=True, description="how long to hold it open while there is no news")
    ] = 0.0


class News(BaseModel):
    """The cancels of open runs after number ``known``, and under which version the policies are now."""

    number: int = Field(description="to ask with the next time")
    policies: int = Field(description="`GET /api/v1/policies/asking` has them")
    cancels: list[Cancelled]


def router(stores: Stores) -> APIRouter:
    """``/api/v1/runs/{run_id}/cancel``."""
    router = APIRouter(prefix="/api/v1/runs", tags=["runs"])

    @router.post("/{run_id}/cancel", response_model=Cancelled, dependencies=[access.operate])
    def cancel(run_id: str, asker: Owning, body: Why) -> Response:
        """Have a run ended: its host sends SIGTERM. It is `cancelling` until it says how it ended, which may be another way."""
        run = find(stores.control, run_id, asker.reads)
        asker.must_own(run.workflow)
        by, now_ns = asker.who(body.by), stores.clock.now_ns()
        reason = f"{by}: {body.reason}" if body.reason else f"cancelled by {by}"
        found, made = stores.expectations.cancels.order(run.run_id, by, reason, now_ns)
        if made is None:
            state = found.state if found is not None else run.state
            raise ApiError(409, "run_over", f"the run {run.run_id} is over: {state}", "a run that has ended cannot be cancelled")
        stores.audit.note(now_ns, by, "run.cancel", run.run_id, before={"state": run.state}, after={"reason": reason})
        stores.expectations.changed()  # the journal hears of it now
        return answer(_item(made))

    return router


def for_hosts(stores: Stores) -> APIRouter:
    """``/api/v1/news``."""
    router, bell = APIRouter(prefix="/api/v1", tags=["permission"]), Bell()
    cancels, asking = stores.expectations.cancels, stores.expectations.policies.asking
    cancels.changed.append(bell.ring)
    asking.changed.append(lambda _workflow: bell.ring())

    @router.post("/news", response_model=News, dependencies=[access.ingest])
    async def hear_news(body: Listening, reads: Reads) -> Response:
        """What a host wants to hear at once: runs that it is to end, policies that changed. Held open while there is nothing."""
        until, known, found = stores.clock.monotonic() + body.wait_seconds, body.known, []
        with bell.heard() as rung:
            while True:
                rung.clear()
                if cancels.number > known:
                    newest = cancels.number
                    found, known = await asyncio.to_thread(cancels.after, known, body.run_ids, reads), newest
                left_seconds = until - stores.clock.monotonic()
                is_news = bool(found) or body.policies not in (None, asking.number)
                if is_news or left_seconds <= 0 or stores.tails.stopping():
                    return answer({"number": known, "policies": asking.number, "cancels": [_item(each) for each in found]})
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(rung.wait(), min(left_seconds, _LOOK_SECONDS))

    return router


def _item(cancel: Cancel) -> dict[str, Any]:
    item = cancel._asdict()
    return {**item, "at": shape.iso(item.pop("at_ns"))}
