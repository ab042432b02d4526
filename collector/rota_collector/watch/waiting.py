"""The waiting room: one thread that answers all questions, so that whoever is next is next for all.

It works in turns. Each is one transaction: what was renewed and released since the last turn, what was asked, who is to be
looked at again because something changed or its time came, and then, scope by scope, who goes. Grants and the decisions that tell
of them are on disk before anybody hears of them; a turn that fails has changed nothing, and is done again.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any

from rota_collector import log
from rota_collector.clock import Clock
from rota_collector.counters import Counters
from rota_collector.domain.admission import Question
from rota_collector.domain.exposition import series
from rota_collector.errors import InFlight, StoreError
from rota_collector.store import admission_schema, leases, questions, quiet
from rota_collector.store.expectations import Expectations
from rota_collector.store.leases import Lease
from rota_collector.store.questions import Permission
from rota_collector.watch.desk import BATCH, LEFT_SECONDS, Desk, Room
from rota_collector.watch.lines import Ask, Waiter
from rota_collector.watch.steady import SteadyClock

MOST_HELD = 8000  # requests that are held open; more are told at once to come again
FORGET_SECONDS = 600.0
_RETRY_SECONDS = 1.0  # after a turn that failed
_LONGEST_SLEEP_SECONDS = 1.0  # the wall clock may be set meanwhile

Act = Callable[[Desk], None]


class Waiting(threading.Thread):
    """Answers questions about permission. Any thread may ask; ``turn`` is for this one, and for tests without it.

    When ``closing``, whoever is held is told to come again.
    """

    def __init__(self, expectations: Expectations, clock: Clock, closing: Callable[[], bool] = lambda: False) -> None:
        super().__init__(name="rota-waiting", daemon=True)
        self._expectations, self._clock, self._closing = expectations, clock, closing
        self._wakes, self._stopping = threading.Event(), threading.Event()
        self._turn, self._asking = threading.Lock(), threading.Lock()
        self._last_ns = 0
        self._inbox: deque[tuple[Act, Future[Any] | None]] = deque()  # what to do, and who is told when it cannot be done
        self._keys: set[str] = set()  # of the requests that are being answered
        self._room = Room(expectations.policies)
        self.trouble: str | None = None  # why the last turn failed; None while all is well
        self.counters = Counters()
        with expectations.transaction() as connection:
            admission_schema.metadata.create_all(connection)
            self._steady = SteadyClock(clock, connection)
            stopped_ns = quiet.last_beat(connection)
            if stopped_ns is not None:
                leases.outlive(connection, stopped_ns, self._steady.now_ns())
            self._left = set(questions.waiting(connection))  # who waited before we began, and has not come again
        self._begun = self._forgot = clock.monotonic()
        expectations.policies.asking.changed.append(lambda _: self.look_again())  # it may share a pool with others
        expectations.ended = self._ended

    # -- asked by any thread ------------------------------------------------------------------------------------------

    def ask(
        self, question: Question, ticket: str | None, key: str | None, payload: str, wait_seconds: float
    ) -> Future[Permission]:
        """Answer a question: with something else than ``wait`` as soon as there is, with ``wait`` after ``wait_seconds``.

        Whoever does not want to know any more cancels the answer. ``key`` is the idempotency key, ``payload`` the digest of
        what it came with. Raises InFlight; the answer may be KeyReused, ForeignTicket, StoreError.
        """
        answer: Future[Permission] = Future()
        if key is not None:
            if key in self._keys:
                raise InFlight("a request with this Idempotency-Key is being answered: wait for it, or send another key")
            self._keys.add(key)
            answer.add_done_callback(lambda _: self._keys.discard(key))
        ticket = ticket or questions.ticket_of(question.run_id, question.attempt, question.task, key)
        held_seconds = wait_seconds if len(self._room.waiters) < MOST_HELD else 0.0
        ask = Ask(
            question, ticket, key, payload, self._asked_ns(), self._clock.monotonic() + held_seconds, wait_seconds > 0, answer
        )
        self._do(lambda desk: desk.take(ask), answer)
        return answer

    def _asked_ns(self) -> int:
        with self._asking:
            self._last_ns = max(self._steady.now_ns(), self._last_ns + 1)
            return self._last_ns

    def renew(self, lease_id: str, token: int) -> Future[Lease | None]:
        """Let a lease hold on. None: the token is not that of a live lease."""
        return self._change(lambda desk: desk.ledger.renew(lease_id, token))

    def release(self, lease_id: str, token: int) -> Future[Lease | None]:
        """Give a lease back. None: the token is not that of a live lease."""
        return self._change(lambda desk: desk.release(lease_id, token))

    def look_again(self, *, workflow: str | None = None, run_id: str | None = None) -> None:
        """Something changed that those who wait for this workflow, or with this run, rest on; for all when neither is said."""
        if self._room.waiters:
            self._do(lambda desk: desk.wake(workflow, run_id))

    def _ended(self, workflows: Iterable[str]) -> None:
        """Runs of these workflows ended."""
        names = set(workflows)
        if self._room.waiters:
            self._do(lambda desk: desk.wake_behind(names))

    def _change(self, change: Callable[[Desk], Lease | None]) -> Future[Lease | None]:
        answer: Future[Lease | None] = Future()

        def act(desk: Desk) -> None:
            found = change(desk)
            desk.after.append(lambda: _give(answer, found))

        self._do(act, answer)
        return answer

    def _do(self, act: Act, answer: Future[Any] | None = None) -> None:
        self._inbox.append((act, answer))
        self._wakes.set()

    # -- the thread ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Take turns until stopped."""
        while not self._stopping.is_set():
            sleep_seconds = 0.0
            try:
                if not self.turn():
                    sleep_seconds = self._sleep_seconds()
                self.trouble = None
            except Exception as error:  # noqa: BLE001 (a room that gives up would let nobody go any more)
                self.trouble = f"{type(error).__name__}: {error}"
                log.say(f"permission: trying again: {self.trouble}", log.WARN)
                sleep_seconds = _RETRY_SECONDS
            if sleep_seconds:
                self._wakes.wait(sleep_seconds)
                self._wakes.clear()

    def stop(self, seconds: float) -> None:
        """End after the present turn; who waits still is not answered, and asks again."""
        self._stopping.set()
        self._wakes.set()
        if self.is_alive():
            self.join(seconds)

    def turn(self) -> bool:
        """Do what is to be done now; whether there is more. What was asked and could not be answered has the error."""
        with self._turn:
            self._follow_clock()
            acts = [self._inbox.popleft() for _ in range(min(len(self._inbox), BATCH))]
            self._wake_due()
            if not acts and self._is_idle():
                return False
            began = self._clock.monotonic()
            try:
                self._transact([act for act, _ in acts])
            except Exception as error:
                for answer in (answer for _, answer in acts if answer is not None and not answer.done()):
                    answer.set_exception(StoreError(f"cannot decide: {error}. Ask again"))
                self._inbox.extendleft(act for act in reversed(acts) if act[1] is None)  # that something changed is still so
                raise
            self.counters.observe("rota_permission_turn_seconds", self._clock.monotonic() - began)
            return bool(self._inbox or self._room.due or self._room.serving)

    def _follow_clock(self) -> None:
        """If the wall clock was set, let what is held hold as long as it would have, and who waits wait as long."""
        step_ns = self._steady.step_ns()
        if not step_ns:
            return
        with self._expectations.transaction() as connection:
            leases.move(connection, step_ns, self._steady.now_ns())
            questions.move(connection, step_ns)
            self._steady.keep(connection, step_ns)
        self._steady.follow(step_ns)
        self._room.move(step_ns)
        with self._asking:
            self._last_ns += step_ns
        log.say(f"permission: the clock was set by {step_ns / 1e9:+.1f} s: leases and those who wait are moved with it", log.WARN)

    def _transact(self, acts: list[Act]) -> None:
        room, now = self._room, self._clock.monotonic()
        with self._expectations.transaction() as connection:
            desk = Desk(connection, room, self._steady.now_ns(), now)
            try:
                self._leave(desk)
                for act in acts:
                    act(desk)
                desk.answer_all()
                desk.close()
            except BaseException:
                desk.undo()
                raise
        desk.learn()
        for word, many in desk.told_answers.items():
            self.counters.add(series("rota_permission_answers_total", answer=word), many)

    def _wake_due(self) -> None:
        """Have looked at what time has come for."""
        room = self._room
        for name in room.looks.due(self._steady.now_ns()):
            kind, _, what = name.partition(" ")
            if kind == "scope":
                room.serving.add(what)
            elif what in room.waiters:
                room.due.add(what)
        if self._closing():
            for waiter in filter(lambda each: each.is_held, self.waiters()):
                room.tells.set(waiter.ticket, waiter.hurry())

    def _is_idle(self) -> bool:
        room, now = self._room, self._clock.monotonic()
        next_tell = room.tells.next()
        is_forgetting = now - self._forgot >= FORGET_SECONDS or (self._left and now - self._begun >= LEFT_SECONDS)
        return not (room.due or room.serving or is_forgetting or (next_tell is not None and next_tell <= now))

    def _leave(self, desk: Desk) -> None:
        """Let go of who has not come again, and of what nobody asks for any more."""
        now = self._clock.monotonic()
        if self._left and now - self._begun >= LEFT_SECONDS:
            questions.leave(desk.connection, self._left - self._room.waiters.keys())
            self._left = set()
        if now - self._forgot >= FORGET_SECONDS:
            self._forgot = now
            leases.forget(desk.connection, desk.now_ns)
            questions.forget(desk.connection, desk.now_ns)

    def _sleep_seconds(self) -> float:
        room = self._room
        at_ns, tell = room.looks.next(), room.tells.next()
        ways = [_LONGEST_SLEEP_SECONDS]
        ways += [] if at_ns is None else [(at_ns - self._steady.now_ns()) / 1e9]
        ways += [] if tell is None else [tell - self._clock.monotonic()]
        return max(0.001, min(ways))

    def waiters(self) -> list[Waiter]:
        """Who waits, in no order; as of now."""
        return list(self._room.waiters.values())


def _give(answer: Future[Lease | None], found: Lease | None) -> None:
    if answer.set_running_or_notify_cancel():
        answer.set_result(found)
