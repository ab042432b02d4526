"""How Airflow schedules its DAGs, as its database says: also those that never ran, and those that somebody pauses."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any, Mapping

from sqlalchemy import select

from rota.foreign import Source
from rota.wire import names
from rota_integrations.scheduled import Scheduled

_EVERY_SECONDS = 60.0
_MOST_READ = 50  # DAGs whose timetables are read at one look, as the scheduler waits for it; the others at the next


class Schedules:
    """Looks now and then, in a session of the scheduler's.

    Args:
        source: tells.
    """

    def __init__(self, source: Source) -> None:
        self._scheduled = Scheduled(source)
        self._looked_at = float("-inf")
        self._known: dict[str, tuple[str, dict[str, str]]] = {}  # by DAG: its timetable in short, and what it declares
        self._idle: frozenset[str] = frozenset()

    def is_idle(self, dag_id: str) -> bool:
        """Whether a DAG was paused, or gone, when it was last looked: a run of it, by hand, is no sign that others will come."""
        return dag_id in self._idle

    def look(self, session: Any) -> None:
        """Tell what has changed, unless it was looked a moment ago.

        Args:
            session: SQLAlchemy's.
        """
        if time.monotonic() - self._looked_at < _EVERY_SECONDS:
            return
        self._looked_at = time.monotonic()
        from airflow.models.dag import DagModel

        asked = select(DagModel.dag_id, DagModel.is_paused | DagModel.is_stale, DagModel.timetable_summary)
        with session.no_autoflush:  # what the scheduler is about to write is none of our business
            rows = list(session.execute(asked))
            self._idle = frozenset(dag_id for dag_id, is_idle, _ in rows if is_idle)
            summaries = {dag_id: summary or "" for dag_id, is_idle, summary in rows if not is_idle}
            self._known = {dag_id: each for dag_id, each in self._known.items() if dag_id in summaries}
            new = [dag_id for dag_id in summaries if self._known.get(dag_id, ("?",))[0] != summaries[dag_id]]
            for dag_id in sorted(new)[:_MOST_READ]:
                self._known[dag_id] = summaries[dag_id], _read(session, dag_id)
        self._scheduled.tell({dag_id: found for dag_id, (_, found) in self._known.items()})


def declared(dag: Any) -> dict[str, str]:
    """The schedule that a DAG's timetable says: cron with its zone, or an interval; those of other timetables are not told."""
    timetable = getattr(dag, "timetable", None)
    cron, delta = getattr(timetable, "_expression", None), getattr(timetable, "_delta", None)
    zone = getattr(timetable, "_timezone", None)
    return _said(cron, getattr(zone, "name", None) or zone, delta.total_seconds() if isinstance(delta, timedelta) else None)


def _read(session: Any, dag_id: str) -> dict[str, str]:
    """The same, from how a DAG is in the database, where it is written with the timetable's own ``serialize``."""
    from airflow.models.serialized_dag import SerializedDagModel

    found = SerializedDagModel.get(dag_id, session=session)
    dag: Mapping[str, Any] = found.data["dag"] if found is not None and found.data else {}
    timetable = (dag.get("timetable") or {}).get("__var") or {}
    return _said(timetable.get("expression"), timetable.get("timezone"), timetable.get("delta"))


def _said(cron: object, zone: object, seconds: object) -> dict[str, str]:
    if isinstance(cron, str):
        return {names.SCHEDULE_SPEC: cron, names.SCHEDULE_TZ: str(zone or "UTC")}
    return {names.SCHEDULE_SPEC: "every %ds" % seconds} if isinstance(seconds, (int, float)) and seconds >= 1 else {}
