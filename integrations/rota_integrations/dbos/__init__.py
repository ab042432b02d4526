"""DBOS, from outside: ``rota observe dbos`` looks at its system database. Nothing in the application is touched.

Seen: each workflow is a run, with its parent, recoveries as attempts, and a schedule's slot; its steps are tasks, when they are
over, with their errors. A step is in the database once, whatever happened before it came to an end: retries are not seen.

Inputs and outputs are not read. Tested with DBOS 3.4 on SQLite and PostgreSQL, and with 3.0.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any, Iterable, Mapping

from rota.foreign import Source
from rota_integrations.dbos.database import Database, address
from rota_integrations.dbos.telling import Known, Teller, declared, known
from rota_integrations.following import add_since

_RESUMABLE = ("CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
_MOST_ENDED = 1000  # that may be resumed are remembered
_OVERLAP_MS = 60_000  # what ended so long before the newest end may only now be in the database


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where, and how far back."""
    url = os.environ.get("DBOS_SYSTEM_DATABASE_URL")
    say = parser.add_argument
    about = "the system database (DBOS_SYSTEM_DATABASE_URL)"
    say("--database", metavar="URL", type=address, default=url, required=not url, help=about)
    say("--schema", default="dbos", help="of its tables, on PostgreSQL (dbos)")
    add_since(parser)
    say("--within", metavar="NAME", default="", help="tells ids that are no UUIDs from those of another database")


def follower(options: argparse.Namespace) -> Follower:
    """Looks at the database that these options name."""
    return Follower(Database(options.database, options.schema), Teller(Source("dbos"), options.within), options.since)


class Follower:
    """Looks at workflows and their steps. What is open it reads, and tells, again after a restart.

    Args:
        database: of DBOS.
        teller: tells.
        since_seconds: how far back the first look goes; workflows that are open are seen however old they are.
    """

    def __init__(self, database: Database, teller: Teller, since_seconds: float) -> None:
        self.where = database.where
        self._database, self._teller, self._since_seconds = database, teller, since_seconds
        self._told: dict[str, tuple[str, Known]] = {}  # how each was at the last look
        self._steps: dict[str, dict[int, int]] = {}  # told of each of them, and when they ended
        self._newest_step_ms = 0
        self._schedules: list[Mapping[str, Any]] = []

    def look(self, memory: dict[str, Any]) -> None:
        """Tell what is new.

        Args:
            memory: when the ``newest`` end was (Unix time, ms), and what is ``known`` of workflows that are open or may be
                resumed.

        Raises:
            RuntimeError: the database is of a DBOS that is too old.
            OSError: it cannot be read.
        """
        newest_ms = memory.get("newest") or int((time.time() - self._since_seconds) * 1000)
        before = {run_id: Known(*each) for run_id, each in memory.get("known", {}).items()}
        with self._database as database:
            if not self._told:
                database.check()
            found = {row["workflow_uuid"]: row for row in database.runs(newest_ms - _OVERLAP_MS)}
            missing = {run_id for run_id, each in before.items() if each.ended_ms is None} - set(found)
            found.update((row["workflow_uuid"], row) for row in database.runs_of(missing))
            self._schedules, steps = database.schedules(), self._new_steps(database, found)
        now = {run_id: known(row, before.get(run_id)) for run_id, row in found.items()}
        self._tell(found, now, steps)
        for run_id in missing - set(found):
            self._teller.gone(run_id, before.pop(run_id))
        memory["newest"] = max([newest_ms, *(each.ended_ms for each in now.values() if each.ended_ms)])
        memory["known"] = _to_remember(before, now, found)

    def _new_steps(self, database: Database, found: Iterable[str]) -> dict[str, list[Mapping[str, Any]]]:
        known = {each for each in found if each in self._steps}
        self._steps = {each: self._steps.get(each, {}) for each in found}
        rows = [*database.steps(known, self._newest_step_ms - _OVERLAP_MS), *database.steps(set(found) - known, 0)]
        new: dict[str, list[Mapping[str, Any]]] = {}
        for row in rows:
            if row["function_id"] not in self._steps[row["workflow_uuid"]]:
                new.setdefault(row["workflow_uuid"], []).append(row)
        return new

    def schedules(self) -> dict[str, dict[str, str]]:
        """Those that are active, by workflow."""
        return {name: declared(name, self._schedules) for name in {row["workflow_name"] for row in self._schedules}}

    def _tell(
        self, found: Mapping[str, Any], now: Mapping[str, Known], steps: Mapping[str, list[Mapping[str, Any]]]
    ) -> None:  # fmt: skip
        told = {run_id: (row["status"], now[run_id]) for run_id, row in found.items()}
        for run_id, row in found.items():
            for step in steps.get(run_id, ()):
                self._teller.step(row, step)
                ended_ms = self._steps[run_id][step["function_id"]] = step["completed_at_epoch_ms"] or 0
                self._newest_step_ms = max(self._newest_step_ms, ended_ms)
            if self._told.get(run_id) != told[run_id]:
                self._teller.run(row, now[run_id], self._schedules, max(self._steps[run_id].values(), default=0))
        self._told = told


def _to_remember(before: Mapping[str, Known], now: Mapping[str, Known], found: Mapping[str, Any]) -> dict[str, Known]:
    """Those that are open, and the last of those that may be resumed, or were."""
    ended = {run_id: each for run_id, each in before.items() if run_id not in now}
    ended.update(
        (run_id, each) for run_id, each in now.items() if each.ended_ms and (each.before or found[run_id]["status"] in _RESUMABLE)
    )
    newest = sorted(ended, key=lambda run_id: ended[run_id].ended_ms or 0)[-_MOST_ENDED:]
    still_open = {run_id: each for run_id, each in now.items() if not each.ended_ms}
    return {**still_open, **{run_id: ended[run_id] for run_id in newest}}
