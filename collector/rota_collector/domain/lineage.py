"""OpenLineage run events (version 2 of the specification) → what we keep of them. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from rota_collector.domain.failure import of_message
from rota_collector.errors import Malformed

_STATES = {"START": "running", "RUNNING": "running", "COMPLETE": "succeeded", "FAIL": "failed", "ABORT": "cancelled"}
_OTHER = "OTHER"  # says more of a run, and nothing of its state
_DEFAULT_NAMESPACE = "default"
_LONGEST_NAME = 1000
_FACETS_OF_ROWS = ("outputStatistics", "inputStatistics", "dataQualityMetrics")


class Dataset(NamedTuple):
    """Something that was read or written; None: not told."""

    name: str
    access: str  # "read" or "write"
    rows: int | None
    size: int | None  # bytes


class LineageEvent(NamedTuple):
    """What a run event says. Times are Unix ns."""

    type: str
    at_ns: int
    run_id: uuid.UUID
    workflow: str
    parent_run_id: uuid.UUID | None
    slot_ns: int | None
    error: tuple[str, str, str | None] | None  # type, message, stack
    engine: tuple[str | None, str | None]  # name, version
    producer: str | None
    datasets: tuple[Dataset, ...]

    @property
    def state(self) -> str | None:
        """How the run is; None: that is not said."""
        return _STATES.get(self.type)

    @property
    def is_last(self) -> bool:
        """Whether the run is over."""
        return self.state not in (None, "running")


def event(said: Any) -> LineageEvent | None:
    """A run event; None for one of the other kinds, which are of jobs and datasets only. Raises Malformed."""
    if not isinstance(said, Mapping):
        raise Malformed("an OpenLineage event is a JSON object")
    if "run" not in said:
        return None
    run, job = _map(said, "run"), _map(said, "job")
    facets = _maybe_map(run, "facets")
    kind = said.get("eventType")
    if kind not in _STATES and kind != _OTHER:
        raise Malformed(f"eventType is {kind!r}, and not one of {', '.join(_STATES)}, {_OTHER}", "eventType")
    return LineageEvent(
        type=kind,
        at_ns=_time_ns(said.get("eventTime"), "eventTime"),
        run_id=_uuid(run.get("runId"), "run.runId"),
        workflow=_workflow(job),
        parent_run_id=_parent(_maybe_map(facets, "parent")),
        slot_ns=_nominal(_maybe_map(facets, "nominalTime")),
        error=_error(_maybe_map(facets, "errorMessage")),
        engine=_engine(_maybe_map(facets, "processing_engine")),
        producer=_text(said.get("producer")),
        datasets=(
            *_datasets(said.get("inputs"), "read", "inputFacets"),
            *_datasets(said.get("outputs"), "write", "outputFacets"),
        ),
    )


def _workflow(job: Mapping[str, Any]) -> str:
    """``namespace/name``; the name alone in the namespace that clients take when none is set."""
    name, namespace = _text(job.get("name")), _text(job.get("namespace"))
    if not name:
        raise Malformed(f"job.name is {job.get('name')!r}, and no name", "job.name")
    return name if namespace in (None, _DEFAULT_NAMESPACE) else f"{namespace}/{name}"


def _parent(facet: Mapping[str, Any]) -> uuid.UUID | None:
    told = _maybe_map(facet, "run").get("runId")
    return _uuid(told, "run.facets.parent.run.runId") if told else None


def _nominal(facet: Mapping[str, Any]) -> int | None:
    told = facet.get("nominalStartTime")
    return _time_ns(told, "run.facets.nominalTime.nominalStartTime") if told else None


def _error(facet: Mapping[str, Any]) -> tuple[str, str, str | None] | None:
    message, stack = _text(facet.get("message")), _text(facet.get("stackTrace"))
    return (*of_message(message), stack) if message else None


def _engine(facet: Mapping[str, Any]) -> tuple[str | None, str | None]:
    return _text(facet.get("name")), _text(facet.get("version"))


def _datasets(given: Any, access: str, facets: str) -> Iterator[Dataset]:
    for each in given if isinstance(given, list) else ():
        if isinstance(each, Mapping) and _text(each.get("name")):
            about = {**_maybe_map(each, "facets"), **_maybe_map(each, facets)}
            told = [_maybe_map(about, name) for name in _FACETS_OF_ROWS]
            rows = next((found for each in told if (found := _count(each.get("rowCount"))) is not None), None)
            size = next((n for each in told if (n := _count(each.get("size", each.get("bytes")))) is not None), None)
            yield Dataset(_dataset_name(each), access, rows, size)


def _dataset_name(dataset: Mapping[str, Any]) -> str:
    """As a URL where the namespace is one: ``s3://bucket`` and ``path`` are ``s3://bucket/path``."""
    namespace, name = _text(dataset.get("namespace")) or "", str(dataset["name"])[:_LONGEST_NAME]
    return f"{namespace.rstrip('/')}/{name.lstrip('/')}" if "://" in namespace else name


def _time_ns(told: Any, field: str) -> int:
    try:
        at = datetime.fromisoformat(told)
        elapsed = (at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, TypeError, OverflowError):
        raise Malformed(f"{field} is {told!r}, and no date and time", field) from None
    return (elapsed.days * 86_400 + elapsed.seconds) * 10**9 + elapsed.microseconds * 1000


def _uuid(told: Any, field: str) -> uuid.UUID:
    try:
        return uuid.UUID(told)
    except (ValueError, TypeError, AttributeError):
        raise Malformed(f"{field} is {told!r}, and no UUID", field) from None


def _map(said: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    found = said.get(field)
    if not isinstance(found, Mapping):
        raise Malformed(f"{field} is no object", field)
    return found


def _maybe_map(said: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    found = said.get(field)
    return found if isinstance(found, Mapping) else {}


def _count(value: Any) -> int | None:
    is_count = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 2**63
    return int(value) if is_count else None


def _text(value: Any) -> str | None:
    return value[: _LONGEST_NAME * 32] if isinstance(value, str) and value else None
