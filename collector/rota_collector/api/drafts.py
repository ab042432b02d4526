"""Policies while they are written: what a text holds, and what is wrong with it. Nothing is stored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from rota.rules.level import level
from rota.rules.policy import merge
from rota_collector.api import access, models, policies
from rota_collector.api.access import Reads
from rota_collector.api.documents import examine
from rota_collector.api.envelope import answer
from rota_collector.api.stores import Stores
from rota_collector.api.workflows import must_read

Whose = Annotated[str | None, Query(min_length=1, max_length=500, description="whose documents without `workflow` are")]


class Draft(BaseModel):
    """One document of a text."""

    workflow: str
    document: Any = Field(description="as it is read, whatever is wrong with it; without its `workflow`")
    level: Literal["observe", "expect", "retry", "gate", "orchestrate"] | None = Field(
        description="that it would put its workflow on; null: it cannot be used"
    )
    problems: list[str] = Field(description="why it cannot be used; each names the key, the value and what to write")
    warnings: list[str] = Field(description="what can be used and is hardly meant")


def router(stores: Stores) -> APIRouter:
    """``/api/v1/policies/check``."""
    router = APIRouter(prefix="/api/v1", tags=["policies"])

    @router.post(
        "/policies/check", response_model=models.Items[Draft], openapi_extra=policies.TEXT_BODY, dependencies=[access.read]
    )
    def check_policies(text: policies.Given, reads: Reads, workflow: Whose = None) -> Response:
        """What policy documents hold, and all that is wrong with each. A text that is neither YAML nor JSON is refused."""
        found = [_draft(stores, each, workflow) for each in text.documents()]
        for each in found:
            if each["workflow"]:
                must_read(reads, each["workflow"])
        return answer({"items": found, "next": None})

    return router


def _draft(stores: Stores, given: object, workflow: str | None) -> dict[str, Any]:
    one = examine(given, workflow, stores.clock.now_ns())
    view = stores.expectations.policies.view(one.workflow) if one.workflow else None
    in_force = merge((view.declared if view else None) or {}, one.document)
    return {
        "workflow": one.workflow,
        "document": {key: value for key, value in given.items() if key != "workflow"} if isinstance(given, dict) else given,
        "level": None if one.problems else level(in_force),
        "problems": one.problems,
        "warnings": one.warnings,
    }
