"""The shapes of what a run left. As ``models``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, Field

from rota_collector.api.models import Span


class SpanDetail(Span):
    """A span with what is too long for lists."""

    status_message: str | None
    events: list[dict[str, Any]] = Field(description="as OTLP has them, exceptions among them")


class Work(BaseModel):
    """The tasks of one name in a run."""

    name: str
    count: int
    failed: int
    duration_seconds: float | None = Field(description="of all of them together")
    started_at: AwareDatetime = Field(description="of the first")
    facts: dict[str, float] = Field(description="the numbers that they recorded, added up")


class Attributes(BaseModel):
    """What is known of a run beside its state."""

    attributes: dict[str, Any] = Field(description="the last word on each name; names without dots are facts that it recorded")


class Told(BaseModel):
    """Something that was told or decided about a run."""

    at: AwareDatetime
    kind: Literal["run", "slot", "incident", "decision"]
    word: str | None = Field(description="the state, the verdict, what happened to the incident, or what gates said")
    said_by: str | None = Field(description="sdk, exec, agent, ping, person, collector, …, or a person's name")
    reason: str | None
    attempt: int | None
    detail: str | None = Field(
        description="the foreign state, the time of the slot, what the incident is about, or the task or gate of a decision"
    )


class Series(BaseModel):
    """Measured values in order of their time."""

    name: str
    unit: str | None
    attributes: dict[str, Any]
    points: list[tuple[int, float]] = Field(description="[Unix ns, value]; each the mean of its stretch of time")
