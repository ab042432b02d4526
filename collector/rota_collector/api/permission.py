"""Permission: a run, or a task of it, asks before it begins. For hosts: their keys are of the scope ingest.

What waits for the waiting room is async: hundreds of questions are held open, and threads are few.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response

from rota_collector.api import access, permission_models, shape
from rota_collector.api.access import Asker, Owning, Reads
from rota_collector.api.direct import Direct
from rota_collector.api.envelope import ApiError, answer
from rota_collector.api.parameters import ns
from rota_collector.api.stores import Stores
from rota_collector.domain.admission import Question
from rota_collector.errors import ForeignTicket, InFlight, KeyReused, StoreError
from rota_collector.store.leases import Lease
from rota_collector.store.questions import Permission

Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)]
Known = Annotated[int, Query(ge=0, description="the `version` of the answer before")]


def router(stores: Stores) -> APIRouter:
    """``/api/v1/permission``, ``/api/v1/leases/{id}/renew`` and ``release``, ``/api/v1/policies/asking``."""
    router = APIRouter(prefix="/api/v1", tags=["permission"], route_class=Direct)

    @router.post("/permission", response_model=permission_models.Permission, dependencies=[access.ingest])
    async def ask(
        body: permission_models.Question, request: Request, asker: Owning, idempotency_key: Key = None
    ) -> Response:  # fmt: skip
        """Ask whether to begin. `wait` comes when `wait_seconds` are over; ask again with the ticket then."""
        asker.must_own(body.workflow)
        payload = hashlib.sha256(await request.body()).hexdigest()
        key = None if idempotency_key is None else f"{asker.name or ''}/{idempotency_key}"
        try:
            asked = stores.room.ask(_question(body, asker), body.ticket, key, payload, body.wait_seconds)
            found = await _unless_gone(request, asyncio.wrap_future(asked))
        except InFlight as error:
            raise ApiError(409, "in_flight", str(error)) from error
        except KeyReused as error:
            raise ApiError(422, "key_reused", str(error)) from error
        except ForeignTicket as error:
            raise ApiError(409, "foreign_ticket", str(error)) from error
        except StoreError as error:
            raise ApiError(503, "undecided", str(error), "send it again") from error
        return answer(_item(found))

    @router.post("/leases/{lease_id}/renew", response_model=permission_models.Granted, dependencies=[access.ingest])
    async def renew(lease_id: str, body: permission_models.Token, asker: Owning) -> Response:
        """Let a lease hold for its whole time from now on."""
        await asyncio.to_thread(_must_hold, stores, asker, lease_id)
        return _changed(lease_id, await asyncio.wrap_future(stores.room.renew(lease_id, body.token)))

    @router.post("/leases/{lease_id}/release", response_model=permission_models.Granted, dependencies=[access.ingest])
    async def release(lease_id: str, body: permission_models.Token, asker: Owning) -> Response:
        """Give a lease back: who waits for it goes now."""
        await asyncio.to_thread(_must_hold, stores, asker, lease_id)
        return _changed(lease_id, await asyncio.wrap_future(stores.room.release(lease_id, body.token)))

    @router.get("/policies/asking", response_model=permission_models.Asking, dependencies=[access.ingest])
    def list_asking(reads: Reads, known: Known = 0) -> Response:
        """What a host needs of the policies that ask; `Rota-Policy` of every OTLP answer tells the number."""
        asking = stores.expectations.policies.asking
        number = asking.number
        if known == number:
            return answer({"version": number, "items": None})
        items = {name: document for name, document in asking.documents().items() if reads.allows(name)}
        return answer({"version": number, "items": items})

    return router


async def _unless_gone(request: Request, asked: asyncio.Future[Permission]) -> Permission:
    """The answer. Who goes away before it comes is granted nothing. Raises what the room does, and ApiError for nobody."""
    gone = asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait((asked, gone), return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            raise ApiError(499, "gone", "whoever asked went away")
        return asked.result()
    finally:
        gone.cancel()
        asked.cancel()


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _question(body: permission_models.Question, asker: Asker) -> Question:
    local = {each.gate: each.model_dump() for each in body.local}
    return Question(
        body.workflow, body.run_id, body.attempt, body.task, body.host, ns(body.slot_at), body.priority, local, body.facts,
        asker.own,
    )  # fmt: skip


def _must_hold(stores: Stores, asker: Asker, lease_id: str) -> None:
    """Raises ApiError when there is no such lease, or it is not of a workflow of the asker's."""
    lease = stores.leases.find(lease_id)
    if lease is None or lease.is_mark or not asker.reads.allows(lease.workflow):
        raise ApiError(404, "not_found", f"no lease {lease_id!r}", "GET /api/v1/leases lists them")
    asker.must_own(lease.workflow)


def _changed(lease_id: str, found: Lease | None) -> Response:
    if found is None:
        raise ApiError(
            409, "not_held", f"the lease {lease_id!r} is over, or its token is another one", "ask for permission again"
        )
    return answer(shape.granted_item(found))


def _item(found: Permission) -> dict[str, Any]:
    return {**found._asdict(), "leases": [shape.granted_item(lease) for lease in found.leases]}
