"""A collector's waiting room behind a door: real stores and the real room, played turn by turn in a simulated world.

It can be killed in any turn, before its transaction or between that and its answers, and started again; its wall clock is set.
Who stands at the door writes down every call and its answer, with real times.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from asking import new_stores
from chaos.linear import Grant, Op
from chaos.sim import S, World
from sqlalchemy import Connection

from rota_collector.api import shape
from rota_collector.domain.admission import Question
from rota_collector.errors import InFlight
from rota_collector.store.leases import Lease, Leases
from rota_collector.store.questions import Permission
from rota_collector.watch.waiting import Waiting

T0 = 1_790_000_000 * S
_NAMES = ("leases", "scopes", "questions", "told_answers", "outgoing", "anchor")

Reply = Callable[[Any], object]  # called with the answer, or with the error instead of one


class Killed(BaseException):
    """The collector's process was, in the middle of a turn."""


class Clock:
    """The collector's: a monotonic one that is right, and one on the wall that is ``ahead_ns`` of it."""

    def __init__(self) -> None:
        self.world, self.ahead_ns = World(), 0

    def now_ns(self) -> int:
        return T0 + self.world.now_ns + self.ahead_ns

    def monotonic(self) -> float:
        return self.world.now_ns / S

    def boot(self) -> str:
        return "this one"


class Grounds:
    """Stores with policies, which many histories use one after the other."""

    def __init__(self, folder: Path, policies: Mapping[str, Mapping[str, Any]]) -> None:
        self.clock = Clock()
        self.stores = new_stores(folder)
        self.expectations = self.stores.expectations
        self.expectations._clock = self.clock
        self._transaction = self.expectations.transaction
        self.expectations.policies.put(dict(policies), author="ada", reason=None, now_ns=T0)

    def begin(self) -> None:
        """As if nothing had ever been asked."""
        self.clock.world, self.clock.ahead_ns = World(), 0
        self.expectations.transaction = self._transaction  # type: ignore[method-assign]
        with self._transaction() as connection:
            for name in _NAMES:
                connection.exec_driver_sql(f"DELETE FROM {name}")

    def close(self) -> None:
        self.stores.control.close()


class Call(NamedTuple):
    """One that is being answered: when it came, for whom, and what would be said of it."""

    called_ns: int
    ticket: str
    reply: Reply
    lost: Op | None


