"""The record of changes: who changed what."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BaseModel, Field

from rota_collector.api import access, models, shape
from rota_collector.api.envelope import answer
from rota_collector.api.parameters import Cursor, Limit, Time, ns
from rota_collector.api.stores import Stores
from rota_collector.store.audit import Change, ChangeFilter

Subject = Annotated[str | None, Query(description="a workflow, or the id or name of what else was changed")]
Action = Annotated[str | None, Query(description="as `policy.put`, or all of `policy`")]


class AuditItem(BaseModel):
    """A change."""

    at: AwareDatetime
    by: str = Field(description="who says that they did it, else the name of the key")
    key: str | None = Field(description="the name of the key that the request came with; null: none was needed")
    action: str
    subject: str
    before: Any = Field(description="what differs, as it was; null: nothing was there. Of a long text the beginning")
    after: Any


def router(stores: Stores) -> APIRouter:
    """``/api/v1/audit``."""
    router = APIRouter(prefix="/api/v1/audit", tags=["keys"])

    @router.get("", response_model=models.Page[AuditItem], dependencies=[access.admin])
    def list_changes(
        subject: Subject = None,
        action: Action = None,
        since: Time | None = None,
        until: Time | None = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response:
        """Changes that people made, the last first: of keys, policies, channels, incidents, outcomes, quiet times."""
        filters = ChangeFilter(subject, action, ns(since), ns(until))
        return answer(shape.page(stores.audit.page(filters, cursor, limit), _item))

    return router


def _item(change: Change) -> dict[str, Any]:
    found = change._asdict()
    return {"at": shape.iso(found.pop("at_ns")), **{name: value for name, value in found.items() if name != "number"}}
