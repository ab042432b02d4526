"""Leases: granted, renewed and released. Nothing here happens outside a transaction that holds the write lock.

``Ledger`` is one transaction's view: it reads what is taken of a scope once, counts what it grants itself, and writes all grants
together at its end. ``Leases`` is for whoever wants one thing done in a transaction of its own.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Engine, bindparam, delete, select, tuple_

from rota.rules.lease import missing
from rota_collector.clock import Clock
from rota_collector.domain.admission import Need, Question
from rota_collector.domain.reach import EVERYTHING, Reach
from rota_collector.store.admission_schema import leases, metadata, scopes
from rota_collector.store.control_queries import Page, page_of, page_parts
from rota_collector.store.dialect import driver_sql, read, read_one, upsert
from rota_collector.store.within import within

KEPT_NS = 86_400 * 10**9  # how long a lease that is over can still be looked up

_live = """
    SELECT coalesce(sum(weight), 0), min(expires_ns) FROM leases WHERE released_ns IS NULL AND scope = ? AND expires_ns > ?"""
_marks = (
    "SELECT granted_ns, run_id FROM leases WHERE is_mark = 1 AND scope = ? AND expires_ns > ? ORDER BY granted_ns DESC LIMIT ?"
)
_last = "SELECT token FROM scopes WHERE scope = ?"
_put_token = driver_sql(upsert(scopes))
_renew = """
    UPDATE leases SET expires_ns = max(expires_ns, ? + lasts_ns)
    WHERE id = ? AND token = ? AND is_mark = 0 AND released_ns IS NULL AND expires_ns > ?"""
_release = """
    UPDATE leases SET released_ns = ? WHERE id = ? AND token = ? AND is_mark = 0 AND released_ns IS NULL AND expires_ns > ?"""
_move = """
    UPDATE leases SET granted_ns = granted_ns + ?, expires_ns = expires_ns + ? WHERE released_ns IS NULL AND expires_ns > ?"""
_outlive = """
    UPDATE leases SET expires_ns = max(expires_ns, ? + lasts_ns)
    WHERE is_mark = 0 AND released_ns IS NULL AND expires_ns < ? + lasts_ns AND expires_ns > ?"""
_forget = delete(leases).where(leases.c.expires_ns < bindparam("before"))


class Lease(NamedTuple):
    """A grant. Times are Unix ns by the store's clock."""

    id: str
    scope: str
    ticket: str
    workflow: str
    run_id: str
    task: str | None
    attempt: int
    host: str | None
    weight: int
    token: int
    lasts_ns: int
    is_mark: bool
    granted_ns: int
    expires_ns: int
    released_ns: int | None = None


_columns = [leases.c[name] for name in Lease._fields]
_insert = f"INSERT INTO leases ({', '.join(Lease._fields)}) VALUES ({', '.join('?' * len(Lease._fields))})"  # noqa: S608
_one = f"SELECT {', '.join(Lease._fields)} FROM leases WHERE id = ?"  # noqa: S608
_of_ticket = f"""
    SELECT {", ".join(Lease._fields)} FROM leases
    WHERE ticket = ? AND is_mark = 0 AND released_ns IS NULL AND expires_ns > ? ORDER BY scope"""  # noqa: S608


class Mark(NamedTuple):
    """That a run began, when that counts."""

    granted_ns: int
    run_id: str


class _Scope:
    """What is used of a scope, when something of it expires, and its last token."""

    def __init__(self, used: int, frees_ns: int | None, token: int) -> None:
        self.used, self.frees_ns, self.token = used, frees_ns, token


