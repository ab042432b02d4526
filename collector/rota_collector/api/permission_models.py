"""The shapes of questions about permission, of leases, approvals and decisions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rota_collector.api.parameters import Acting, Time

MOST_WAIT_SECONDS = 30.0
Name = Annotated[str, Field(min_length=1, max_length=500)]
Said = Literal["go", "wait", "skip", "deny"]


class Local(BaseModel):
    """What a host found of a gate that is looked at there."""

    gate: Annotated[int, Field(ge=0, le=1000, description="its place in the policy")]
    answer: Said
    reason: Annotated[str, Field(max_length=2000)] = ""
    facts: dict[str, Any] = {}
    look_again_seconds: Annotated[float | None, Field(ge=0, le=86_400)] = None


class Question(BaseModel):
    """What a run, or a task of it, asks before it begins."""

    model_config = ConfigDict(extra="forbid")

    workflow: Name
    run_id: Name
    attempt: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] = 1
    task: Name | None = Field(default=None, description="null: the run itself asks")
    host: Name | None = None
    slot_at: Time | None = Field(default=None, description="nominal time of the slot that it fills")
    priority: Annotated[
        int, Field(ge=0, le=100, strict=True, description="where its policy has none; a higher one comes first")
    ] = 0
    ticket: Name | None = Field(default=None, description="of the answer before, to keep the place in the line")
    wait_seconds: Annotated[
        float, Field(ge=0, le=MOST_WAIT_SECONDS, strict=True, description="how long to hold the question open")
    ] = 0.0
    local: Annotated[list[Local], Field(max_length=1000)] = []
    facts: dict[str, Any] = Field(default={}, description="of the run so far")


class Granted(BaseModel):
    """A lease, as its holder is told."""

    id: str
    scope: str = Field(description="`workflow NAME`, `instance NAME@HOST` or `pool NAME`")
    token: int = Field(description="greater than that of every lease of the scope before; whoever is written to may compare it")
    expires_in_seconds: float = Field(description="count it from before the question")


class Permission(BaseModel):
    """The answer."""

    answer: Said
    reason: str
    gate: int | None = Field(description="the place of the gate that decided, -1: the workflow is paused; null: all say go")
    kind: str | None
    decision_id: str
    ticket: str = Field(description="to ask again with, within 30 s")
    look_again_seconds: float | None = Field(description="when the answer may change by itself")
    leases: list[Granted]


class Token(BaseModel):
    """Whose lease it is."""

    model_config = ConfigDict(extra="forbid")

    token: Annotated[int, Field(ge=0, lt=2**63, strict=True)]


class Lease(Granted):
    """A lease, and who holds it."""

    workflow: str
    run_id: str
    task: str | None
    attempt: int
    host: str | None
    weight: int
    granted_at: AwareDatetime
    expires_at: AwareDatetime


class Waiting(BaseModel):
    """A run, or a task of it, that waits for permission."""

    workflow: str
    run_id: str
    attempt: int
    task: str | None = Field(description="null: the run itself waits")
    asked_at: AwareDatetime = Field(description="since when it waits")


class Pool(BaseModel):
    """A pool, whose capacity several workflows share."""

    name: str
    limit: int | None = Field(description="what somebody set, else the smallest that a policy gives; null: none does")
    set_by: str | None = Field(description="who set it; null: nobody did")


class PoolLimit(Acting):
    """How much there is of a pool; null: what the policies say."""

    limit: Annotated[int | None, Field(ge=1, le=1_000_000, strict=True)]


class Asking(BaseModel):
    """The policies that ask something of a run."""

    version: int = Field(description="0: none asks; else it changes whenever any of them does")
    items: dict[str, dict[str, Any]] | None = Field(
        description="by workflow `retry`, `gates`, `tasks`, `rules` and `version`; null: nothing changed since `known`"
    )


class Approval(BaseModel):
    """A run that waits for a person's word."""

    id: str
    workflow: str
    run_id: str
    task: str | None
    host: str | None
    role: Literal["operate", "admin"] = Field(description="the scope that a key needs to answer")
    state: Literal["asked", "approve", "refuse", "expired"]
    asked_at: AwareDatetime
    expires_at: AwareDatetime | None
    answered_at: AwareDatetime | None
    by: str | None
    comment: str | None


class Word(Acting):
    """A person's word."""

    answer: Literal["approve", "refuse"]
    comment: Annotated[str | None, Field(max_length=1000)] = None


class Decision(BaseModel):
    """What was answered to a question of a run, and on what that rested."""

    id: str
    at: AwareDatetime
    attempt: int | None
    task: str | None
    answer: str
    reason: str | None
    gate: int | None
    kind: str | None
    host: str | None
    ticket: str | None
    source: str | None = Field(description="collector; or who decided blind, while nobody answered")
    answers: Any = Field(description="of each gate: gate, kind, answer, reason and facts")
