"""What control state forgets by age, a little in a transaction: whoever else writes waits for milliseconds."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, Select, bindparam, delete, select, update

from rota.rules.fold import TERMINAL
from rota_collector.store import inflight
from rota_collector.store.control_schema import run_tags, runs, workflows
from rota_collector.store.expectations_schema import downtimes, incidents, slots, watches

_STEP = 500  # rows in a transaction

# A run that is not over stays, and so does the last one of its workflow.
_runs = (
    select(runs.c.run_id)
    .where(runs.c.listed_ns < bindparam("before"), runs.c.state.in_(TERMINAL))
    .where(runs.c.run_id.not_in(select(workflows.c.last_run_id).where(workflows.c.last_run_id.is_not(None))))
    .order_by(runs.c.listed_ns)
    .limit(_STEP)
)
_incidents = select(incidents.c.id).where(incidents.c.closed_ns < bindparam("before")).limit(_STEP)
_downtimes = select(downtimes.c.id).where(downtimes.c.settled_ns < bindparam("before")).limit(_STEP)
# Slots that no review looks at any more.
_in_use = select(watches.c.workflow).where(
    watches.c.workflow == slots.c.workflow, watches.c.host == slots.c.host, watches.c.from_ns <= slots.c.due_ns
)
_slots = (
    select(slots.c.workflow, slots.c.host, slots.c.due_ns)
    .where(slots.c.due_ns < bindparam("before"), slots.c.verdict.is_not(None), ~_in_use.exists())
    .order_by(slots.c.due_ns)
    .limit(_STEP)
)
_drop_slots = delete(slots).where(
    slots.c.workflow == bindparam("of"), slots.c.host == bindparam("where"), slots.c.due_ns == bindparam("due")
)
# Else what comes to light late would have slots made again that were judged long ago.
_watch_from = update(watches).where(watches.c.watched_ns < bindparam("before")).values(watched_ns=bindparam("before"))


def forget(engine: Engine, before_ns: int) -> int:
    """Delete some of the rows from before it; how many. 0: nothing is left to delete."""
    with engine.execution_options(writes=True).begin() as connection:
        return (
            _forget_runs(connection, before_ns)
            + _forget_slots(connection, before_ns)
            + _forget_ids(connection, incidents, _incidents, before_ns)
            + _forget_ids(connection, downtimes, _downtimes, before_ns)
            + inflight.forget_acts(connection, before_ns)
        )


def forget_facts(engine: Engine, now_ns: int) -> None:
    """Delete what tasks told to rules of runs that are long over."""
    with engine.execution_options(writes=True).begin() as connection:
        inflight.forget(connection, now_ns - inflight.KEPT_NS)


def _forget_runs(connection: Connection, before_ns: int) -> int:
    ids = list(connection.execute(_runs, {"before": before_ns}).scalars())
    if ids:
        connection.execute(delete(run_tags).where(run_tags.c.listed_ns < before_ns, run_tags.c.run_id.in_(ids)))
        connection.execute(delete(runs).where(runs.c.run_id.in_(ids)))
    return len(ids)


def _forget_slots(connection: Connection, before_ns: int) -> int:
    found = connection.execute(_slots, {"before": before_ns}).all()
    if found:
        connection.execute(_drop_slots, [{"of": workflow, "where": host, "due": due} for workflow, host, due in found])
        connection.execute(_watch_from, {"before": before_ns})
    return len(found)


def _forget_ids(connection: Connection, table: Any, query: Select[Any], before_ns: int) -> int:
    ids = list(connection.execute(query, {"before": before_ns}).scalars())
    if ids:
        connection.execute(delete(table).where(table.c.id.in_(ids)))
    return len(ids)