class Ledger:
    """The leases as they are in the transaction of ``connection`` at ``now_ns``. ``close`` writes what was granted."""

    def __init__(self, connection: Connection, now_ns: int) -> None:
        self._connection, self.now_ns = connection, now_ns
        self._scopes: dict[str, _Scope] = {}
        self._granted: list[Lease] = []

    def lacking(self, needs: Iterable[Need]) -> list[str]:
        """The scopes in which there is no room for one more; empty: it fits."""
        return [need.scope for need in needs if missing(need.limit, self.used(need.scope), need.weight)]

    def used(self, scope: str) -> int:
        """The weight of its live grants."""
        return self._scope(scope).used

    def frees_ns(self, scope: str) -> int | None:
        """When something of it expires next (Unix ns), unless it is renewed; None: nothing is taken."""
        return self._scope(scope).frees_ns

    def marks(self, scope: str, most: int) -> list[Mark]:
        """The last marks that count still, the newest first."""
        rows = read(self._connection, _marks, (scope, self.now_ns, most))
        mine = [Mark(lease.granted_ns, lease.run_id) for lease in reversed(self._granted) if lease.scope == scope]
        return [*mine, *(Mark._make(row) for row in rows)][:most]

    def take(self, ticket: str, question: Question, needs: Iterable[Need]) -> list[Lease]:
        """Grant all of it; whoever calls has seen that it fits. The leases that are the asker's to hold."""
        made = [self._grant(ticket, question, need) for need in needs]
        self._granted += made
        return [lease for lease in made if not lease.is_mark]

    def held(self, ticket: str) -> list[Lease]:
        """The live leases of a ticket, renewed: who asks again is there."""
        found = [_lease(row) for row in read(self._connection, _of_ticket, (ticket, self.now_ns))]
        return [each for lease in found if (each := self.renew(lease.id, lease.token)) is not None]

    def find(self, identity: str) -> Lease | None:
        """The lease of this id."""
        row = read_one(self._connection, _one, (identity,))
        return None if row is None else _lease(row)

    def renew(self, identity: str, token: int) -> Lease | None:
        """Let it hold for its whole time from now on. None: the token is not that of a live lease."""
        changed = self._connection.exec_driver_sql(_renew, (self.now_ns, identity, token, self.now_ns)).rowcount
        return self.find(identity) if changed else None

    def release(self, identity: str, token: int) -> Lease | None:
        """Give it back. None: the token is not that of a live lease."""
        changed = self._connection.exec_driver_sql(_release, (self.now_ns, identity, token, self.now_ns)).rowcount
        released = self.find(identity) if changed else None
        if released is not None and released.scope in self._scopes:
            self._scopes[released.scope].used -= released.weight
        return released

    def close(self) -> None:
        """Write down what was granted."""
        if self._granted:
            self._connection.exec_driver_sql(_insert, [tuple(lease) for lease in self._granted])
            tokens = {lease.scope: self._scopes[lease.scope].token for lease in self._granted}
            self._connection.exec_driver_sql(_put_token.sql, list(tokens.items()))
        self._granted = []

    def _scope(self, name: str) -> _Scope:
        if name not in self._scopes:
            ((used, frees_ns),) = read(self._connection, _live, (name, self.now_ns))
            last = read_one(self._connection, _last, (name,))
            self._scopes[name] = _Scope(used, frees_ns, last[0] if last else 0)
        return self._scopes[name]

    def _grant(self, ticket: str, question: Question, need: Need) -> Lease:
        scope = self._scope(need.scope)
        scope.token += 1
        scope.used += need.weight
        expires_ns = self.now_ns + need.lasts_ns
        scope.frees_ns = expires_ns if scope.frees_ns is None else min(scope.frees_ns, expires_ns)
        return Lease(
            str(uuid.uuid4()), need.scope, ticket, question.workflow, question.run_id, question.task, question.attempt,
            question.host, need.weight, scope.token, need.lasts_ns, need.is_mark, self.now_ns, expires_ns,
        )  # fmt: skip


class Leases:
    """The leases in the control database ``engine``, each change in a transaction of its own, judged by ``clock``."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock
        self._writer = engine.execution_options(writes=True)
        with self._writer.begin() as connection:
            metadata.create_all(connection)

    def acquire(self, ticket: str, question: Question, needs: Sequence[Need]) -> list[Lease] | None:
        """All of the capacity, or none of it (None). Who has it already is given the same again."""
        with self._writer.begin() as connection:
            ledger = Ledger(connection, self._clock.now_ns())
            held = ledger.held(ticket)
            if held or not ledger.lacking(needs):
                held = held or ledger.take(ticket, question, needs)
                ledger.close()
                return held
        return None

    def renew(self, identity: str, token: int) -> Lease | None:
        """As ``Ledger.renew``."""
        with self._writer.begin() as connection:
            return Ledger(connection, self._clock.now_ns()).renew(identity, token)

    def release(self, identity: str, token: int) -> Lease | None:
        """As ``Ledger.release``."""
        with self._writer.begin() as connection:
            return Ledger(connection, self._clock.now_ns()).release(identity, token)

    def find(self, identity: str) -> Lease | None:
        """The lease of this id, live or over."""
        with self._engine.begin() as connection:
            return Ledger(connection, self._clock.now_ns()).find(identity)

    def live(self, scope: str | None = None, page: str | None = None, limit: int = 100, reach: Reach = EVERYTHING) -> Page[Lease]:
        """Live leases, the last granted first. Raises BadCursor."""
        query = within(select(*_columns), reach, leases.c.workflow)
        query = query.where(leases.c.is_mark == 0, leases.c.released_ns.is_(None), leases.c.expires_ns > self._clock.now_ns())
        if scope is not None:
            query = query.where(leases.c.scope == scope)
        key = (leases.c.granted_ns, leases.c.id)
        if page is not None:
            query = query.where(tuple_(*key) < tuple_(*page_parts(page, int, str)))
        query = query.order_by(key[0].desc(), key[1].desc()).limit(limit + 1)
        with self._engine.begin() as connection:
            found = [_lease(row) for row in connection.execute(query)]
        return page_of(found, limit, lambda lease: (lease.granted_ns, lease.id))


def move(connection: Connection, step_ns: int, now_ns: int) -> None:
    """The wall clock was set by ``step_ns``: what would be live at ``now_ns`` without that is so for as long as before, and what
    would be over stays so.
    """
    connection.exec_driver_sql(_move, (step_ns, step_ns, min(now_ns, now_ns + step_ns)))


def outlive(connection: Connection, stopped_ns: int, now_ns: int) -> None:
    """Those that were held when the collector stopped are held for their whole time from now on: nobody could renew them."""
    connection.exec_driver_sql(_outlive, (now_ns, now_ns, stopped_ns))


def forget(connection: Connection, now_ns: int) -> None:
    """Let go of the leases that are long over."""
    connection.execute(_forget, {"before": now_ns - KEPT_NS})


def _lease(row: Sequence[object]) -> Lease:
    found = Lease._make(row)
    return found._replace(is_mark=bool(found.is_mark))
