"""The hosts whose agents we hear, so that one that falls silent is noticed; and what is at stake there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, bindparam, delete, or_, select

from rota.rules.fold import NONTERMINAL
from rota_collector.decode.heartbeats import Heartbeat
from rota_collector.store.control_schema import runs
from rota_collector.store.dialect import upsert
from rota_collector.store.expectations_schema import agents, watches

_put = upsert(agents)
_forget = delete(agents).where(agents.c.host == bindparam("of_host"))
_silent = select(agents).where(agents.c.heard_ns < bindparam("before")).order_by(agents.c.host).limit(bindparam("limit"))
_open_runs = (
    select(runs.c.workflow).where(runs.c.state.in_(NONTERMINAL), runs.c.host == bindparam("of_host")).limit(bindparam("limit"))
)
_expected = select(watches.c.workflow).where(
    watches.c.next_due_ns.is_not(None), or_(watches.c.host == bindparam("of_host"), watches.c.on_host == bindparam("of_host"))
)
_MOST = 1000


def note(connection: Connection, beats: Sequence[Heartbeat]) -> None:
    """Keep when each agent was heard; one that ended in good order is not missed."""
    latest = {beat.host: beat for beat in beats}
    there = [{"host": beat.host, "heard_ns": beat.at_ns} for beat in latest.values() if not beat.is_last]
    if there:
        connection.execute(_put, there)
    forget(connection, [beat.host for beat in latest.values() if beat.is_last])


def silent(connection: Connection, before_ns: int) -> Mapping[str, int]:
    """Host → Unix ns of the last heartbeat, where that was before then."""
    return {row.host: row.heard_ns for row in connection.execute(_silent, {"before": before_ns, "limit": _MOST})}


def forget(connection: Connection, hosts: Sequence[str]) -> None:
    """Expect no heartbeat of these until there is one again."""
    if hosts:
        connection.execute(_forget, [{"of_host": host} for host in hosts])


def at_stake(connection: Connection, host: str) -> tuple[list[str], list[str]]:
    """(the workflow of each open run on that host, the workflows with a schedule that run there)."""
    of_runs = connection.execute(_open_runs, {"of_host": host, "limit": _MOST}).scalars().all()
    return sorted(of_runs), sorted(set(connection.execute(_expected, {"of_host": host}).scalars()))
