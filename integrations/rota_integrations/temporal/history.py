"""What the history of a workflow of Temporal's says: its activities, and why it failed."""

from __future__ import annotations

from typing import Any, Iterator, NamedTuple

from rota.wire import names

_ENDS = {
    "activity_task_completed_event_attributes": "COMPLETED",
    "activity_task_failed_event_attributes": "FAILED",
    "activity_task_timed_out_event_attributes": "TIMED_OUT",
    "activity_task_canceled_event_attributes": "CANCELED",
}
_CLOSES = tuple(
    "workflow_execution_%s_event_attributes" % word
    for word in ("completed", "failed", "timed_out", "canceled", "terminated", "continued_as_new")
)
_SCHEDULED_BY, _SCHEDULED_FOR = "TemporalScheduledById", "TemporalScheduledStartTime"


class Activity(NamedTuple):
    """The end of an attempt of an activity, and the event that tells it. Times are Unix ns; without an error, it has none."""

    event: int
    name: str
    identity: str
    attempt: int
    word: str
    started_ns: int | None
    ended_ns: int
    error: dict[str, str]


def activities(events: Any) -> Iterator[Activity]:
    """The attempts that a history knows: of each activity the last one, and the failure of the one before."""
    scheduled: dict[int, Any] = {}
    started: dict[int, tuple[Any, int | None]] = {}
    for event in events:
        kind = event.WhichOneof("attributes") or ""
        told: Any = getattr(event, kind, None)
        at_ns = event.event_time.ToNanoseconds()
        if kind == "activity_task_scheduled_event_attributes":
            scheduled[event.event_id] = told
        elif kind == "activity_task_started_event_attributes":
            started[told.scheduled_event_id] = told, at_ns
        elif kind in _ENDS and told.scheduled_event_id in scheduled:
            what = scheduled.pop(told.scheduled_event_id)
            begun, began_ns = started.get(told.scheduled_event_id, (None, None))
            for each in _ended(what, begun, began_ns, told, _ENDS[kind], at_ns):
                yield each._replace(event=event.event_id)
        elif kind in _CLOSES:
            for what in scheduled.values():
                yield Activity(event.event_id, what.activity_type.name, what.activity_id, 1, "ABANDONED", None, at_ns, {})


def _ended(what: Any, begun: Any, began_ns: int | None, told: Any, word: str, at_ns: int) -> Iterator[Activity]:
    name, identity, attempt = what.activity_type.name, what.activity_id, max(1, begun.attempt if begun else 1)
    if attempt > 1 and begun.HasField("last_failure"):  # when it failed is not kept
        yield Activity(0, name, identity, attempt - 1, "FAILED", None, began_ns or at_ns, error_of(begun.last_failure))
    error = error_of(told.failure) if word in ("FAILED", "TIMED_OUT") else {}
    yield Activity(0, name, identity, attempt, word, began_ns, at_ns, error)


def error_of(failure: Any) -> dict[str, str]:
    """The attributes of a failure: those of the cause at its bottom, as what is above only says that something failed."""
    while failure.HasField("cause"):
        failure = failure.cause
    info = failure.WhichOneof("failure_info") or ""
    kind = failure.application_failure_info.type if info == "application_failure_info" else ""
    kind = kind or "".join(word.title() for word in info.replace("_info", "").split("_")) or "Failure"
    told = {names.ERROR_TYPE: kind, names.EXCEPTION_TYPE: kind, names.EXCEPTION_MESSAGE: failure.message}
    return {**told, **({names.EXCEPTION_STACK: failure.stack_trace} if failure.stack_trace else {})}


def last_error(events: Any) -> dict[str, str]:
    """Why a workflow failed; empty where it did not."""
    for event in reversed(events):
        if event.WhichOneof("attributes") == "workflow_execution_failed_event_attributes":
            return error_of(event.workflow_execution_failed_event_attributes.failure)
    return {}


def continued_as(events: Any) -> str | None:
    """The id of the run that goes on where this one ended: as new, by cron, or as another try."""
    for event in reversed(events):
        told: Any = getattr(event, str(event.WhichOneof("attributes")), None)
        run_id = getattr(told, "new_execution_run_id", None)
        if run_id:
            return str(run_id)
    return None


def scheduled_by(what: Any) -> str | None:
    """The id of the schedule that began an execution."""
    by = _attribute(what, _SCHEDULED_BY)
    return str(by) if by else None


def slot_ns(what: Any, begun: Any) -> int | None:
    """The time that an execution is for, Unix ns: as its schedule says, or its cron; None: it has none.

    Args:
        what: Temporal's description of it.
        begun: attributes of its first event.
    """
    moment = _attribute(what, _SCHEDULED_FOR) or (what.execution_time if begun.cron_schedule else None)
    return None if moment is None else round(moment.timestamp()) * 10**9


def _attribute(what: Any, name: str) -> Any:
    return next((pair.value for pair in what.typed_search_attributes if pair.key.name == name), None)
