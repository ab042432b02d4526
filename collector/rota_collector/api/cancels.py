"""Cancelling runs: people say so, or rules; the host that a run is on is told, and ends it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rota_collector.api import access, shape
from rota_collector.api.access import Owning, Reads
from rota_collector.api.envelope import ApiError, answer
from rota_collector.api.parameters import Acting
from rota_collector.api.permission_models import MOST_WAIT_SECONDS, Name
from rota_collector.api.runs import find
from rota_collector.api.stores import Stores
from rota_collector.store.cancels import MOST, Cancel

_POLL_SECONDS = 0.1  # of a number in memory


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


class Awaiting(BaseModel):
    """Whose cancels a host waits for."""

    model_config = ConfigDict(extra="forbid")

    known: Annotated[int, Field(ge=0, strict=True, description="the `number` of the answer before")] = 0
    host: Name | None = Field(default=None, description="only of this host's runs")
    run_ids: Annotated[list[Name], Field(max_length=MOST, description="only of these runs; none: of all")] = []
    wait_seconds: Annotated[
        float, Field(ge=0, le=MOST_WAIT_SECONDS, strict=True, description="how long to hold the request open while there is none")
    ] = 0.0


class Awaited(BaseModel):
    """The cancels of open runs after number ``known``."""

    number: int = Field(description="to ask with the next time")
    items: list[Cancelled]


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
            raise ApiError(409, "run_over", f"the run {run.run_id} {state} already", "there is nothing left to cancel")
        stores.audit.note(now_ns, by, "run.cancel", run.run_id, before={"state": run.state}, after={"reason": reason})
        stores.expectations.changed()  # the journal hears of it now
        return answer(_item(made))

    return router


def for_hosts(stores: Stores) -> APIRouter:
    """``/api/v1/cancels``."""
    router = APIRouter(prefix="/api/v1", tags=["permission"])

    @router.post("/cancels", response_model=Awaited, dependencies=[access.ingest])
    async def wait_for_cancels(body: Awaiting, reads: Reads) -> Response:
        """The runs that a host is to end. Held open while there is none that it does not know."""
        cancels, clock = stores.expectations.cancels, stores.clock
        until, known, found = clock.monotonic() + body.wait_seconds, body.known, []
        while True:
            number = cancels.number
            if number > known:
                found = await asyncio.to_thread(cancels.after, known, body.host, body.run_ids, reads)
                known = number
            if found or clock.monotonic() >= until or stores.tails.stopping():
                return answer({"number": known, "items": [_item(each) for each in found]})
            await asyncio.sleep(_POLL_SECONDS)

    return router


def _item(cancel: Cancel) -> dict[str, Any]:
    item = cancel._asdict()
    return {**item, "at": shape.iso(item.pop("at_ns"))}
