"""What another policy would have saved a workflow, and the policies that put it on other levels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel, Field

from rota.rules.level import LEVELS, level
from rota_collector.api import shape
from rota_collector.api.access import Reads
from rota_collector.api.envelope import answer
from rota_collector.api.stores import Stores
from rota_collector.api.workflows import must_read, unknown
from rota_collector.domain.advise import Advice, advise
from rota_collector.domain.fleet import Fleet
from rota_collector.domain.promote import NoPromotion, demoted, promoted
from rota_collector.store.past import past

LOOK_BACK_NS = 90 * 86_400 * 10**9
_MOST_SHOWN = 100  # runs of one piece of advice
_Document = dict[str, Any]


class Piece(BaseModel):
    """One thing that would have helped, with the runs that tell it."""

    level: Literal["expect", "retry", "gate", "orchestrate"]
    kind: str = Field(description="retry, or the kind of the gate")
    policy: _Document = Field(description="what to add to the policy")
    saved: int = Field(description="so many runs would not have failed, or not have been in vain")
    of: int = Field(description="so many failed in all")
    runs: list[str] = Field(description=f"the latest {_MOST_SHOWN} of those that it would have saved")
    reason: str


class WorkflowAdvice(BaseModel):
    """Advice for a workflow, from its runs of the last 90 days."""

    workflow: str
    level: Literal["observe", "expect", "retry", "gate", "orchestrate"]
    since_at: AwareDatetime
    runs: int = Field(description="of its own that were looked at")
    items: list[Piece] = Field(description="that which saves most first")
    promote: dict[str, _Document] = Field(description="by level above: the document to store")
    demote: dict[str, _Document] = Field(description="by level below: the document to store")


def router(stores: Stores) -> APIRouter:
    """``/api/v1/advice/{name}``."""
    router = APIRouter(prefix="/api/v1/advice", tags=["policies"])

    @router.get("/{name:path}", response_model=WorkflowAdvice)
    def get_advice(name: str, reads: Reads) -> Response:
        """What each level would have changed, with the evidence, and the policies that lead to each."""
        must_read(reads, name)
        return answer(_advice(stores, name))

    return router


def _advice(stores: Stores, name: str) -> dict[str, Any]:
    now_ns = stores.clock.now_ns()
    known = stores.control.workflow(name, now_ns)
    view = stores.expectations.policies.view(name)
    if known is None and view is None:
        raise unknown(name)
    policy = view.in_force if view else {}
    with stores.control.engine.begin() as connection:
        fleet = Fleet(past(connection, name, (policy.get("expect") or {}).get("upstream") or (), now_ns - LOOK_BACK_NS))
    found = advise(name, fleet, policy)
    stored, declared = (view.stored or {}, view.declared or {}) if view else ({}, {})
    usual_ns = known.usual_ns if known else None
    return {
        "workflow": name, "level": level(policy), "since_at": shape.iso(now_ns - LOOK_BACK_NS), "runs": len(fleet.of(name)),
        "items": [_piece(each) for each in found],
        "promote": _each(lambda to: promoted(to, policy, stored, found, usual_ns)),
        "demote": _each(lambda to: demoted(to, policy, stored, declared)),
    }  # fmt: skip


def _each(document: Callable[[str], _Document]) -> dict[str, _Document]:
    """By level, the documents that there are."""
    found = {}
    for to in LEVELS:
        try:
            found[to] = document(to)
        except NoPromotion:
            continue
    return found


def _piece(one: Advice) -> dict[str, Any]:
    return {
        "level": one.level, "kind": one.kind, "policy": one.policy, "saved": len(one.saved), "of": one.of,
        "runs": list(one.saved[-_MOST_SHOWN:]), "reason": one.reason,
    }  # fmt: skip
