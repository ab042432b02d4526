"""Whether a workflow may run, asked for somebody who is no run of ours: a person in a shell, a task of another orchestrator."""

from __future__ import annotations

import time

from rota import _config
from rota._process import uuid7
from rota.cli import _api
from rota.control import document
from rota.control.admit import Admission
from rota.errors import CollectorError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rota.control.admit import Permission

_HELD_SECONDS = 10.0  # how long the collector may keep a question of somebody who waits


def check(workflow: str, wait_seconds: float = 0.0) -> Permission:
    """What its gates say: as they are now, or as soon as they open. Capacity is given back at once: it is a question, and no run.

    Args:
        workflow: whose gates.
        wait_seconds: how long to wait for them; the last answer after that is ``wait``.

    Raises:
        CollectorError: nobody can tell its policy: neither the collector, nor this host, which keeps those that ask something;
            or there is no such workflow.
    """
    question = {"workflow": workflow, "run_id": uuid7(time.time_ns()), "attempt": 1, "facts": {}}
    over_at = time.monotonic() + wait_seconds
    last: list[Permission] = []

    def sleep(seconds: float) -> None:
        left = over_at - time.monotonic()
        if left <= 0:
            raise _TimeOver
        time.sleep(min(seconds, left))

    admission = Admission(
        _policy(workflow), question, _Asked(), CollectorError, _config.home(), last.append, sleep=sleep,
        held_seconds=min(wait_seconds, _HELD_SECONDS),
    )  # fmt: skip
    if not wait_seconds:
        return admission.once()
    try:
        return admission.permission()
    except _TimeOver:
        return last[-1]


class _Asked:
    """The collector, as ``rota.control.admit`` asks it."""

    def ask(self, question: dict[str, Any], _timeout_seconds: float) -> dict[str, Any]:
        """The answer; a grant is given back. Raises CollectorError."""
        answer = _api.post("/permission", question)
        for lease in answer["leases"]:
            _api.post("/leases/%s/release" % lease["id"], {"token": lease["token"]})
        return answer


class _TimeOver(Exception):
    """Waited as long as asked for."""


def _policy(workflow: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = _api.get(_api.of_workflow(workflow, "/policy"))["policy"]
        return found
    except _api.NotFound:
        raise
    except CollectorError:
        kept = document.read(document.path_of(_config.home(), workflow))
        if kept is None:
            raise
        return kept
