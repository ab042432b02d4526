"""The shapes of what is expected: policies, slots, incidents and quiet times. As ``models``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, Field


class Slot(BaseModel):
    """One expected occurrence of a schedule."""

    workflow: str
    host: str | None = Field(description="of a workflow that is expected on each host; null: once, wherever it runs")
    due_at: AwareDatetime
    deadline_at: AwareDatetime = Field(description="when it counts as missed")
    verdict: Literal["on_time", "early", "late", "missed", "skipped", "unknown"] | None = Field(
        description="null: not judged yet"
    )
    reason: str | None
    run_id: str | None
    started_at: AwareDatetime | None = Field(description="of that run")
    revision: int = Field(description="how often it was judged; above 1: a late fact corrected it")
    policy_version: int = Field(description="of the policy that it is judged by")


_PLACE = Field(alias="from", description="where the stored document comes from; null: nobody said")
_REVISION = Field(description="the commit there")


class Policy(BaseModel):
    """What is expected of a workflow, and who said so."""

    workflow: str
    version: int = Field(description="0: it has none")
    level: Literal["observe", "expect", "retry", "gate", "orchestrate"]
    policy: dict[str, Any] = Field(description="in force: what code declares, overridden key by key by what is stored")
    stored: dict[str, Any] | None
    declared: dict[str, Any] | None
    source: dict[str, Literal["stored", "code", "both"]] = Field(description="who set each key of the policy in force")
    problems: list[str] = Field(description="what of the declaration in code cannot be used, and why")
    warnings: list[str] = Field(description="what can be used and is hardly meant")
    place: str | None = _PLACE
    revision: str | None = _REVISION


class StoredPolicy(BaseModel):
    """What somebody stored of a policy."""

    workflow: str
    version: int
    policy: dict[str, Any]
    place: str | None = _PLACE
    revision: str | None = _REVISION


class Stored(BaseModel):
    """Every policy that somebody stored."""

    items: list[StoredPolicy]
    next: None = None


class PolicyVersion(BaseModel):
    """One version of a policy, with who and why."""

    version: int
    origin: Literal["stored", "code"]
    policy: dict[str, Any] = Field(description="what was stored, or declared, then")
    author: str
    reason: str | None
    created_at: AwareDatetime
    place: str | None = _PLACE
    revision: str | None = _REVISION


class AppliedPolicy(Policy):
    """A policy after it was stored, or as it would be."""

    change: Literal["new", "changed", "same", "removed"] = Field(
        description="of what is stored; what is the same has no new version"
    )
    before: dict[str, Any] | None = Field(description="what was stored before")


class Applied(BaseModel):
    """What is in force after several policies were stored, or would be."""

    items: list[AppliedPolicy]
    next: None = None
    applied: bool = Field(description="false: it was a dry run, and nothing was stored")
    as_of: str = Field(description="for the request that stores what this one tried: see `as_of` there")


class Incident(BaseModel):
    """An expectation that is broken, or was."""

    id: str
    kind: str = Field(
        description="missed, failed, too_long, too_short, silent, rule; of several workflows: "
        "host_silent, observer_silent, downtime"
    )
    state: Literal["open", "acknowledged", "snoozed", "closed"]
    workflow: str | None = Field(description="null: of several, see its members")
    host: str | None
    summary: str
    opened_at: AwareDatetime
    since_at: AwareDatetime = Field(description="when what is wrong began")
    closed_at: AwareDatetime | None
    reason: str | None = Field(description="why it closed")
    run_id: str | None
    due_at: AwareDatetime | None = Field(description="of the slot that was missed")
    error: str | None = Field(description="of the run that failed; in lists at most 1,000 characters of it")
    acked_by: str | None
    snoozed_until: AwareDatetime | None
    group_id: str | None = Field(description="the incident that speaks for it: of its host, or of a downtime of the collector")
    suppressed_by: str | None = Field(description="the incident of a workflow that it needs")
    told_at: AwareDatetime | None = Field(description="when people were last told; null: nobody was")


class IncidentDetail(Incident):
    """An incident with those that it speaks for."""

    members: list[Incident]


class IncidentEvent(BaseModel):
    """Something that happened to an incident."""

    at: AwareDatetime
    transition: str = Field(description="opened, acknowledged, reminder, closed, …")
    summary: str | None
    by: str | None = Field(description="the person who acted")


class QuietTime(BaseModel):
    """A stretch of time in which nothing is expected."""

    id: str
    kind: Literal["pause", "maintenance"]
    workflow: str = Field(description="of a pause a name, else a pattern")
    host: str = Field(description="a pattern")
    from_at: AwareDatetime
    until_at: AwareDatetime | None = Field(description="null: until it is ended")
    reason: str | None
    by: str


class Resumed(BaseModel):
    """A workflow of which its runs are expected again."""

    workflow: str
    was_paused: bool


class Removed(BaseModel):
    """A quiet time that was ended."""

    removed: str
