"""A sensor that waits until rota says that a workflow may run: its gates are rota's policy, and no DAG has to know them.

from rota_integrations.airflow.gates import RotaSensor

may_run = RotaSensor(task_id="may_run", workflow="shop.report", mode="reschedule")
"""

from __future__ import annotations

from typing import Any

from airflow.sdk.bases.sensor import BaseSensorOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from rota.errors import CollectorError
from rota.foreign import may_run


class RotaSensor(BaseSensorOperator):  # type: ignore[misc]
    """Waits for the gates of a workflow. Its own time limit is the sensor's ``timeout``.

    Args:
        workflow: whose gates; left out: the DAG's id.
        wait_seconds: how long each poke may wait for them. A gate's ``wait_at_most`` that is shorter holds; a longer one is for
            the sensor's ``timeout`` to say, since each poke asks anew.
        **more: of any sensor.
    """

    template_fields = ("workflow",)

    def __init__(self, *, workflow: str | None = None, wait_seconds: float = 10.0, **more: Any) -> None:
        super().__init__(**more)
        self.workflow, self.wait_seconds = workflow, wait_seconds

    def poke(self, context: Any) -> bool:
        """Ask once.

        Raises:
            AirflowSkipException: the gates say skip.
            AirflowFailException: they say deny, or there is no such workflow; no attempt would change that.
        """
        workflow = self.workflow or context["dag"].dag_id
        try:
            found = may_run(workflow, self.wait_seconds)
        except CollectorError as error:  # nobody knows its policy: nothing says that it may
            self.log.warning("rota: %s", error)
            return False
        if found.answer == "skip":
            raise AirflowSkipException("rota: %s" % found.reason)
        if found.answer == "deny":
            raise AirflowFailException("rota denies %s: %s" % (workflow, found.reason))
        self.log.info("rota: %s: %s", found.answer, found.reason)
        return bool(found.answer == "go")
