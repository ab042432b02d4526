"""One turn of the waiting room: a transaction, and what is done in it. See ``waiting``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from rota.rules import gates
from rota.rules.gates import GO, WAIT, Answer, Decision
from rota_collector.domain.admission import Claim, Need, admitted
from rota_collector.errors import ForeignTicket, KeyReused
from rota_collector.store import events, incidents, questions
from rota_collector.store.facts import Gathering
from rota_collector.store.leases import Lease, Ledger
from rota_collector.store.policies import Policies
from rota_collector.store.questions import Asked, Permission, Told
from rota_collector.watch import judging
from rota_collector.watch.alarms import Alarms
from rota_collector.watch.lines import COMING_SECONDS, Ask, Lines, Waiter

BATCH = 250  # questions, and grants, in one turn: others wait for the lock meanwhile
LEFT_SECONDS = 30.0  # who has not asked again by then does not wait any more
_NOTHING_ASKED = Decision(GO, "no policy asks anything of it")
_ASKED_TWICE = Decision(WAIT, "another request asks the same")


@dataclass
class Room:
    """Who waits, and for what. Only the thread of the waiting room changes it."""

    policies: Policies
    waiters: dict[str, Waiter] = field(default_factory=dict)  # by ticket
    lines: Lines = field(default_factory=Lines)
    looks: Alarms[int] = field(default_factory=Alarms)  # "ticket T" or "scope S": Unix ns
    tells: Alarms[float] = field(default_factory=Alarms)  # tickets to be told to come again, or to be let go: monotonic
    due: set[str] = field(default_factory=set)  # tickets to be looked at
    serving: set[str] = field(default_factory=set)  # scopes in which somebody may be next

    def move(self, step_ns: int) -> None:
        """The wall clock was set by so much: times in the past move with it, and everybody is looked at again."""
        for waiter in self.waiters.values():
            self.lines.leave(waiter)
            waiter.move(step_ns)
        self.due |= self.waiters.keys()


class Desk:
    """What one turn does, at ``now_ns`` (Unix) and ``now`` (monotonic). ``after`` is done when it is on disk."""

    def __init__(self, connection: Connection, room: Room, now_ns: int, now: float) -> None:
        self.connection, self._room, self.now_ns, self._now = connection, room, now_ns, now
        self.ledger = Ledger(connection, now_ns)
        self._facts = Gathering(connection, self.ledger, room.policies.asking, room.policies.shared)
        self.after: list[Callable[[], object]] = []
        self._taken_up: list[tuple[Callable[[Any], object], Any]] = []  # what is to be put back if the turn fails
        self._new: list[Waiter] = []
        self._touched: dict[str, Waiter] = {}
        self._others: dict[str, list[Answer]] = {}
        self._said: dict[str, list[Answer]] = {}
        self._over: set[str] = set()  # tickets with a final answer
        self._left: list[str] = []
        self._records: list[str] = []
        self._asked: list[Asked] = []
        self._told: list[Told] = []
        self._grants = 0
        self.told_answers: Counter[str] = Counter()

    # -- what is asked ------------------------------------------------------------------------------------------------

    def take(self, ask: Ask) -> None:
        """Begin to answer a question, or go on with one that waits."""
        try:
            if not self._is_told_again(ask):
                self._stand(ask, self._row_of(ask))
        except (KeyReused, ForeignTicket) as error:
            self._fail(ask, error)

    def _is_told_again(self, ask: Ask) -> bool:
        """Whether the request came before, and is told the same. Raises KeyReused."""
        told = questions.told(self.connection, ask.key) if ask.key is not None else None
        if told is None:
            return False
        if told.payload != ask.payload:
            raise KeyReused("this Idempotency-Key came with another request before: send another key")
        before, held_leases = questions.as_permission(told)
        held = self.ledger.held(before.ticket) if held_leases else []
        if held_leases and not held:
            return False  # they are over: to say go once more would be a lie
        self._give(ask, before._replace(leases=tuple(held)))
        return True

    def _row_of(self, ask: Ask) -> Asked | None:
        """What is known of its ticket. Raises ForeignTicket."""
        question, row = ask.question, questions.find(self.connection, ask.ticket)
        mine = (question.workflow, question.run_id, question.attempt, question.task)
        if row is not None and (row.workflow, row.run_id, row.attempt, row.task) != mine:
            raise ForeignTicket(f"the ticket {ask.ticket} is of another question: ask without one")
        workflow = self._facts.workflow_of(question.run_id)
        if workflow not in (None, question.workflow):
            raise ForeignTicket(f"the run {question.run_id} is of another workflow than {question.workflow!r}")
        return row

    def _stand(self, ask: Ask, row: Asked | None) -> None:
        waiter = self._room.waiters.get(ask.ticket)
        if waiter is None:
            held = self.ledger.held(ask.ticket) if row is not None and row.answer == GO else []
            if held and row is not None:
                self._tell(ask, row.asked_ns, Decision(GO, "it was granted before"), held)
                return
            asked_ns = row.asked_ns if row is not None and row.answer == WAIT else ask.asked_ns
            waiter = Waiter(ask, asked_ns, row.answer if row is not None else "")
            self._room.waiters[ask.ticket] = waiter
            self._new.append(waiter)
        else:
            if waiter.is_held:
                self._tell(waiter.ask, waiter.asked_ns, waiter.decision or _ASKED_TWICE)
            waiter.ask = ask
        self._room.tells.set(ask.ticket, ask.until)
        self._look(waiter)
        self._room.serving.update(waiter.scopes)

    def release(self, lease_id: str, token: int) -> Lease | None:
        """Give a lease back, and have its line served."""
        found = self.ledger.release(lease_id, token)
        if found is not None:
            self._room.serving.add(found.scope)
        return found

    def wake(self, workflow: str | None, run_id: str | None) -> None:
        """Look again at those of a workflow, or of a run, or at all."""
        for ticket, waiter in self._room.waiters.items():
            if workflow in (None, waiter.question.workflow) and run_id in (None, waiter.question.run_id):
                self._room.due.add(ticket)

    def wake_behind(self, workflows: set[str]) -> None:
        """Look again at those who rest on runs of these workflows."""
        self._room.due |= {t for t, waiter in self._room.waiters.items() if not workflows.isdisjoint(waiter.terms.upstream)}

    # -- who goes -----------------------------------------------------------------------------------------------------

    def answer_all(self) -> None:
        """Look at all that is due, serve the lines, and tell those whose time is up to come again."""
        room = self._room
        for ticket in sorted(room.due & room.waiters.keys(), key=lambda each: room.waiters[each].place)[:BATCH]:
            self._take_up(room.due, ticket)
            if ticket not in self._touched:
                self._look(room.waiters[ticket])
                room.serving.update(room.waiters[ticket].scopes)
        room.due.intersection_update(room.waiters)
        for scope in list(room.serving):
            self._take_up(room.serving, scope)
            self._serve(scope)
        for waiter in self._touched.values():
            if waiter.ticket not in self._over:
                self._note_wait(waiter)
        for ticket in room.tells.due(self._now):
            if ticket not in self._over:
                self._come_again(ticket)

    def _take_up(self, of: set[str], one: str) -> None:
        of.discard(one)
        self._taken_up.append((of.add, one))

    def _look(self, waiter: Waiter) -> None:
        """Ask all gates but those of capacity; if they let it go, it stands in line for what it takes."""
        if not waiter.is_held:
            return
        self._touched[waiter.ticket] = waiter
        policy = self._room.policies.asking.policy(waiter.question.workflow)
        if policy is None:
            self._end(waiter, _NOTHING_ASKED, [], [])
            return
        self._know_terms(waiter, judging.terms(policy, waiter.question))
        said = judging.others(self._facts, waiter.terms, waiter.question, self.now_ns, self._waited(waiter))
        self._others[waiter.ticket] = said
        decision = gates.together(said)
        if decision.answer not in (GO, WAIT) or (decision.answer == GO and not waiter.terms.capacity):
            self._finish(waiter, said, self._capacity(waiter))
        elif decision.answer == WAIT:
            self._room.lines.leave(waiter)
            self._look_later(waiter, decision)
        else:
            scopes = tuple(dict.fromkeys(judging.scope(gate, waiter.question) for gate in waiter.terms.capacity))
            self._room.lines.join(waiter, scopes)

    def _know_terms(self, waiter: Waiter, terms: judging.Terms) -> None:
        if terms.priority != waiter.terms.priority:
            self._room.lines.leave(waiter)  # its place is another one
        waiter.know(terms)
        if terms.longest_seconds is not None:
            self._room.looks.set(f"ticket {waiter.ticket}", waiter.asked_ns + round(terms.longest_seconds * 1e9))

    def _look_later(self, waiter: Waiter, decision: Decision) -> None:
        if decision.look_again_seconds is not None:
            self._room.looks.set(f"ticket {waiter.ticket}", self.now_ns + round(decision.look_again_seconds * 1e9))

    def _serve(self, scope: str) -> None:
        """Let go who may, in the order of the line."""
        for claim in admitted(self._claims(scope), self._lacking, self.now_ns):
            waiter = self._room.waiters[claim.ticket]
            self._grants += 1
            self._finish(waiter, self._others[claim.ticket], self._said[claim.ticket])

    def _claims(self, scope: str) -> Iterator[Claim]:
        """Those in a line who may go if there is room, up to the first whom nobody behind can pass."""
        for waiter in self._room.lines.of(scope):
            is_coming = waiter.is_coming(self._now)
            if not (waiter.is_held or is_coming) or waiter.ticket in self._over:
                continue
            if self._grants >= BATCH:
                self._room.serving.add(scope)
                return
            if waiter.ticket not in self._others:
                self._look(waiter)
            if waiter.ticket in self._over or not waiter.scopes:
                continue  # what held when it came to the line holds no more
            said = self._said[waiter.ticket] = self._capacity(waiter)
            if gates.together(said).answer not in (GO, WAIT):
                if not is_coming:
                    self._finish(waiter, self._others[waiter.ticket], said)
                continue
            fits = not judging.lacking(waiter.terms, waiter.question, said)
            claim = waiter.claim._replace(is_coming=is_coming and fits)
            yield claim
            if scope in self._lacking(claim) and judging.is_smallest(waiter.terms, waiter.question, scope):
                return

    def _lacking(self, claim: Claim) -> list[str]:
        """The scopes that one does not fit in, which then are looked at when something of them is free."""
        waiter, said = self._room.waiters[claim.ticket], self._said[claim.ticket]
        if claim.is_coming:
            return self._keep_for(waiter)
        lacks = judging.lacking(waiter.terms, waiter.question, said)
        for scope, answer in lacks.items():
            if answer.look_again_seconds is not None:
                self._room.looks.set(f"scope {scope}", self.now_ns + round(answer.look_again_seconds * 1e9))
        if lacks and waiter.stuck_ns is None:
            waiter.stuck_ns = self.now_ns
        return list(lacks) if claim.ticket not in self._over else []

    def _keep_for(self, waiter: Waiter) -> list[str]:
        """It would go if it were there, and it will be: what it may take is kept for it."""
        for scope in waiter.scopes:
            self._room.looks.set(f"scope {scope}", self.now_ns + round(COMING_SECONDS * 1e9))
        return list(waiter.scopes)

    def _capacity(self, waiter: Waiter) -> list[Answer]:
        return judging.capacity(self._facts, waiter.terms, waiter.question, self.now_ns, self._waited(waiter))

    def _waited(self, waiter: Waiter) -> float:
        return max(0, self.now_ns - waiter.asked_ns) / 1e9

    # -- what is said -------------------------------------------------------------------------------------------------

    def _finish(self, waiter: Waiter, others: list[Answer], capacity: list[Answer]) -> None:
        """All gates have said what is final; what is taken when that is go."""
        decision, answers = judging.together(others, capacity)
        is_go = decision.answer == GO
        self._end(waiter, decision, answers, judging.needs(self._facts, waiter.terms, waiter.question, others) if is_go else [])

    def _end(self, waiter: Waiter, decision: Decision, answers: list[Answer], needs: list[Need]) -> None:
        taken = self.ledger.take(waiter.ticket, waiter.question, needs)
        self._over.add(waiter.ticket)
        self._write_down(waiter, decision, answers)
        self._tell(waiter.ask, waiter.asked_ns, decision, taken)
        self.after.append(lambda: self._let_go(waiter))

    def _note_wait(self, waiter: Waiter) -> None:
        said = self._said.get(waiter.ticket) or self._capacity(waiter)
        decision, answers = judging.together(self._others[waiter.ticket], said)
        if decision.answer == GO:
            first = waiter.terms.capacity[0]
            decision = Decision(WAIT, "there is room, and others came first", first.number, first.kind)
        waiter.decision = decision
        self._write_down(waiter, decision, answers)

    def _write_down(self, waiter: Waiter, decision: Decision, answers: list[Answer]) -> None:
        """Only an answer that is another one than before is news."""
        if waiter.answered == decision.answer or not answers:
            return
        question, before = waiter.question, waiter.answered
        waiter.answered = decision.answer
        self._taken_up.append((lambda word: setattr(waiter, "answered", word), before))
        self._records.append(events.of_decision(question, waiter.ticket, decision, answers, self.now_ns, waiter.asked_ns))
        self._asked.append(
            Asked(
                waiter.ticket, question.workflow, question.run_id, question.attempt, question.task, waiter.asked_ns,
                decision.answer, self.now_ns,
            )
        )  # fmt: skip

    def _come_again(self, ticket: str) -> None:
        """The time of a request is up, or nobody came again."""
        waiter = self._room.waiters.get(ticket)
        if waiter is None:
            return
        self._taken_up.append((lambda name: self._room.tells.set(name, self._now), ticket))
        if waiter.is_held and waiter.ask.until <= self._now:
            if waiter.decision is not None:
                self._tell(waiter.ask, waiter.asked_ns, waiter.decision)
                if waiter.ask.is_held:
                    self.after.append(lambda: setattr(waiter, "told_at", self._now))
            self.after.append(lambda: self._room.tells.set(ticket, self._now + LEFT_SECONDS))
        elif waiter.is_held or waiter.ask.until + LEFT_SECONDS > self._now:
            self.after.append(lambda: self._room.tells.set(ticket, waiter.ask.until + LEFT_SECONDS * (not waiter.is_held)))
        else:
            self._left.append(ticket)
            self.after.append(lambda: self._let_go(waiter))

    def _let_go(self, waiter: Waiter) -> None:
        self._room.lines.leave(waiter)
        self._room.waiters.pop(waiter.ticket, None)

    def _tell(self, ask: Ask, asked_ns: int, decision: Decision, leases: list[Lease] | None = None) -> None:
        identity = events.decision_id(ask.question, ask.ticket, decision.answer, asked_ns)
        said = (decision.answer, decision.reason, decision.number, decision.kind, identity, ask.ticket)
        permission = Permission(*said, decision.look_again_seconds, tuple(leases or ()))
        if ask.key is not None:
            self._told.append(Told(ask.key, ask.payload, questions.as_told(permission), self.now_ns))
        self._give(ask, permission)

    def _give(self, ask: Ask, permission: Permission) -> None:
        self.told_answers[permission.answer] += 1
        self.after.append(lambda: ask.answer.set_result(permission) if _is_wanted(ask.answer) else None)

    def _fail(self, ask: Ask, error: Exception) -> None:
        self.after.append(lambda: ask.answer.set_exception(error) if _is_wanted(ask.answer) else None)

    # -- its end ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Write down all of it."""
        self.ledger.close()
        questions.keep(self.connection, self._asked)
        questions.keep_told(self.connection, self._told)
        questions.leave(self.connection, self._left)
        incidents.queue(self.connection, self._records)

    def learn(self) -> None:
        """It is on disk: remember it, and tell."""
        for each in self.after:
            each()

    def undo(self) -> None:
        """Nothing of it happened."""
        for put_back, what in reversed(self._taken_up):
            put_back(what)
        for waiter in self._new:
            self._let_go(waiter)


def _is_wanted(answer: Future[Permission]) -> bool:
    return not answer.done() and answer.set_running_or_notify_cancel()
