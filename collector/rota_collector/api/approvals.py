"""Approvals: runs that wait for a person's word."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from rota_collector.api import access, models, permission_models, shape
from rota_collector.api.access import Asker, Owning, Reads
from rota_collector.api.envelope import ApiError, answer
from rota_collector.api.parameters import Cursor, Limit
from rota_collector.api.stores import Stores
from rota_collector.domain.reach import Reach
from rota_collector.store.approvals import Approval

Run = Annotated[str | None, Query(description="of this run")]


def router(stores: Stores) -> APIRouter:
    """``/api/v1/approvals``."""
    router = APIRouter(prefix="/api/v1/approvals", tags=["permission"])

    @router.get("", response_model=models.Page[permission_models.Approval])
    def list_approvals(
        reads: Reads,
        state: Literal["asked", "approve", "refuse", "expired"] | None = None,
        run: Run = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response:
        """Approvals, the last asked first."""
        now_ns = stores.clock.now_ns()
        found = stores.approvals.page(state, now_ns, cursor, limit, reads, run_id=run)
        return answer(shape.page(found, lambda approval: shape.approval_item(approval, now_ns)))

    @router.get("/{approval_id}", response_model=permission_models.Approval)
    def get_approval(approval_id: str, reads: Reads) -> Response:
        """One approval."""
        return answer(shape.approval_item(_find(stores, approval_id, reads), stores.clock.now_ns()))

    @router.post("/{approval_id}", response_model=permission_models.Approval, dependencies=[access.operate])
    def answer_approval(approval_id: str, body: permission_models.Word, asker: Owning) -> Response:
        """Approve or refuse: the run that waits is told at once. The policy may want a key of the scope admin for that."""
        approval, now_ns = _find(stores, approval_id, asker.reads), stores.clock.now_ns()
        _must_answer(asker, approval)
        by = asker.who(body.by)
        found = stores.approvals.answer(approval.id, body.answer, by=by, comment=body.comment, now_ns=now_ns)
        if found is None:
            state = _find(stores, approval_id, asker.reads).state(now_ns)
            raise ApiError(409, "answered", f"the approval {approval_id!r} is over: {state}", "the run has been told")
        stores.room.look_again(run_id=found.run_id)
        return answer(shape.approval_item(found, now_ns))

    return router


def _find(stores: Stores, approval_id: str, reads: Reach) -> Approval:
    approval = stores.approvals.get(approval_id)
    if approval is None or not reads.allows(approval.workflow):
        raise ApiError(404, "not_found", f"no approval {approval_id!r}", "GET /api/v1/approvals lists them")
    return approval


def _must_answer(asker: Asker, approval: Approval) -> None:
    asker.must_own(approval.workflow)
    if not asker.may(approval.role):
        what = f"this approval needs a key of the scope {approval.role}, as its gate says"
        raise ApiError(403, "not_allowed", f"{what}, and {asker.name!r} is of {asker.scope}")
