"""Rows of DBOS's tables as states of runs and tasks."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any, Iterable, Mapping, NamedTuple
from uuid import UUID

from rota.foreign import Source
from rota.wire import names
from rota_integrations.dbos import thrown
from rota_integrations.states import State, table_of

_FACTS = ("queue_name", "executor_id", "application_version", "class_name", "forked_from", "schedule_name")
_MS = 10**6  # in ns


class Known(NamedTuple):
    """What is remembered of a workflow: DBOS forgets when one that is cancelled began, and counts anew one that is resumed."""

    name: str
    began_ms: int | None  # of the present attempt
    attempt: int
    before: int  # attempts until it was resumed
    ended_ms: int | None


class Teller:
    """Tells of one database.

    Args:
        source: tells.
        within: a name for it, where ids that are no UUIDs may be another database's too.
    """

    def __init__(self, source: Source, within: str = "") -> None:
        self._source, self._within, self._states = source, within, table_of("dbos")

    def run(self, row: Mapping[str, Any], known: Known, schedules: Iterable[Mapping[str, Any]], last_step_ms: int = 0) -> None:
        """How a workflow is; at its end, that it began too.

        Args:
            row: of ``workflow_status``.
            known: of it.
            schedules: those that are active.
            last_step_ms: when its last step ended: DBOS's own times are whole seconds on SQLite, so that a workflow seems to be
                over before that.
        """
        if known.ended_ms is None:
            self._tell(row, known, self._states.of_run(row["status"]), _since_ms(row, known), schedules)
            return
        if known.began_ms is not None:
            begun = {**row, "status": "PENDING", "error": None}
            self._tell(begun, known, self._states.of_run("PENDING"), known.began_ms, schedules)
        is_cut = row["status"] == "CANCELLED"  # a step goes on to its end
        self._tell(row, known, self._end_of(row), known.ended_ms if is_cut else max(known.ended_ms, last_step_ms), schedules)

    def step(self, row: Mapping[str, Any], step: Mapping[str, Any]) -> None:
        """A step that is over. It belongs to the run, whichever attempt did it: another one does not do it again."""
        word = "error" if step["error"] else "done"
        state, ended_ms, began_ms = self._states.of_task(word), step["completed_at_epoch_ms"], step["started_at_epoch_ms"]
        child, number = step["child_workflow_id"], str(step["function_id"])
        facts = {"dbos.function_id": number, "instance": number, "dbos.child_workflow_id": child}
        self._source.task(
            _name(row), self._key(row["workflow_uuid"]), step["function_name"], state.name,
            (ended_ms or began_ms or row["updated_at"]) * _MS, instance=number, raw_state=word, reason=state.reason,
            started_ns=_ns(began_ms),
            error=thrown.error(step["error"], step["serialization"]) if step["error"] else None, facts=facts,
        )  # fmt: skip

    def gone(self, run_id: str, known: Known) -> None:
        """It was open, and is in the database no more: somebody deleted it."""
        self._source.run(
            known.name, self._key(run_id), "ended", time.time_ns(), reason="gone from DBOS's database", attempt=known.attempt,
            started_ns=_ns(known.began_ms),
        )  # fmt: skip

    def _tell(
        self, row: Mapping[str, Any], known: Known, state: State, at_ms: int, schedules: Iterable[Mapping[str, Any]]
    ) -> None:
        run_id, parent = row["workflow_uuid"], row["parent_workflow_id"]
        self._source.run(
            known.name, self._key(run_id), state.name, at_ms * _MS, raw_state=row["status"], reason=state.reason,
            attempt=known.attempt, started_ns=_ns(known.began_ms), slot_ns=slot_ns(run_id, row["schedule_name"]),
            parent=self._key(parent) if parent else (),
            error=thrown.error(row["error"], row["serialization"]) if row["error"] else None,
            facts={"dbos." + name: row[name] for name in _FACTS}, declared=declared(known.name, schedules),
        )  # fmt: skip

    def _end_of(self, row: Mapping[str, Any]) -> State:
        deadline_ms = row["workflow_deadline_epoch_ms"]
        is_late = row["status"] == "CANCELLED" and deadline_ms and row["completed_at"] >= deadline_ms
        return self._states.of_run("CANCELLED at its deadline" if is_late else row["status"], is_over=True)

    def _key(self, run_id: str) -> tuple[str, ...]:
        """As the spans that DBOS sends itself name it, which have the id only."""
        return (run_id,) if not self._within or _is_uuid(run_id) else (self._within, run_id)


def declared(workflow: str, schedules: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The schedule of a workflow, where it has one that can be said in words of ours: cron's five fields.

    Args:
        workflow: its name.
        schedules: rows of ``workflow_schedules``. DBOS's cron may begin with seconds; they are left out where they are 0.
    """
    own = [each for each in schedules if each["workflow_name"] == workflow]
    if len(own) != 1:
        return {}
    fields = own[0]["schedule"].split()
    if len(fields) == 6 and fields[0] == "0":
        del fields[0]
    return (
        {names.SCHEDULE_SPEC: " ".join(fields), names.SCHEDULE_TZ: own[0]["cron_timezone"] or "UTC"} if len(fields) == 5 else {}
    )


def slot_ns(run_id: str, schedule: str | None) -> int | None:
    """The time that a schedule's run is for, which DBOS has in its id: ``sched-<schedule>-<ISO 8601>``."""
    prefix = "sched-%s-" % schedule
    if not schedule or not run_id.startswith(prefix):
        return None
    try:
        return int(datetime.fromisoformat(run_id[len(prefix) :]).timestamp()) * 10**9
    except ValueError:  # one that a person triggered
        return None


def known(row: Mapping[str, Any], was: Known | None) -> Known:
    """What to remember of a workflow.

    Args:
        row: of ``workflow_status``.
        was: what was remembered.
    """
    began_ms, attempt = _began_ms(row), _attempt(row)
    if was is None:
        return Known(_name(row), began_ms, attempt, 0, row["completed_at"])
    is_resumed = was.ended_ms is not None and row["completed_at"] != was.ended_ms
    before = was.attempt if is_resumed else was.before
    attempt += before
    if not is_resumed and attempt == was.attempt:
        began_ms = was.began_ms or began_ms
    if not is_resumed and attempt < was.attempt:  # cancelled while it waited for another attempt, which DBOS does not count
        attempt, began_ms = was.attempt, was.began_ms
    return Known(_name(row), began_ms, attempt, before, row["completed_at"])


def _began_ms(row: Mapping[str, Any]) -> int | None:
    """When it was taken from its queue, or created, which begins what is in no queue; None where it has not begun."""
    if row["status"] in ("ENQUEUED", "DELAYED") or not row["recovery_attempts"]:
        return None
    return row["started_at_epoch_ms"] or row["created_at"]  # type: ignore[no-any-return]


def _attempt(row: Mapping[str, Any]) -> int:
    """Each time that DBOS begins it is one; one that waits to be begun again is the next."""
    waits = row["status"] in ("ENQUEUED", "DELAYED")
    return max(1, (row["recovery_attempts"] or 0) + waits)


def _since_ms(row: Mapping[str, Any], known: Known) -> int:
    """Since when an open one is as it is; one that was recovered waits since then."""
    if known.began_ms is not None:
        return known.began_ms
    return int(row["updated_at"] if known.attempt > 1 else row["created_at"])


def _ns(at_ms: int | None) -> int | None:
    return None if at_ms is None else at_ms * _MS


def _name(row: Mapping[str, Any]) -> str:
    return row["name"] or "dbos"


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
