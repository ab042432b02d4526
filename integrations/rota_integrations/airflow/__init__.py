"""Airflow 3: a plugin that Airflow finds by itself where rota is installed beside it. Nothing in any DAG is touched.

Seen: each run of a DAG is a run, told by the scheduler; its task instances are tasks, told by the processes that run them, with
their errors; those of mapped tasks each for itself. What no hook tells (``upstream_failed``, ``removed``, skipped by a branch) is
read when the run ends. A DAG's cron is the workflow's schedule, and a scheduled run is for the slot of its time; what else is
scheduled, paused or deleted is read when a run begins, at most once a minute.

Tested with Airflow 3.3.
"""

from __future__ import annotations

from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin
from sqlalchemy.orm import object_session

from rota.foreign import Source, harmless
from rota_integrations.airflow.schedules import Schedules
from rota_integrations.airflow.telling import Teller
from rota_integrations.needs import needed

needed("airflow", "airflow", "3.0", "apache-airflow-core")


class Listener:
    """What Airflow calls, in the scheduler and in each process that runs a task: nothing may raise, print, or take time there."""

    def __init__(self, source: Source) -> None:
        self._schedules = Schedules(source)
        self._teller = Teller(source, self._schedules)

    @hookimpl
    def on_dag_run_running(self, dag_run: Any, msg: str) -> None:
        """A run of a DAG has begun."""
        harmless(self._begin)(dag_run, msg)

    @hookimpl
    def on_dag_run_success(self, dag_run: Any, msg: str) -> None:
        """It ended well."""
        harmless(self._end)(dag_run, msg)

    @hookimpl
    def on_dag_run_failed(self, dag_run: Any, msg: str) -> None:
        """It did not."""
        harmless(self._end)(dag_run, msg)

    @hookimpl
    def on_task_instance_running(self, previous_state: Any, task_instance: Any) -> None:  # noqa: ARG002  pluggy goes by names
        """An attempt of a task has begun."""
        harmless(self._teller.begin)(task_instance)

    @hookimpl
    def on_task_instance_success(self, previous_state: Any, task_instance: Any) -> None:  # noqa: ARG002  pluggy goes by names
        """It ended well."""
        harmless(self._teller.end)(task_instance, "success")

    @hookimpl
    def on_task_instance_failed(self, previous_state: Any, task_instance: Any, error: Any) -> None:  # noqa: ARG002
        """It did not; there may be another one."""
        harmless(self._teller.end)(task_instance, "failed", error)

    @hookimpl
    def on_task_instance_skipped(self, previous_state: Any, task_instance: Any) -> None:  # noqa: ARG002  pluggy goes by names
        """It said itself that there is nothing to do."""
        harmless(self._teller.end)(task_instance, "skipped")

    def _begin(self, dag_run: Any, msg: str) -> None:
        session = object_session(dag_run)
        if session:
            self._schedules.look(session)
        self._teller.run(dag_run, msg)

    def _end(self, dag_run: Any, msg: str) -> None:
        session = object_session(dag_run)  # the scheduler's own: another one would wait for it on SQLite
        self._teller.rest(dag_run, dag_run.get_task_instances(**({"session": session} if session else {})))
        self._teller.run(dag_run, msg)


class Plugin(AirflowPlugin):  # type: ignore[misc]
    """By the entry point ``airflow.plugins`` of rota."""

    name = "rota"
    listeners = (Listener(Source("airflow")),)
