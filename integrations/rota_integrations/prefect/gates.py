"""A task of a flow that waits for the gates of a workflow of rota's, whatever system that runs in.

from rota_integrations.prefect.gates import wait_for_rota

@flow
def report():
    wait_for_rota("etl.nightly", wait_seconds=1800)
    ...
"""

from __future__ import annotations

from rota.foreign import may_run
from rota_integrations.needs import needed

_prefect = needed("prefect", "prefect", "3.0")


class NotPermitted(Exception):
    """A gate said no, or did not open in time."""


@_prefect.task(name="wait_for_rota", persist_result=False)  # type: ignore[untyped-decorator]
def wait_for_rota(workflow: str, wait_seconds: float = 0.0) -> str:
    """Wait until the gates of a workflow are open.

    Args:
        workflow: whose gates.
        wait_seconds: how long they may take.

    Returns:
        ``go``, or ``skip`` where a gate says that this time it need not run.

    Raises:
        NotPermitted: a gate said no, or is still closed. A retry of the task asks again.
        CollectorError: nobody can tell its policy.
    """
    answer, reason = may_run(workflow, wait_seconds)[:2]
    if answer in ("go", "skip"):
        return str(answer)
    raise NotPermitted("%s may not run (%s): %s" % (workflow, answer, reason))
