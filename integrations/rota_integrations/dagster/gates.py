"""A gate of rota's as an op: what depends on it runs when the gates of a workflow are open.

    @job
    def nightly():
        load(start=rota_gate("etl.nightly")())
"""

from __future__ import annotations

import re
from typing import Any, Iterator, Optional

from dagster import Failure, Nothing, OpDefinition, Out, Output, op

from rota.foreign import may_run


def rota_gate(workflow: str, wait_seconds: float = 0.0, name: Optional[str] = None) -> OpDefinition:
    """An op whose one output, ``go``, is there when the gates are open. When they say ``skip``, it is not: what needs it is skipped.

    Args:
        workflow: whose gates.
        wait_seconds: how long they may take to open; longer fails.
        name: of the op; left out, made of the workflow's.

    Returns:
        The op. Its run raises ``dagster.Failure`` with the reason where the gates say ``deny``, and where they have not opened in time.
    """

    @op(name=name or "rota_gate_" + re.sub(r"\W", "_", workflow), out={"go": Out(Nothing, is_required=False)})
    def gate(context: Any) -> Iterator[Output[None]]:
        said = may_run(workflow, wait_seconds)
        if said.answer == "go":
            yield Output(None, "go")
        elif said.answer == "skip":
            context.log.info("rota skips what needs the gates of %s: %s" % (workflow, said.reason))
        else:
            raise Failure(
                "the gates of %s say %s: %s" % (workflow, said.answer, said.reason), allow_retries=said.answer == "wait"
            )

    return gate
