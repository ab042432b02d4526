"""Observers that fall silent, come back, or are given up: what is due meanwhile is unknown, and people are told once."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable

from sqlalchemy import Connection

from rota_collector.domain import incident as incidents_domain
from rota_collector.domain import looking
from rota_collector.domain.incident import Alerting, Transition
from rota_collector.domain.looking import Observer
from rota_collector.store import incidents, observers, quiet
from rota_collector.watch import tick
from rota_collector.watch.tick import Tools


def watch_observers(tools: Tools, now_ns: int, since_ns: int) -> None:
    """Look after all of them at ``now_ns``; ``since_ns``: since when we listen without a gap (Unix ns)."""
    with tools.expectations.reading() as connection:
        given_up = observers.given_up(connection)
        due = [(each, act) for each in observers.every(connection) if (act := _due(each, given_up, now_ns, since_ns))]
    if due:
        with tools.expectations.transaction() as connection:
            changes = [change for each, act in due for change in act(connection, each, now_ns)]
            tick.keep(connection, tools, changes, now_ns)


_Act = Callable[[Connection, Observer, int], Iterable[Transition]]


def _due(observer: Observer, given_up: set[str], now_ns: int, since_ns: int) -> _Act | None:
    if observer.downtime_id is None:
        return _miss if looking.is_silent(observer, now_ns, since_ns) else None
    if not looking.is_silent(observer, now_ns, 0):
        return _welcome
    return _give_up if observer.incident_id in given_up else None


def _miss(connection: Connection, observer: Observer, now_ns: int) -> Iterable[Transition]:
    down = looking.absence(observer, str(uuid.uuid4()))
    quiet.keep_downtime(connection, down)
    open_runs, scheduled = observers.at_stake(connection, observer)
    lost = [looking.lost(observer, open_runs, scheduled, now_ns)] if open_runs or scheduled else []
    observers.is_away(connection, observer, down.id, lost[0].incident.id if lost else None)
    return lost


def _welcome(connection: Connection, observer: Observer, now_ns: int) -> Iterable[Transition]:
    observers.came_back(connection, observer.downtime_id or "", observer.looked_ns, observer.looked_ns)
    observers.is_away(connection, observer, None, None)
    observers.look_again(connection, observer)
    there = incidents.find(connection, observer.incident_id or "")
    if there is not None and there.closed_ns is None:
        yield incidents_domain.close(there, f"{observer.source} is looked at again", now_ns, Alerting())


def _give_up(connection: Connection, observer: Observer, now_ns: int) -> Iterable[Transition]:
    """Somebody closed the incident: nobody waits for this observer any more, and what was due meanwhile stays unknown."""
    observers.came_back(connection, observer.downtime_id or "", now_ns, looking.FOR_EVER_NS)
    observers.forget(connection, observer)
    observers.look_again(connection, observer)
    return []
