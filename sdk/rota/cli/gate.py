"""``rota gate``: ask for a workflow whether its gates are open, from a shell."""

from __future__ import annotations

import time

from rota.cli import _api, _text, _typed
from rota.errors import CollectorError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

    from rota.control.admit import Permission

HELP = "ask whether the gates of a workflow are open: rota gate check etl && ./etl.sh"
_COLOURS = {"go": "green", "wait": "yellow", "skip": "grey", "deny": "red"}
_RELEASE_SECONDS = 5.0


def add_arguments(parser: ArgumentParser) -> None:
    """Add the actions of ``rota gate``."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, help="check")
    check = actions.add_parser("check", help="exit status 0: it may run now; 1: it may not, and why is said")
    check.add_argument("workflow", metavar="WORKFLOW", help="its name")
    check.add_argument("--wait", metavar="DURATION", help="wait so long for them to open: 30m")
    check.add_argument("--json", action="store_true", help="print the answer as JSON")


def run(args: Namespace) -> int:
    """Ask for one workflow. Capacity is given back at once: it is a question, and no run."""
    found = _permission(args)
    if args.json:
        _text.json_item({"answer": found.answer, "reason": found.reason, "kind": found.kind, "blind": found.is_blind})
    else:
        print(_text.coloured(found.answer, _COLOURS.get(found.answer)) + ": " + _text.clean(found.reason))
    return 0 if found.answer == "go" else 1


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


def _permission(args: Namespace) -> Permission:
    from rota import _config
    from rota._process import uuid7
    from rota.control.admit import Admission

    limit = _typed.seconds_of(args.wait) or 0.0
    policy = _api.get(_api.of_workflow(args.workflow, "/policy"))["policy"]
    question = {"workflow": args.workflow, "run_id": uuid7(time.time_ns()), "attempt": 1, "facts": {}}
    over_at = time.monotonic() + limit
    last: list[Permission] = []

    def sleep(seconds: float) -> None:
        left = over_at - time.monotonic()
        if left <= 0:
            raise _TimeOver
        time.sleep(min(seconds, left))

    admission = Admission(
        policy, question, _Asked(), CollectorError, _config.home(), last.append, sleep=sleep, held_seconds=min(limit, 10.0)
    )
    if not limit:
        return admission.once()
    try:
        return admission.permission()
    except _TimeOver:
        return last[-1]
