"""What requests have in common: pages, times, and who asks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import Query
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from rota_collector.api.envelope import ApiError
from rota_collector.decode.scalars import LAST_NS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_JSON, _ARROW = 1000, "application/vnd.apache.arrow.stream"
LONGEST_SECONDS = 10 * 365 * 86_400.0


def _written(value: Any) -> Any:
    """Pydantic takes a number for a time too, also as text, and guesses whether it counts seconds or milliseconds."""
    if isinstance(value, int | float) or (isinstance(value, str) and ":" not in value):
        raise PydanticCustomError("time", "{value} is no time. Example: 2026-01-31T02:00:00Z", {"value": repr(value)[:100]})
    return value


Time = Annotated[AwareDatetime, BeforeValidator(_written)]  # of every request
Limit = Annotated[int, Query(ge=1, le=1000, description="items a page")]
Most = Annotated[
    int | None,
    Query(ge=1, le=100_000, description="items a page: of JSON 100 unless it is said, 1,000 at most; of Arrow 100,000"),
]
Workflows = Annotated[str | None, Query(description="a name, or a pattern: `*` is any text, `?` any character")]
Text = Annotated[str | None, Query(alias="q", max_length=200, description="in the body or the attributes, whatever its case")]
Severity = Annotated[int, Query(ge=0, le=24, description="this one or a worse, as OTLP numbers them: 9 info, 13 warn, 17 error")]
Untold = Annotated[bool, Query(description="without the records that tell of states, verdicts and incidents")]
Cursor = Annotated[str | None, Query(description="`next` of the page before")]


class Acting(BaseModel):
    """Who asks for a change; a key that is not known is an error."""

    model_config = ConfigDict(extra="forbid")

    by: Annotated[
        str | None, Field(min_length=1, max_length=200, description="who does it, for the record; null: the name of the key")
    ] = None


class Lasting(Acting):
    """A change that ends: at a time, or after so many seconds."""

    until: Time | None = None
    seconds: Annotated[float | None, Field(gt=0, le=LONGEST_SECONDS, strict=True)] = None

    def until_ns(self, from_ns: int) -> int | None:
        """When it ends (Unix ns); None: that was not said. Raises ApiError when it was said twice, or is before ``from_ns``."""
        if self.until is not None and self.seconds is not None:
            raise ApiError(422, "invalid", "both until and seconds are given", "send one of them")
        end_ns = ns(self.until) if self.seconds is None else within_bits(from_ns + round(self.seconds * 1e9))
        if end_ns is not None and end_ns <= from_ns:
            raise ApiError(422, "invalid", f"until={self.until} is over already", "send a time that is still to come, or seconds")
        return end_ns


def name_or_pattern(workflow: str | None) -> tuple[str | None, str | None]:
    """What ``Workflows`` means: (a name, None), or (None, a pattern)."""
    return (None, workflow) if workflow and ("*" in workflow or "?" in workflow) else (workflow or None, None)


def of_json(limit: int | None) -> int:
    """The size of a page of JSON. Raises ApiError when more was asked for than one holds."""
    if limit is not None and limit > _MOST_JSON:
        raise ApiError(422, "invalid", f"limit={limit} is more than a page of JSON holds: {_MOST_JSON}", f"send Accept: {_ARROW}")
    return limit or 100


def ns(at: datetime | None) -> int | None:
    """A time as Unix ns; one that 64 bits do not hold (before 1678, after 2262) as the last that they do."""
    return None if at is None else within_bits((at - _EPOCH) // timedelta(microseconds=1) * 1000)


def within_bits(at_ns: int) -> int:
    """The nearest time (Unix ns) that can be stored and compared."""
    return max(-LAST_NS, min(at_ns, LAST_NS))


def taking(*media_types: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The part of the OpenAPI document that says what a body read as it is may be."""
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema} for media_type in media_types}}}
