"""Retries out of a budget: who tries again asks first, for one or for a few. For hosts, whose keys are of the scope ingest."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from rota.rules.budget import MOST_PORTION, allowed
from rota_collector.api import access, models
from rota_collector.api.access import Owning, Reads
from rota_collector.api.envelope import answer
from rota_collector.api.permission_models import Name
from rota_collector.api.stores import Stores
from rota_collector.domain.admission import Question
from rota_collector.store.budgets import Standing


class Wanted(BaseModel):
    """Who wants to try again what failed."""

    model_config = ConfigDict(extra="forbid")

    workflow: Name
    run_id: Name
    attempt: Annotated[int, Field(ge=1, le=1_000_000, strict=True, description="the one that failed")] = 1
    task: Name | None = Field(default=None, description="null: the run itself is tried again")
    host: Name | None = None
    wanted: Annotated[int, Field(ge=1, le=MOST_PORTION, strict=True)] = 1
    firsts: Annotated[
        int, Field(ge=0, le=1_000_000, strict=True, description="first attempts of functions since it asked before")
    ] = 0


class Granted(BaseModel):
    """How many may be made; they are counted as made."""

    granted: int = Field(description="0: none, and the failure stands")
    reason: str
    budget: str | None = Field(description="null: the policy names none, and nothing is counted")


class Budget(BaseModel):
    """A retry budget, and how it stands now."""

    name: str
    percent: float = Field(description="so many retries beside 100 first attempts")
    least: int = Field(description="so many in any case")
    within_seconds: float = Field(description="the time over which both are counted")
    firsts: int
    retries: int
    allowed: int
    workflows: list[str]


def router(stores: Stores) -> APIRouter:
    """``/api/v1/retries``, ``/api/v1/budgets``."""
    router = APIRouter(prefix="/api/v1", tags=["permission"])

    @router.post("/retries", response_model=Granted, dependencies=[access.ingest])
    def take(body: Wanted, asker: Owning) -> Response:
        """Ask for retries out of the budget that the workflow's policy names."""
        asker.must_own(body.workflow)
        question = Question(body.workflow, body.run_id, body.attempt, body.task, body.host)
        return answer(stores.budgets.take(question, body.wanted, body.firsts)._asdict())

    @router.get("/budgets", response_model=models.Items[Budget], dependencies=[access.read])
    def list_budgets(reads: Reads) -> Response:
        """The retry budgets that policies name."""
        return answer({"items": [_item(each) for each in stores.budgets.standing(reads)], "next": None})

    return router


def _item(standing: Standing) -> dict[str, object]:
    budget, counted, workflows = standing
    return {**budget._asdict(), **counted._asdict(), "allowed": allowed(budget, counted.firsts), "workflows": workflows}
