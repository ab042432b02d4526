"""DBOS: nothing in its programs; its system database is looked at from outside, and each workflow is a run, with its steps.

    rota observe dbos --database postgresql://reader@db/app_dbos_sys

Seen: workflows as they wait, run and end, their steps as they are done, with what they raised; children as runs of their own;
schedules. What DBOS does not keep is not seen: tries of a step before the last, steps that were never begun. A workflow whose
process died is running, as DBOS says, until another process takes it up again: then it goes on as the same run.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from datetime import datetime
from typing import Any

from rota.foreign import Source
from rota.rules.durations import seconds
from rota.rules.fold import TERMINAL
from rota.wire import names
from rota_integrations.dbos.errors import error_of
from rota_integrations.dbos.tables import Tables
from rota_integrations.needs import needed
from rota_integrations.states import table_of

_MS, _OVERLAP_MS = 10**6, 60_000  # rows of several hosts do not come in the order of their clocks
_SCHEDULED = re.compile(r"sched-(.+)-(\d{4}-\d\d-\d\dT.+)")  # the id of a workflow that a schedule began; the time that it is for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which database, and how far back."""
    where = os.environ.get("DBOS_SYSTEM_DATABASE_URL")
    parser.add_argument("--database", metavar="URL", default=where, help="DBOS's system database (DBOS_SYSTEM_DATABASE_URL)")
    parser.add_argument("--schema", default="dbos", help="of its tables in PostgreSQL (dbos)")
    parser.add_argument("--since", type=seconds, default="24h", metavar="DURATION", help="at the first look, how far back (24h)")


def follower(options: argparse.Namespace) -> Follower:
    """Who looks. Raises ImportError without DBOS, UsageError without a database."""
    needed("dbos", "dbos", "2.0")
    if not options.database:
        from rota.errors import UsageError

        raise UsageError("no database: name it by --database, or DBOS_SYSTEM_DATABASE_URL. Example: sqlite:///app.sqlite")
    return Follower(Tables(options.database, options.schema), options.since)


class Follower:
    """Looks at one database.

    Args:
        tables: its tables.
        since_seconds: how far back at the first look.
    """

    def __init__(self, tables: Tables, since_seconds: float) -> None:
        self._tables, self._since_seconds = tables, since_seconds
        self._source, self._states = Source("dbos"), table_of("dbos")

    def look(self, memory: dict[str, Any]) -> None:
        """Tell what is new. The memory holds since when workflows are new, and status, last step and time of those known."""
        since_ms = memory.setdefault("since_ms", int((time.time() - self._since_seconds) * 1000))
        known: dict[str, list[Any]] = memory.setdefault("known", {})
        schedules = {each["schedule_name"]: each for each in self._tables.schedules()}
        newest_ms = since_ms
        for workflow in self._tables.workflows(since_ms, list(known)):
            identity, status, made_ms = workflow["workflow_uuid"], workflow["status"], workflow["created_at"]
            before, last, _ = known.get(identity, ["", -1, 0])
            if status != before or not self._is_over(status):
                last = self._tell_steps(workflow, last)
            if status != before:
                self._tell(workflow, not before, schedules)
            known[identity], newest_ms = [status, last, made_ms], max(newest_ms, made_ms - _OVERLAP_MS)
        memory["since_ms"] = newest_ms
        memory["known"] = {each: kept for each, kept in known.items() if kept[2] >= newest_ms or not self._is_over(kept[0])}

    def _is_over(self, status: str) -> bool:
        return self._states.of_run(status).name in TERMINAL

    def _tell(self, workflow: dict[str, Any], is_new: bool, schedules: dict[str, Any]) -> None:
        """The state of a workflow, and those before it that no look was in time for."""
        made_ms, began_ms = workflow["created_at"], _began_ms(workflow)
        status, told = workflow["status"], schedule_of(workflow, schedules)
        if status == "DELAYED" or (workflow["queue_name"] and is_new):
            self._tell_state(workflow, "DELAYED" if status == "DELAYED" else "ENQUEUED", made_ms, None, told)
        if began_ms is not None and status not in ("DELAYED", "ENQUEUED"):
            self._tell_state(workflow, "PENDING", began_ms, began_ms, told)
        if status not in ("DELAYED", "ENQUEUED", "PENDING"):
            at_ms = workflow["completed_at"] or workflow["updated_at"]
            self._tell_state(workflow, status, at_ms, began_ms, told, error_of(self._tables.error_of(workflow)))

    def _tell_state(
        self, workflow: dict[str, Any], status: str, at_ms: int, began_ms: int | None, told: dict[str, Any],
        error: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        state, parent = self._states.of_run(status), workflow["parent_workflow_id"]
        facts = {"dbos.executor_id": workflow["executor_id"], "dbos.queue.name": workflow["queue_name"]}
        self._source.run(
            workflow["name"], (workflow["workflow_uuid"],), state.name, int(at_ms) * _MS, raw_state=state.raw,
            reason=state.reason, started_ns=int(began_ms) * _MS if began_ms else None, parent=(parent,) if parent else (),
            error=error, facts=facts, **told,
        )  # fmt: skip

    def _tell_steps(self, workflow: dict[str, Any], last: int) -> int:
        """The steps after that one; returns the number of the last one now."""
        for step in self._tables.steps(workflow["workflow_uuid"], last):
            last = step["function_id"]
            state = self._states.of_task("ERROR" if step["error"] else "SUCCESS")
            ended_ms = step["completed_at_epoch_ms"] or workflow["updated_at"]
            began_ms = step["started_at_epoch_ms"]
            self._source.task(
                workflow["name"], (workflow["workflow_uuid"],), step["function_name"], state.name, int(ended_ms) * _MS,
                instance=str(last), raw_state=state.raw, started_ns=int(began_ms) * _MS if began_ms else None,
                error=error_of(step["error"]) if step["error"] else None, facts={"instance": str(last), "dbos.step": last},
            )  # fmt: skip
        return last


def schedule_of(workflow: dict[str, Any], schedules: dict[str, Any]) -> dict[str, Any]:
    """``slot_ns`` and ``declared`` of a workflow that a schedule began: its id says which, and for when.

    Args:
        workflow: its row.
        schedules: rows by name.
    """
    found = _SCHEDULED.fullmatch(workflow["workflow_uuid"])
    if found is None:
        return {}
    by_hand = found[1].endswith("-trigger")  # a person, at once
    schedule = schedules.get(found[1][: -len("-trigger")] if by_hand else found[1]) or {}
    spec: str = schedule.get("schedule", "")
    told: dict[str, Any] = {}
    if len(spec.split()) == 5:  # with seconds it is none of ours
        told["declared"] = {names.SCHEDULE_SPEC: spec, names.SCHEDULE_TZ: schedule.get("cron_timezone") or "UTC"}
    if not by_hand:
        told["slot_ns"] = round(datetime.fromisoformat(found[2]).timestamp()) * 10**9
    return told


def _began_ms(workflow: dict[str, Any]) -> int | None:
    """When it began: as it was taken from its queue, or at once where it had none; None: it did not."""
    return workflow["started_at_epoch_ms"] or (None if workflow["queue_name"] else workflow["created_at"])
