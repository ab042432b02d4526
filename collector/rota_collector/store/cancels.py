"""Runs that are to end, for the hosts that can end them. A run is cancelled when it says so; until then it is ``cancelling``."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from sqlalchemy import Connection, Engine, bindparam, func, select, update

from rota.rules.fold import TERMINAL, Run
from rota_collector.domain.reach import EVERYTHING, Reach
from rota_collector.store import control_queries as queries
from rota_collector.store import events, incidents
from rota_collector.store.control_schema import runs
from rota_collector.store.dialect import upsert
from rota_collector.store.inflight_schema import cancels, metadata
from rota_collector.store.within import within

MOST = 1000  # told at once


class Cancel(NamedTuple):
    """A run that is to end. ``number`` grows from one to the next; ``at_ns``: Unix ns."""

    run_id: str
    number: int
    workflow: str
    host: str | None
    by: str
    reason: str
    at_ns: int


_columns = [cancels.c[name] for name in Cancel._fields]
_newest = select(func.coalesce(func.max(cancels.c.number), 0))
_open_of = select(*_columns).where(cancels.c.run_id == bindparam("run"), cancels.c.over_ns.is_(None))
_all_open = select(cancels.c.run_id).where(cancels.c.over_ns.is_(None))
_settle = update(cancels).where(cancels.c.run_id == bindparam("run")).values(over_ns=bindparam("at"))
_run = select(*[runs.c[name] for name in Run._fields]).where(runs.c.run_id == bindparam("run"))
_open = (
    select(*_columns)
    .join(runs, runs.c.run_id == cancels.c.run_id)
    .where(cancels.c.number > bindparam("known"), cancels.c.over_ns.is_(None), runs.c.state.not_in(TERMINAL))
    .order_by(cancels.c.number)
    .limit(MOST)
)


def order(connection: Connection, run: Run, by: str, reason: str, now_ns: int) -> Cancel:
    """Have an open run ended; the cancel that is there already when there is one. Told to the journal as ``cancelling``."""
    there = connection.execute(_open_of, {"run": run.run_id}).first()
    if there is not None:
        return Cancel._make(there)
    number = int(connection.execute(_newest).scalar_one()) + 1
    made = Cancel(run.run_id, number, run.workflow, run.host, by, reason, now_ns)
    connection.execute(upsert(cancels), {**made._asdict(), "over_ns": None})
    incidents.queue(connection, [events.of_cancel(run, by, reason, now_ns)])
    return made


def settle(connection: Connection, ended: Collection[str], now_ns: int) -> None:
    """The cancels of runs that ended are over."""
    over = [{"run": run_id, "at": now_ns} for run_id in connection.execute(_all_open).scalars() if run_id in ended]
    if over:
        connection.execute(_settle, over)


class Cancels:
    """The cancels in the control database ``engine``. ``number`` is that of the last one, as far as this process told it."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._writer = engine, engine.execution_options(writes=True)
        self.changed: list[Callable[[], None]] = []  # called when there is another one
        with self._writer.begin() as connection:
            metadata.create_all(connection)
            self.number = int(connection.execute(_newest).scalar_one())

    def order(self, run_id: str, by: str, reason: str, now_ns: int) -> tuple[Run | None, Cancel | None]:
        """(the run, if there is one, its cancel). None for the latter: it is over already."""
        with self._writer.begin() as connection:
            row = connection.execute(_run, {"run": run_id}).first()
            run = queries.to_run(row) if row is not None else None
            if run is None or run.state in TERMINAL:
                return run, None
            made = order(connection, run, by, reason, now_ns)
        self.told(made.number)
        return run, made

    def told(self, number: int) -> None:
        """There is one of that number."""
        if number > self.number:
            self.number = number
            for tell in self.changed:
                tell()

    def after(self, known: int, ids: Collection[str] = (), reach: Reach = EVERYTHING) -> list[Cancel]:
        """Those of open runs after number ``known``; of these runs, where given."""
        query = within(_open, reach, cancels.c.workflow)
        if ids:
            query = query.where(cancels.c.run_id.in_(list(ids)[:MOST]))
        with self._engine.begin() as connection:
            return [Cancel._make(row) for row in connection.execute(query, {"known": known})]
