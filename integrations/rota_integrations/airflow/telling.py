"""Runs of DAGs and task instances, as Airflow's listeners give them, as states of runs and tasks."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any, Iterable, Mapping

from rota.foreign import Source
from rota.rules.fold import TERMINAL
from rota_integrations import raised, times
from rota_integrations.airflow.schedules import Schedules, declared
from rota_integrations.states import table_of


class Teller:
    """Tells of one Airflow.

    Args:
        source: tells.
        schedules: of its DAGs.
    """

    def __init__(self, source: Source, schedules: Schedules) -> None:
        self._source, self._states, self._schedules = source, table_of("airflow"), schedules

    def run(self, dag_run: Any, msg: str = "") -> None:
        """How a run of a DAG is (``airflow.models.dagrun.DagRun``). At its end, that it began too: some begin unheard."""
        raw = str(getattr(dag_run.state, "value", dag_run.state))
        if self._states.of_run(raw).name in TERMINAL:
            self._tell_run(dag_run, "running", _ns(dag_run.start_date), msg)
            self._tell_run(dag_run, raw, _ns(dag_run.end_date), msg)
        else:
            self._tell_run(dag_run, raw, _ns(dag_run.start_date), msg)
        self._source.flush()

    def _tell_run(self, dag_run: Any, raw: str, at_ns: int | None, msg: str) -> None:
        state, began_ns = self._states.of_run(raw), _ns(dag_run.start_date)
        kind = str(getattr(dag_run.run_type, "value", dag_run.run_type))
        says = {} if self._schedules.is_idle(dag_run.dag_id) else declared(getattr(dag_run, "dag", None))
        self._source.run(
            dag_run.dag_id, _key(dag_run), state.name, at_ns or time.time_ns(), raw_state=raw, reason=state.reason,
            started_ns=began_ns, slot_ns=_ns(dag_run.run_after) if kind == "scheduled" else None,
            facts={"airflow.run_type": kind, "airflow.message": msg or None}, declared=says,
        )  # fmt: skip

    def rest(self, dag_run: Any, instances: Iterable[Any]) -> None:
        """All tasks of a run that is over: some no process ran, and some processes died, or took what they told with them.

        What a process told is known by the same id, and stays as it told it, with its error.
        """
        for each in instances:
            raw = str(getattr(each.state, "value", each.state))
            if each.state is not None and self._states.of_task(raw).name in TERMINAL:
                ended_ns = _ns(each.end_date) or _ns(dag_run.end_date) or time.time_ns()
                self._tell(each, raw, ended_ns, _ns(each.start_date) if each.try_number else None)

    def begin(self, instance: Any) -> None:
        """An attempt has begun."""
        began_ns = _ns(instance.start_date) or time.time_ns()
        self._tell(instance, "running", began_ns, began_ns)
        self._source.flush()

    def end(self, instance: Any, raw: str, error: Any = None) -> None:
        """It is over. ``failed`` is also what Airflow calls when it is going to try again."""
        ended_ns = _ns(getattr(instance, "end_date", None)) or time.time_ns()
        is_bad = raw == "failed"
        self._tell(instance, raw, ended_ns, _ns(instance.start_date), raised.attributes(error) if is_bad else None)
        state = getattr(instance, "state", None)
        if is_bad and str(getattr(state, "value", state)) == "up_for_retry":
            self._tell(instance, "up_for_retry", ended_ns, None, more=1)
        self._source.flush()  # the process ends at once, and with it what was not written

    def _tell(
        self, instance: Any, raw: str, at_ns: int, started_ns: int | None, error: Mapping[str, str] | None = None, more: int = 0
    ) -> None:
        state, index = self._states.of_task(raw), instance.map_index
        part = str(index) if index is not None and index >= 0 else ""
        self._source.task(
            instance.dag_id, _key(instance), instance.task_id, state.name, at_ns, instance=part, raw_state=raw,
            reason=state.reason, attempt=max(1, instance.try_number or 1) + more, started_ns=started_ns, error=error,
            facts={"instance": part} if part else None,
        )  # fmt: skip


def _key(of: Any) -> tuple[str, str]:
    """As the spans that Airflow sends itself name a run."""
    return str(of.dag_id), str(of.run_id)


def _ns(at: datetime | None) -> int | None:
    return None if at is None else times.ns(at)
