"""Permission for a run, asked before its code begins: what only this host can tell is found out here, all else by who answers.

When nobody answers, each gate says itself what holds then (``on_unreachable``), and the decision is one that was made blind.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from rota.control import facts
from rota.rules import gates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping, Protocol, Sequence

    class Asked(Protocol):
        """Who is asked: ``rota.control.client.Client``."""

        def ask(self, question: dict[str, Any], timeout_seconds: float) -> dict[str, Any]:
            """The answer. Raises ``unreachable`` of ``Admission``."""
            ...


HELD_SECONDS = 20.0
_FIRST_SECONDS = 4.0  # for the first answer, which holds nobody: a silent collector must not keep a job that may go
_ANSWER_SECONDS = 5.0  # to answer a question that was held
_AGAIN_SECONDS = 5.0  # between questions to nobody


class Permission(NamedTuple):
    """What was decided. ``answers``: those of gates that were looked at here; ``leases``: what was granted, as it was told."""

    answer: str
    reason: str
    kind: str | None
    waited_seconds: float
    leases: Sequence[Mapping[str, Any]] = ()
    answers: Sequence[gates.Answer] = ()
    is_blind: bool = False


class Admission:
    """Asks for one run until it is told go, skip or deny.

    Args:
        policy: the document in force, as the host keeps it.
        question: who asks: ``workflow``, ``run_id``, ``attempt``, ``host``, ``slot_at`` as decision 31 has them.
        asked: answers.
        unreachable: what it raises when nobody answers.
        home: ``$ROTA_HOME``.
        held_up: told each time that the reason to wait is another one.
        clock, sleep: monotonic seconds, and waiting for some, which may raise what ends it all; called with 0 after a question
            that was held open.
        held_seconds: how long who is asked may keep the question of somebody who waits.
    """

    def __init__(
        self, policy: Mapping[str, Any], question: Mapping[str, Any], asked: Asked, unreachable: type[Exception], home: str,
        held_up: Callable[[Permission], object], clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep, held_seconds: float = HELD_SECONDS,
    ) -> None:  # fmt: skip
        self._gates = gates.of(policy)
        self._question, self._asked, self._unreachable, self._home = question, asked, unreachable, home
        self._held_up, self._clock, self._sleep = held_up, clock, sleep
        self._held_seconds = held_seconds
        self._ticket: str | None = None
        self._tz = (policy.get("schedule") or {}).get("tz")
        self._began = clock()

    def permission(self) -> Permission:
        """The answer; it may take as long as the gates let a run wait. Interrupts of the process go through."""
        told = ""
        while True:
            found, wait_seconds = self._look()
            if found.answer != gates.WAIT:
                return found
            if found.reason != told:
                told = found.reason
                self._held_up(found)
            self._sleep(wait_seconds)

    def once(self) -> Permission:
        """What holds now, without waiting."""
        return self._look()[0]

    def _look(self) -> tuple[Permission, float]:
        """(what holds now, how long to wait before it is asked again)."""
        waited = self._clock() - self._began
        here = [self._here(gate, waited) for gate in self._gates if gate.kind in gates.ON_HOST]
        own = gates.together(here)
        held_seconds = self._hold(own)
        timeout_seconds = _FIRST_SECONDS if self._ticket is None else held_seconds + _ANSWER_SECONDS
        try:
            answer = self._asked.ask(self._with(here, held_seconds), timeout_seconds)
            return self._answered(answer, here, waited)
        except self._unreachable as error:
            return self._blind(here, waited, str(error))

    def _hold(self, own: gates.Decision) -> float:
        """How long the question may be held: only that of one who was told to wait, and while the host's own gates allow it."""
        if self._ticket is None or own.answer not in (gates.GO, gates.WAIT):
            return 0.0
        return min(self._held_seconds, own.look_again_seconds or self._held_seconds)

    def _with(self, here: Sequence[gates.Answer], held_seconds: float) -> dict[str, Any]:
        local = [
            {"gate": each.number, "answer": each.answer, "reason": each.reason, "facts": each.facts,
             "look_again_seconds": each.look_again_seconds} for each in here
        ]  # fmt: skip
        return {**self._question, "ticket": self._ticket, "wait_seconds": held_seconds, "local": local}

    def _answered(self, answer: Mapping[str, Any], here: Sequence[gates.Answer], waited: float) -> tuple[Permission, float]:
        began_ago = self._clock() - self._began
        is_first, self._ticket = self._ticket is None, answer.get("ticket") or self._ticket
        found = Permission(
            answer["answer"], answer.get("reason") or "", answer.get("kind"), began_ago, tuple(answer.get("leases") or ()), here
        )
        again = answer.get("look_again_seconds")
        was_held = began_ago - waited > 0.5 * self._held_seconds  # who answered has waited for us
        is_on_hand = was_held or (is_first and self._ticket is not None)  # asked again at once, it keeps our place
        return found, 0.0 if is_on_hand else min(_AGAIN_SECONDS, 1.0 if again is None else again)

    def _blind(self, here: Sequence[gates.Answer], waited: float, why: str) -> tuple[Permission, float]:
        looked = {each.number for each in here}
        others = [self._without(gate, waited, why) for gate in self._gates if gate.number not in looked]
        answers = sorted((*here, *others), key=lambda each: each.number)
        found = gates.together(answers)
        again = _AGAIN_SECONDS if found.look_again_seconds is None else min(_AGAIN_SECONDS, found.look_again_seconds)
        return Permission(found.answer, found.reason, found.kind, waited, (), answers, is_blind=True), again

    def _here(self, gate: gates.Gate, waited: float) -> gates.Answer:
        try:
            return gates.decide(gate, facts.find(gate, self._home), time.time_ns(), waited)
        except facts.Unknown as error:
            return gates.unreachable(gate, waited, str(error))

    def _without(self, gate: gates.Gate, waited: float, why: str) -> gates.Answer:
        """A gate that somebody else looks at, while nobody answers: a window needs nothing but a clock."""
        if gate.kind == "window":
            local = _local_time(gate.terms.get("tz") or self._tz)
            if local is not None:
                return gates.decide(gate, {"local": local}, time.time_ns(), waited)
        return gates.unreachable(gate, waited, why)


def _local_time(zone: str | None) -> str | None:
    """The time in a zone, UTC when none is named; None where this interpreter knows no zones (CPython 3.8) or not this one."""
    from datetime import datetime, timezone

    if zone is None:
        return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    try:
        from zoneinfo import ZoneInfo

        return datetime.now(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M:%S")
    except (ImportError, KeyError, ValueError, OSError):
        return None
