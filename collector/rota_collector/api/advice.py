"""What another policy would have saved a workflow, and the policies that put it on other levels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel, Field

from rota.rules.level import LEVELS, level
from rota.rules.policy import merge
from rota_collector.api import access, models, policies, shape
from rota_collector.api.access import Reads
from rota_collector.api.documents import Examined
from rota_collector.api.envelope import answer
from rota_collector.api.stores import Stores
from rota_collector.api.workflows import must_read, unknown
from rota_collector.domain.advise import Advice, advise, upstreams
from rota_collector.domain.fleet import Fleet
from rota_collector.domain.promote import NoPromotion, demoted, promoted
from rota_collector.domain.replay import replay
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


class Change(BaseModel):
    """What one part of a proposed policy would have done."""

    part: str = Field(description="`retry`, or the gate as `gates[0]`")
    kind: str
    answer: Literal["wait", "skip", "deny", "retry", "saved"] = Field(
        description="a gate's answer; tried again, and saved by that"
    )
    count: int
    runs: list[str] = Field(description=f"the latest {_MOST_SHOWN} of them")
    reason: str = Field(description="of the last of them")


class Tested(BaseModel):
    """A proposed policy against the past of its workflow."""

    workflow: str
    level: Literal["observe", "expect", "retry", "gate", "orchestrate"]
    runs: int = Field(description="that were looked at")
    changes: list[Change]
    unknown: dict[str, str] = Field(description="parts that cannot be told from the past, with why")


def router(stores: Stores) -> APIRouter:
    """``/api/v1/advice/{name}`` and ``/api/v1/policies/test``."""
    router = APIRouter(prefix="/api/v1", tags=["policies"])

    @router.post(
        "/policies/test", response_model=models.Items[Tested], openapi_extra=policies.TEXT_BODY, dependencies=[access.read]
    )
    def test_policies(text: policies.Given, reads: Reads) -> Response:
        """What proposed policies would have changed for the runs of the last 90 days. Nothing is stored."""
        found = policies.usable(text, stores.clock.now_ns())
        for each in found:
            must_read(reads, each.workflow)
        return answer({"items": [_tested(stores, each) for each in found], "next": None})

    @router.get("/advice/{name:path}", response_model=WorkflowAdvice)
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
    history = fleet(stores, name, policy, now_ns)
    found = advise(name, history, policy)
    stored, declared = (view.stored or {}, view.declared or {}) if view else ({}, {})
    usual_ns = known.usual_ns if known else None
    return {
        "workflow": name, "level": level(policy), "since_at": shape.iso(now_ns - LOOK_BACK_NS), "runs": len(history.of(name)),
        "items": [_piece(each) for each in found],
        "promote": _each(lambda to: promoted(to, policy, stored, found, usual_ns)),
        "demote": _each(lambda to: demoted(to, policy, stored, declared)),
    }  # fmt: skip


def fleet(stores: Stores, name: str, policy: Mapping[str, Any], now_ns: int) -> Fleet:
    """The past of a workflow, of those that its policy names, and of those that fail like it."""
    with stores.control.engine.begin() as connection:
        return Fleet(past(connection, name, upstreams(policy), now_ns - LOOK_BACK_NS))


def _tested(stores: Stores, one: Examined) -> dict[str, Any]:
    view = stores.expectations.policies.view(one.workflow)
    policy = merge(view.declared or {} if view else {}, one.document)
    found = replay(one.workflow, policy, fleet(stores, one.workflow, policy, stores.clock.now_ns()))
    changes = [{**each._asdict(), "count": len(each.runs), "runs": list(each.runs[-_MOST_SHOWN:])} for each in found.changes]
    return {"workflow": one.workflow, "level": level(policy), "runs": found.runs, "changes": changes, "unknown": found.unknown}


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