class Door:
    """The collector as its clients see it. ``history``: what was answered; ``takes``: by workflow, weight by scope."""

    def __init__(
        self, grounds: Grounds, takes: Mapping[str, Mapping[str, int]], chance: random.Random, deadliness: float, laziness: float
    ) -> None:  # fmt: skip
        self.world, self.clock = grounds.clock.world, grounds.clock
        self._grounds, self._takes, self._chance = grounds, takes, chance
        self._deadliness, self._laziness = deadliness, laziness
        self.history: list[Op] = []  # of a question that is still open nothing is known
        self._lost: defaultdict[str, list[Op]] = defaultdict(list)  # by who asked: questions whose answers were lost
        self._calls: dict[Future[Any], Call] = {}
        self._room: Waiting | None = None
        self._alarm_ns: int | None = None
        self.kills = 0
        grounds.expectations.transaction = self._dangerous  # type: ignore[method-assign]
        self.start()

    # -- its life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """A process with the stores as they are."""
        self._grounds.expectations.policies.asking.changed.clear()  # those of the room before
        self._room, deadliness = None, self._deadliness
        self._deadliness = 0.0
        self._room = Waiting(self._grounds.expectations, self.clock)
        self._alarm_ns = None
        self._deadliness = deadliness
        self._turn_by(0.0)

    def kill(self, back_after: float) -> None:
        """Nobody who asked is answered any more; their connections end."""
        self.kills += 1
        self._room, calls, self._calls = None, self._calls, {}
        for call in calls.values():
            self._lose(call)
            call.reply(ConnectionResetError("the collector was killed"))
        self.world.after(back_after, self.start)

    def set_clock(self, ahead_seconds: float) -> None:
        """Have the wall clock jump."""
        self.clock.ahead_ns += round(ahead_seconds * S)

    def left_after(self, quiet_ns: int) -> list[Lease]:
        """The leases that are live when nobody has said anything for so long, and the collector lived."""
        self.world.forget()
        self._deadliness = 0.0
        self.start()
        self.world.run(self.world.now_ns + quiet_ns)
        return Leases(self._grounds.stores.control.engine, self.clock).live().items

    @contextmanager
    def _dangerous(self) -> Iterator[Connection]:
        """A transaction that may not come to its end, or whose end nobody hears of."""
        dies = self._chance.random() < self._deadliness
        after = self._chance.random() < 0.5
        with self._grounds._transaction() as connection:
            yield connection
            if dies and not after:
                raise Killed
            if self._chance.random() < self._deadliness:
                self._somebody_leaves()
        if dies:
            raise Killed

    def _turn_by(self, seconds: float) -> None:
        """A thread is woken when there is something to do, and begins when the machine lets it."""
        at_ns, room = self.world.now_ns + round(seconds * S), self._room
        if self._alarm_ns is None or at_ns < self._alarm_ns:
            self._alarm_ns = at_ns
            self.world.after(seconds, lambda: self._turns() if (at_ns, room) == (self._alarm_ns, self._room) else None)

    def _turns(self) -> None:
        assert self._room is not None
        self._alarm_ns = None
        try:
            while self._room.turn():
                pass
        except Killed:
            self.kill(self._chance.uniform(0.1, 30.0))
        else:
            self._turn_by(self._room._sleep_seconds() + self._chance.uniform(0, self._laziness))

    # -- what is asked ----------------------------------------------------------------------------------------------------

    def ask(self, body: Mapping[str, Any], key: str, reply: Reply) -> Callable[[], object]:
        """``POST /api/v1/permission``; returns what is to be done when the asker goes away."""
        if self._room is None:
            reply(ConnectionRefusedError("nobody listens"))
            return lambda: None
        question = Question(body["workflow"], body["run_id"], body["attempt"], host=body["host"])
        try:
            asked = self._room.ask(question, body["ticket"], key, repr(sorted(body.items())), body["wait_seconds"])
        except InFlight as error:
            reply(KeyError(str(error)))
            return lambda: None
        self._calls[asked] = Call(self.world.now_ns, body["run_id"], reply, None)
        asked.add_done_callback(lambda done: self._asked(done, question))
        self._turn_by(self._chance.uniform(0, self._laziness))
        return asked.cancel

    def change(self, what: str, lease: str, token: int, reply: Reply) -> None:
        """``POST /api/v1/leases/{id}/renew`` or ``release``."""
        if self._room is None:
            reply(ConnectionRefusedError("nobody listens"))
            return
        changed = getattr(self._room, what)(lease, token)
        unsure = Op(what, self.world.now_ns, 0, (), lease, token, is_sure=False)
        self._calls[changed] = Call(self.world.now_ns, "", reply, unsure)
        changed.add_done_callback(lambda done: self._changed(done, what, lease, token))
        self._turn_by(self._chance.uniform(0, self._laziness))

    def _asked(self, done: Future[Permission], question: Question) -> None:
        call = self._calls.pop(done, None)
        if call is None:
            return
        if done.cancelled():
            self._lose(call)
            return
        found = done.result()
        if found.answer == "go":
            assert {lease.scope for lease in found.leases} == self._takes[question.workflow].keys(), f"part of it: {found}"
            grants = tuple(self._grant(lease) for lease in found.leases)
            self._note("acquire", call, grants)
            self._find_lost(call.ticket, grants, any(lease.granted_ns != self.clock.now_ns() for lease in found.leases))
        call.reply({**found._asdict(), "leases": [shape.granted_item(lease) for lease in found.leases]})

    def _changed(self, done: Future[Lease | None], what: str, lease: str, token: int) -> None:
        call = self._calls.pop(done, None)
        if call is None:
            return
        found = done.result()
        if found is None:
            self._note("refused", call, (), lease, token)
            call.reply(KeyError("the lease is over"))
        else:
            self._note(what, call, (self._grant(found),) if what == "renew" else (), lease, token)
            call.reply(shape.granted_item(found))

    def _grant(self, lease: Lease) -> Grant:
        expires_ns = self.world.now_ns + lease.lasts_ns
        return Grant(lease.id, lease.scope, lease.weight, lease.token, expires_ns)

    # -- what is written down ---------------------------------------------------------------------------------------------

    def _note(self, kind: str, call: Call, grants: tuple[Grant, ...], lease: str = "", token: int = 0) -> None:
        self.history.append(Op(kind, call.called_ns, self.world.now_ns, grants, lease, token))

    def _lose(self, call: Call) -> None:
        """Its answer is: it happened now, or not."""
        if call.lost is not None:
            self.history.append(call.lost._replace(answered_ns=self.world.now_ns))
        else:
            self._lost[call.ticket].append(Op("acquire", call.called_ns, self.world.now_ns, is_sure=False))

    def _find_lost(self, ticket: str, grants: tuple[Grant, ...], is_again: bool) -> None:
        """What was granted before may have been by a question whose answer was lost."""
        lost = self._lost.pop(ticket, [])
        self.history += [op._replace(grants=grants) for op in lost if is_again]

    def _somebody_leaves(self) -> None:
        """One of those who ask goes away in the middle of a turn."""
        asking = [each for each, call in self._calls.items() if call.lost is None]
        if asking:
            self._chance.choice(asking).cancel()
