"""A gate of rota's as an op: what depends on it runs when the gates of a workflow are open.

@job
def nightly():
load(start=rota_gate("etl.nightly")())
"""

from __future__ import annotations

import re
from typing import Iterator, Optional

from dagster import Failure, OpDefinition, Out, Output, get_dagster_logger, op

from rota.foreign import may_run


def rota_gate(workflow: str, wait_seconds: float = 0.0, name: Optional[str] = None) -> OpDefinition:
    """An op whose output ``go`` is there when the gates are open. When they say ``skip``, it is not: what needs it is skipped.

    Args:
        workflow: whose gates.
        wait_seconds: how long they may take to open; longer fails.
        name: of the op; left out, made of the workflow's.

    Returns:
        The op. It raises ``dagster.Failure`` with the reason where the gates say ``deny``, or have not opened in time.
    """

    @op(  # type: ignore[untyped-decorator,unused-ignore]
        name=name or "rota_gate_" + re.sub(r"\W", "_", workflow), out={"go": Out(bool, is_required=False)}
    )
    def gate() -> Iterator[Output[bool]]:
        said = may_run(workflow, wait_seconds)
        if said.answer == "go":
            yield Output(True, "go")
        elif said.answer == "skip":
            get_dagster_logger().info("rota skips what needs the gates of %s: %s" % (workflow, said.reason))
        else:
            raise Failure(
                "the gates of %s say %s: %s" % (workflow, said.answer, said.reason), allow_retries=said.answer == "wait"
            )

    return gate
