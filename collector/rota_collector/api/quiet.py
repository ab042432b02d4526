"""When nothing is expected: pauses and maintenance windows."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field

from rota_collector.api import access, expectation_models, models, shape
from rota_collector.api.access import Asker, Owning, Reads
from rota_collector.api.envelope import ApiError, answer
from rota_collector.api.parameters import Acting, Lasting, Time, ns
from rota_collector.api.stores import Stores
from rota_collector.api.workflows import must_read, unknown
from rota_collector.store.quiet import QuietTime

Reason = Annotated[str, Field(max_length=1000)]
Pattern = Annotated[str, Field(min_length=1, max_length=500)]


class Pause(Lasting):
    """Expect nothing of a workflow; without an end, until it is resumed."""

    reason: Reason = ""


class Window(Lasting):
    """Expect nothing of what matches, from then (else now) until then, or for so many seconds."""

    workflow: Annotated[Pattern, Field(description="a name, or a pattern as `etl.*`")] = "*"
    host: Pattern = "*"
    from_: Annotated[Time | None, Field(alias="from")] = None
    reason: Reason = ""


def router(stores: Stores) -> APIRouter:
    """``/api/v1/workflows/{name}/pause`` and ``resume``, ``/api/v1/maintenance``."""
    router = APIRouter(prefix="/api/v1", tags=["quiet times"])
    there = stores.expectations.quiet

    @router.post("/workflows/{name:path}/pause", response_model=expectation_models.QuietTime, dependencies=[access.operate])
    def pause(name: str, asker: Owning, body: Pause | None = None) -> Response:
        """Expect nothing of a workflow. A pause that is on is replaced."""
        _must_be_theirs(stores, asker, name)
        asked, now_ns = body or Pause(), stores.clock.now_ns()
        until_ns, by = asked.until_ns(now_ns), asker.who(asked.by)
        paused = there.pause(name, until_ns=until_ns, by=by, reason=asked.reason, now_ns=now_ns)
        stores.room.look_again(workflow=name)  # who waits to run waits for nothing
        return answer(shape.quiet_item(paused))

    @router.post("/workflows/{name:path}/resume", response_model=expectation_models.Resumed, dependencies=[access.operate])
    def resume(name: str, asker: Owning, body: Acting | None = None) -> Response:
        """Expect again, from now on."""
        _must_be_theirs(stores, asker, name)
        was_paused = there.resume(name, stores.clock.now_ns(), asker.who(body.by if body else None))
        return answer({"workflow": name, "was_paused": was_paused})

    @router.get("/maintenance", response_model=models.Items[expectation_models.QuietTime])
    def list_quiet_times(reads: Reads) -> Response:
        """Maintenance windows and pauses that are on or to come."""
        found = [each for each in there.current(stores.clock.now_ns()) if reads.touches(each.workflow)]
        return answer({"items": [shape.quiet_item(each) for each in found], "next": None})

    @router.post("/maintenance", response_model=expectation_models.QuietTime, dependencies=[access.operate])
    def add_window(body: Window, asker: Owning) -> Response:
        """Expect nothing of workflows and hosts that match, for a while."""
        asker.must_cover(body.workflow)
        now_ns = stores.clock.now_ns()
        from_ns = ns(body.from_)
        from_ns = now_ns if from_ns is None else from_ns
        until_ns = body.until_ns(from_ns)
        if until_ns is None:
            raise ApiError(422, "invalid", "neither until nor seconds is given", "a window has an end; a pause need not have one")
        if until_ns <= now_ns:
            raise ApiError(422, "invalid", "the window is over already", "what was missed by then has been told")
        window = there.add_maintenance(
            workflow=body.workflow, host=body.host, from_ns=from_ns, until_ns=until_ns, reason=body.reason, by=asker.who(body.by),
            now_ns=now_ns,
        )  # fmt: skip
        return answer(shape.quiet_item(window))

    @router.delete("/maintenance/{quiet_id}", response_model=expectation_models.Removed, dependencies=[access.operate])
    def remove(quiet_id: str, asker: Owning) -> Response:
        """End a window or a pause now; what it covered stays explained by it."""
        now_ns = stores.clock.now_ns()
        found = [each for each in there.current(now_ns) if each.id == quiet_id and asker.reads.touches(each.workflow)]
        _must_cover(asker, found)
        if not found or not there.end(quiet_id, now_ns, asker.who(None)):
            raise ApiError(404, "not_found", f"no quiet time {quiet_id!r} is on or to come", "GET /api/v1/maintenance lists them")
        return answer({"removed": quiet_id})

    return router


def _must_cover(asker: Asker, found: list[QuietTime]) -> None:
    for each in found:
        asker.must_cover(each.workflow)


def _must_be_theirs(stores: Stores, asker: Asker, name: str) -> None:
    must_read(asker.reads, name)
    asker.must_own(name)
    if stores.control.workflow(name, stores.clock.now_ns()) is None and stores.expectations.policies.view(name) is None:
        raise unknown(name)
