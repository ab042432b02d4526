"""The shapes of the API's answers. They make the OpenAPI document; answers are written by ``shape`` and tested against it."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, Field

Item = TypeVar("Item")
Json = dict[str, Any]


class Page(BaseModel, Generic[Item]):
    """Some items of a list."""

    items: list[Item]
    next: str | None = Field(description="`cursor` of the page that follows; null: that was all")


class Items(BaseModel, Generic[Item]):
    """A whole list; `next` is there as in every list, and null."""

    items: list[Item]
    next: None = None


class Run(BaseModel):
    """One execution of a workflow."""

    id: str = Field(description="UUIDv7")
    workflow: str
    state: str = Field(description="scheduled … cancelling, or, terminal, succeeded … ended")
    reason: str | None
    attempt: int
    slot_at: AwareDatetime | None = Field(description="nominal time of the slot it fills")
    started_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    duration_seconds: float | None = Field(description="null while it runs, and when it is not known")
    exit_code: int | None
    error_type: str | None
    error_message: str | None = Field(description="in lists at most 1,000 characters of it")
    host: str | None
    source: str = Field(description="who said so: sdk, exec, agent, ping, person, …")
    trace_id: str | None
    parent_run_id: str | None
    tags: list[str]


class Task(BaseModel):
    """A unit of work inside a run, down to a function."""

    span_id: str
    parent_span_id: str | None
    name: str
    state: str = Field(description="running, succeeded, failed; ended: its run is over, and its own end was never told")
    started_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    duration_seconds: float | None
    error_type: str | None
    error_message: str | None
    attributes: dict[str, Any]


class Attempt(BaseModel):
    """One try of a run."""

    attempt: int
    state: str = Field(description="how it ended, also when another one followed; ended: nobody said how")
    reason: str | None
    started_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    duration_seconds: float | None
    exit_code: int | None
    error_type: str | None
    error_message: str | None


class RunDetail(Run):
    """A run with what is too long for lists."""

    error_stack: str | None
    attempts: list[Attempt] = Field(description="the first one first")
    tasks: list[Task]


class Span(BaseModel):
    """A span of a run, as it was sent."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    kind: str | int | None
    started_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    duration_seconds: float | None
    status: str | int | None
    attributes: dict[str, Any]
    scope: Any


class Log(BaseModel):
    """A log record of a run."""

    at: AwareDatetime | None
    severity: str | int | None
    event_name: str | None
    body: Any
    attributes: dict[str, Any]
    trace_id: str | None
    span_id: str | None


class FoundSpan(Span):
    """A span of any run."""

    status_message: str | None
    run_id: str | None
    workflow: str | None
    service: str | None
    host: str | None


class FoundLog(Log):
    """A log record of any run."""

    run_id: str | None
    workflow: str | None
    service: str | None
    host: str | None


class Workflow(BaseModel):
    """A repeated process and how it is doing."""

    name: str
    level: Literal["observe", "expect", "retry", "gate", "orchestrate"]
    state: str | None = Field(description="of its last run; null: it has a policy and never ran")
    last_run: Run | None
    next_due_at: AwareDatetime | None = Field(description="the next slot; null: nothing is scheduled")
    verdict: str | None = Field(description="of its last slot: on_time, early, late, missed, skipped, unknown")
    paused: bool
    open_incidents: int
    success_rate_30d: float | None = Field(description="succeeded / (succeeded + failed) of 30 days; null without either")
    tags: list[str]
    outcomes: list[str] = Field(
        description="of its last 30 occurrences, the oldest first: states of runs (`late`: succeeded, but late for its slot), "
        "and `missed`, `unknown`, `skipped` of slots to which no run came"
    )
    usual_seconds: list[float] | None = Field(
        description="[shortest, longest] that was usual before its last run; null: too few runs to tell"
    )


class Query(BaseModel):
    """One SELECT."""

    query: str = Field(examples=["SELECT workflow, count(*) FROM spans GROUP BY workflow"])


class Rows(BaseModel):
    """The rows of a query, as objects."""

    columns: list[str]
    items: list[dict[str, Any]]
    truncated: bool = Field(description="there were more rows than are sent")


class Forward(BaseModel):
    """How a target that telemetry is forwarded to follows the journal."""

    lag_bytes: int
    trouble: str | None
    sent_requests: int = Field(description="since the collector started, as the next two")
    refused_requests: int = Field(description="passed over, because sending them again would not help")
    rejected_items: int = Field(description="of requests that were taken")


class Ready(BaseModel):
    """How far behind the journal the stores are, and what keeps them there."""

    telemetry_lag_bytes: int
    control_lag_bytes: int
    skipped_bytes: int  # of the journal, that could not be read since the stores were opened
    retention: str | None  # why nothing can be forgotten now; the journal is kept until it can
    trouble: str | None
    forward: dict[str, Forward] = Field(description="by target; one that is away does not make the collector unready")


class Health(BaseModel):
    """Somebody is at home."""

    status: Literal["ok"]


class ErrorBody(BaseModel):
    """What failed, and what to do next."""

    code: str
    message: str
    hint: str | None


class Error(BaseModel):
    """Every answer that is not 2xx."""

    error: ErrorBody
