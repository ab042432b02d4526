"""An instance's own history, looked at from outside: what is queued, and what its daemon says of runs whose process is not there.

Where a look goes on is a cursor of the run's event log; after a restart a run that is not over is told from its beginning, by the
same ids.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from typing import Any, Iterator, Optional

from rota.foreign import Source
from rota_integrations.dagster.telling import Said, Teller
from rota_integrations.dagster.webserver import Webserver
from rota_integrations.following import Seldom

_UTC = timezone.utc
_BACK = timedelta(days=1)  # how far the first look goes
_OVERLAP = timedelta(minutes=1)  # clocks of those who write the history differ
_BELIEVED_SECONDS = 30.0  # how long schedules that were read are
_MOST_DONE = 1000  # runs of the overlap that are over, and told


class Reading:
    """Looks at an instance.

    Args:
        home: its folder, with ``dagster.yaml``; None for ``DAGSTER_HOME``.
        webserver: knows its schedules.
    """

    def __init__(self, home: Optional[str], webserver: Optional[Webserver] = None) -> None:
        self._home = home
        self.where = os.path.abspath(home or os.environ.get("DAGSTER_HOME") or "")
        if webserver is not None:
            self.schedules = Seldom(webserver.schedules, _BELIEVED_SECONDS)
        self._instance: Any = None
        self._teller = Teller(Source("dagster"), host=None)
        self._cursors: dict[str, Optional[str]] = {}  # of runs that are not over

    def look(self, memory: dict[str, Any]) -> None:
        """Tell what is new. Raises what Dagster does: there is no such folder, or no database."""
        now = datetime.now(_UTC)
        since = memory.get("since")
        known = [*self._cursors, *(each for each in memory.get("open", ()) if each not in self._cursors)]
        done: list[str] = memory.get("done", [])
        latest = datetime.fromisoformat(since) if since else now - _BACK + _OVERLAP
        found = {record.dagster_run.run_id: record for record in self._records(latest - _OVERLAP, known)}
        for run_id, record in found.items():
            if run_id not in done:
                self._follow(record.dagster_run)
                if record.dagster_run.is_finished:
                    self._cursors.pop(run_id)
                    done.append(run_id)
            latest = max(latest, _aware(record.update_timestamp))
        memory.update(since=latest.isoformat(), open=list(self._cursors), done=done[-_MOST_DONE:])

    def _records(self, since: datetime, known: list[str]) -> Iterator[Any]:
        from dagster import DagsterInstance, RunsFilter

        if self._instance is None:
            self._instance = DagsterInstance.from_config(self._home) if self._home else DagsterInstance.get()
        yield from self._instance.get_run_records(RunsFilter(updated_after=since), ascending=True)
        if known:
            yield from self._instance.get_run_records(RunsFilter(run_ids=known))

    def _follow(self, run: Any) -> None:
        """The rest of its event log."""
        cursor, has_more = self._cursors.get(run.run_id), True
        while has_more:
            page = self._instance.get_records_for_run(run.run_id, cursor=cursor)
            for record in page.records:
                self._teller.take(_said(record.event_log_entry, run))
            cursor, has_more = page.cursor, page.has_more
        self._cursors[run.run_id] = cursor


def _said(entry: Any, run: Any) -> Said:
    return Said(
        run_id=run.run_id, job=run.job_name, tags=run.tags, at_ns=int(entry.timestamp * 1e9), event=entry.dagster_event,
        step=entry.step_key, message=entry.user_message or "",
    )  # fmt: skip


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=_UTC)
