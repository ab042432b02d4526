"""Requests → run events, for whoever folds runs. Read record by record: few of all records are run events.

They are log records, and what ``foreign`` finds in the spans of other systems.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from rota.rules.declared import Declared
from rota.rules.fold import RunEvent
from rota.wire import names
from rota_collector.decode.foreign import may_hold_runs, runs_of_spans
from rota_collector.decode.scalars import LAST_NS, uuid_of
from rota_collector.decode.told import Attributes, Told, integer, may_hold, named, text, texts
from rota_collector.journal import Record

_NAME = names.RUN_STATE_EVENT.encode()
_DECLARED = (
    names.SCHEDULE_SPEC,
    names.SCHEDULE_TZ,
    names.SCHEDULE_GRACE,
    names.MAX_DURATION,
    names.NAME_SOURCE,
)  # as in Declared


def run_events(records: Sequence[Record]) -> list[RunEvent]:
    """The run events among the records, in order of arrival. Event ids and run ids are canonical where they are UUIDs.

    An event id that is no UUID becomes one made from it; a missing one is made from what the event says, so that the
    same event sent again has the same id. A record without a run id or state is no run event.
    """
    return [event for record in records for event in _run_events(record)]


class RunEventsForTwo:
    """``run_events`` for two readers of one journal, in any threads: what the first one decodes is kept for the second.

    Each reads every record once, in order, and they are seldom far apart. No more than ``most`` events are kept.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most, self._turn = most, threading.Lock()
        self._kept: dict[int, list[RunEvent]] = {}  # by the record's offset
        self._size = 0

    def __call__(self, records: Sequence[Record]) -> list[RunEvent]:
        """As ``run_events``."""
        found = [(record, self._taken(record.offset)) for record in records]
        return [event for record, events in found for event in events or self._decoded(record, records[0].offset)]

    def _taken(self, offset: int) -> list[RunEvent]:
        with self._turn:
            events = self._kept.pop(offset, [])
            self._size -= len(events)
        return events

    def _decoded(self, record: Record, reading_from: int) -> list[RunEvent]:
        events = list(_run_events(record))
        if events:
            with self._turn:
                if self._size + len(events) > self._most:  # first goes what the other one left out, or will need last of all
                    self._kept = {offset: kept for offset, kept in self._kept.items() if offset >= reading_from}
                    self._size = sum(map(len, self._kept.values()))
                if self._size + len(events) <= self._most and record.offset not in self._kept:
                    self._kept[record.offset] = events
                    self._size += len(events)
        return events


def _run_events(record: Record) -> Iterable[RunEvent]:
    if may_hold(record, _NAME):
        return [event for told in named(record, names.RUN_STATE_EVENT) if (event := _event(told)) is not None]
    return runs_of_spans(record) if may_hold_runs(record) else ()


def _event(told: Told) -> RunEvent | None:
    own, above, at_ns, trace_id, span_id = told
    run_id = text(own, names.RUN_ID) or text(above, names.RUN_ID) or trace_id
    state = text(own, names.STATE)
    if not run_id or not state:
        return None
    attempt = max(1, min(integer(own, names.ATTEMPT, 999_999) or 1, 999_999))
    source = text(own, names.SOURCE) or "sdk"
    told_id = text(own, names.EVENT_ID) or f"{run_id}|{attempt}|{state}|{at_ns}|{source}"
    parent = text(own, names.PARENT_RUN_ID)
    return RunEvent(
        event_id=str(uuid_of(told_id)),
        run_id=_canonical(run_id),
        workflow=text(own, names.WORKFLOW) or text(above, names.WORKFLOW) or text(above, names.SERVICE_NAME) or "unknown",
        state=state,
        at_ns=at_ns,
        attempt=attempt,
        source=source,
        reason=text(own, names.REASON),
        raw_state=text(own, names.RAW_STATE),
        started_ns=integer(own, names.RUN_STARTED, LAST_NS),
        slot_ns=integer(own, names.SLOT, LAST_NS),
        exit_code=integer(own, names.PROCESS_EXIT_CODE, 2**31 - 1),
        error_type=text(own, names.ERROR_TYPE) or text(own, names.EXCEPTION_TYPE),
        error_message=text(own, names.EXCEPTION_MESSAGE),
        error_stack=text(own, names.EXCEPTION_STACK),
        host=text(own, names.HOST_NAME) or _host_of_who_tells(own, above),
        trace_id=trace_id,
        span_id=span_id,
        parent_run_id=_canonical(parent) if parent else None,
        tags=texts(own, names.TAGS),
        declared=declared(own),
    )


def _host_of_who_tells(own: Attributes, above: Attributes) -> str | None:
    """Where the run is, too, unless somebody only looked at it from there."""
    return None if text(own, names.RUN_SCOPE) == "foreign" else text(above, names.HOST_NAME)


def declared(own: Attributes) -> Declared | None:
    """What the code says about its workflow; only the event that begins a run says anything. None: nothing."""
    said = Declared(*(text(own, name) for name in _DECLARED))
    return said if any(said) else None


def _canonical(run_id: str) -> str:
    """A UUID in its usual spelling, also when it came as 32 hex digits; any other id as it is."""
    if len(run_id) not in (32, 36):
        return run_id
    identity = uuid_of(run_id)
    return str(identity) if identity.hex == run_id.replace("-", "").lower() else run_id
