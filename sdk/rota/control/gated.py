"""A run under the gates of its policy: it asks before its code begins, waits as long as it is told, holds what it was granted.

Whoever runs it (``rota.watch``, ``rota exec``) does what the answer says: begin, or end with ``exit_code``.
"""

from __future__ import annotations

import json
import os
import time

from rota._guard import guarded, note
from rota.control import hold
from rota.control.admit import HELD_SECONDS, Admission, Permission
from rota.control.client import Client, Unreachable
from rota.control.hold import Held
from rota.rules import gates
from rota.wire import events, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping

    from rota._run import Run

DENIED = 75  # EX_TEMPFAIL of sysexits.h: it may be tried again later
_STATES = {gates.SKIP: "skipped", gates.DENY: "cancelled"}


def asks(document: Mapping[str, Any] | None) -> bool:
    """Whether a policy, as the host keeps it, wants its runs to ask before they begin."""
    return bool(document) and bool(document.get("gates"))  # type: ignore[union-attr]


class Interrupted(BaseException):
    """Raised by ``sleep``: somebody ended the run while it waited. ``exit_code``: of its process; ``reason``: of its state."""

    def __init__(self, exit_code: int, reason: str) -> None:
        super().__init__(exit_code)
        self.exit_code, self.reason = exit_code, reason


class Gated:
    """The gates before one run.

    Args:
        run: has not said yet that it runs.
        document: its policy.
        sleep: waits so many seconds between two questions; may raise ``Interrupted``.
        held_seconds: how long a question may be held open by who is asked: for so long nothing else is noticed.
    """

    def __init__(
        self, run: Run, document: Mapping[str, Any], sleep: Callable[[float], object] = time.sleep,
        held_seconds: float = HELD_SECONDS,
    ) -> None:  # fmt: skip
        self._run, self._client = run, Client(run.owner.home)
        self._held: Held | None = None
        self.reason = ""  # why it may not begin
        self._asked_at = hold.now()
        question: dict[str, Any] = {
            "workflow": run.workflow, "run_id": run.run_id, "attempt": run.attempt, "task": None, "slot_at": None,
            "host": os.uname().nodename if hasattr(os, "uname") else None, "priority": document.get("priority") or 0, "facts": {},
        }  # fmt: skip
        self._admission = Admission(
            document, question, self, Unreachable, run.owner.home, self._held_up, sleep=sleep, held_seconds=held_seconds
        )

    def ask(self, question: dict[str, Any], timeout_seconds: float) -> dict[str, Any]:
        """As ``Client.ask``; a lease counts from before the question."""
        self._asked_at = hold.now()
        return self._client.ask(question, timeout_seconds)

    def exit_code(self) -> int | None:
        """Ask. None: the run may begin, and holds what it was granted until ``release``. Else it is over: how the process ends.

        A fault of rota's lets it begin.
        """
        try:
            found = self._admission.permission()
        except Exception as error:
            note("gates", error)
            return None
        except BaseException as error:  # Ctrl-C, or a signal that somebody held: the run ends here
            code = error.exit_code if isinstance(error, Interrupted) else None
            guarded(self._run.finish)("cancelled", code, error.reason if isinstance(error, Interrupted) else "interrupted")
            self.release()
            if code is None:
                raise
            return code
        self._tell(found)
        if found.answer == gates.GO:
            self._hold(found)
            return None
        self.reason = found.reason
        code = 0 if found.answer == gates.SKIP else DENIED
        self._run.record({names.GATE_ANSWER: found.answer, names.GATE_KIND: found.kind})
        guarded(self._run.finish)(_STATES[found.answer], code, found.reason)
        self.release()
        return code

    @guarded
    def release(self) -> None:
        """Give back what was granted; nothing when nothing was."""
        if self._held is not None:
            self._held.release()
        self._client.close()

    @guarded
    def _hold(self, found: Permission) -> None:
        if found.leases:
            self._held = Held(found.leases, self._asked_at, self._client.post, self._lost)
            self._held.keep()
            self._run.record({names.LEASE_TOKENS: ["%s=%d" % pair for pair in sorted(self._held.tokens.items())]})

    @guarded
    def _lost(self, reason: str) -> None:
        """The job goes on, since we do not end what we only watch over; that it did so is a fact of the run."""
        self._run.record({names.LEASE_LOST: reason})

    @guarded
    def _held_up(self, found: Permission) -> None:
        run = self._run
        pairs = {**run.declared, names.REASON: found.reason, names.GATE_KIND: found.kind}
        run.say("blocked", pairs, run.owner.clock.now_ns())
        if found.is_blind:
            self._tell(found)

    @guarded
    def _tell(self, found: Permission) -> None:
        """Write down a decision that nobody else has: one that was made while nobody answered."""
        if not found.is_blind:
            return
        from uuid import UUID, uuid5

        run = self._run
        identity = uuid5(UUID(run.run_id), "%d/%s/%s" % (run.attempt, found.answer, found.reason))
        pairs = {
            names.EVENT_ID: str(identity), names.RUN_ID: run.run_id, names.WORKFLOW: run.workflow, names.ATTEMPT: run.attempt,
            names.GATE_ANSWER: found.answer, names.GATE_KIND: found.kind, names.REASON: found.reason, names.SOURCE: run.source,
        }  # fmt: skip
        told = [
            {"gate": each.number, "kind": each.kind, "answer": each.answer, "reason": each.reason, "facts": each.facts}
            for each in found.answers
        ]
        body = json.dumps(told, default=str)
        at_ns = run.owner.clock.now_ns()
        run.owner.write_event(run.scope, events.log_record(at_ns, names.DECISION_EVENT, run.trace_id, run.span_id, pairs, body))
