"""Those who wait: who they are, and the lines in which they stand, one a scope."""

from __future__ import annotations

from bisect import bisect_left, insort
from concurrent.futures import Future
from typing import NamedTuple

from rota.rules.gates import Decision
from rota_collector.domain.admission import Claim, Place, Question
from rota_collector.store.questions import Permission
from rota_collector.watch.judging import NO_TERMS, Terms

COMING_SECONDS = 1.0  # for so long nobody passes one who waited and was told to ask again


class Ask(NamedTuple):
    """One request with a question. ``asked_ns``: when it came, after every one before it (Unix ns); ``until``: to be answered
    by then, whatever the answer (monotonic seconds).
    """

    question: Question
    ticket: str
    key: str | None  # of idempotency
    payload: str  # the digest of the request
    asked_ns: int
    until: float
    is_held: bool  # whether it may be kept waiting; who may not perhaps only wants to know
    answer: Future[Permission]


class Waiter:
    """One question that has no final answer. It is held while a request for it is open; in between it keeps its place."""

    def __init__(self, ask: Ask, asked_ns: int, answered: str) -> None:
        self.ask, self.asked_ns = ask, asked_ns
        self.answered = answered  # the last answer that was written down; empty: none was
        self.decision: Decision | None = None  # of the last look
        self.scopes: tuple[str, ...] = ()  # in whose lines it stands
        self.stuck_ns: int | None = None
        self.place: Place
        self.told_at = float("-inf")  # when it was last told to ask again (monotonic seconds)
        self.know(NO_TERMS)

    @property
    def ticket(self) -> str:
        """It is known by."""
        return self.ask.ticket

    @property
    def question(self) -> Question:
        """What it asks."""
        return self.ask.question

    @property
    def is_held(self) -> bool:
        """Whether somebody is there to be answered."""
        return not self.ask.answer.done()

    def is_coming(self, now: float) -> bool:
        """Whether it was told to ask again so lately that it is on its way."""
        return not self.is_held and now < self.told_at + COMING_SECONDS

    def hurry(self) -> float:
        """It is to be answered now; since when (monotonic seconds)."""
        self.ask = self.ask._replace(until=float("-inf"))
        return self.ask.until

    @property
    def claim(self) -> Claim:
        """As the line sees it, when it is there."""
        return Claim(self.ticket, self.scopes, self.terms.priority, self.asked_ns, self.stuck_ns)

    def move(self, step_ns: int) -> None:
        """The wall clock was set: it has waited as long as before. It stands in no line meanwhile."""
        self.asked_ns += step_ns
        self.stuck_ns = None if self.stuck_ns is None else self.stuck_ns + step_ns
        self.place = self.claim.place

    def know(self, terms: Terms) -> None:
        """This is what the policy asks of it now; ``place`` is where it stands by that."""
        self.terms = terms
        self.place = self.claim.place


class Lines:
    """The lines of all scopes, each in order."""

    def __init__(self) -> None:
        self._lines: dict[str, list[tuple[Place, Waiter]]] = {}

    def join(self, waiter: Waiter, scopes: tuple[str, ...]) -> None:
        """Let it stand in these lines, at its place, and in no other."""
        if scopes == waiter.scopes:
            return
        self.leave(waiter)
        waiter.scopes = scopes
        for scope in scopes:
            insort(self._lines.setdefault(scope, []), (waiter.place, waiter), key=_place_of)

    def leave(self, waiter: Waiter) -> None:
        """It stands in no line any more."""
        place, scopes, waiter.scopes = waiter.place, waiter.scopes, ()
        for scope in scopes:
            line = self._lines[scope]
            del line[bisect_left(line, place, key=_place_of)]
            if not line:
                del self._lines[scope]

    def of(self, scope: str) -> list[Waiter]:
        """Who stands in a line, in order; the line as it is now."""
        return [waiter for _, waiter in self._lines.get(scope, ())]

    def length(self, scope: str) -> int:
        """How many stand in it."""
        return len(self._lines.get(scope, ()))


def _place_of(standing: tuple[Place, Waiter]) -> Place:
    return standing[0]
