"""Who looks at other systems, up to when, and which workflows are known from there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, or_, select, update

from rota.rules.fold import Run
from rota_collector.decode.to_rows import Look, ToldSchedule
from rota_collector.domain.looking import Observer
from rota_collector.store.control_schema import runs
from rota_collector.store.dialect import do_nothing, greatest, upsert
from rota_collector.store.expectations_schema import downtimes, incidents, observed, observers, policy_versions, watches

_columns = [observers.c[name] for name in Observer._fields]
_all = select(*_columns).order_by(observers.c.source, observers.c.place, observers.c.on_host)
_systems = select(observers.c.source).distinct()
_this = and_(
    observers.c.source == bindparam("of_source"),
    observers.c.place == bindparam("of_place"),
    observers.c.on_host == bindparam("of_host"),
)
_set = update(observers).where(_this)
_looked = _set.values(
    host=bindparam("from_host"), every_ns=bindparam("every"), problem=bindparam("why"),
    looked_ns=greatest(observers.c.looked_ns, bindparam("looked")), heard_ns=greatest(observers.c.heard_ns, bindparam("heard")),
)  # fmt: skip
_forget = delete(observers).where(_this)
_see = upsert(observed)
# A system that is looked at for the first time, as far as we know: what is known of it already.
_of_runs = insert(observed).from_select(
    ["workflow", "source"], select(runs.c.workflow, runs.c.source).where(runs.c.source == bindparam("system")).distinct()
)
_of_schedules = select(policy_versions.c.workflow).where(
    policy_versions.c.origin == "code", policy_versions.c.author == bindparam("system")
).distinct()  # fmt: skip
_seen = and_(
    watches.c.workflow.in_(select(observed.c.workflow).where(observed.c.source == bindparam("of_source"))),
    or_(bindparam("of_host") == "", watches.c.host == bindparam("of_host"), watches.c.on_host == bindparam("of_host")),
)
_stakes = select(func.sum(watches.c.open_runs), func.count(watches.c.next_due_ns)).where(_seen)
_look_again = update(watches).where(_seen).values(next_ns=0)
_back = (
    update(downtimes).where(downtimes.c.id == bindparam("identity"))
    .values(until_ns=bindparam("until"), settled_ns=bindparam("settled"))
)  # fmt: skip
_closed = (
    select(observers.c.incident_id).join(incidents, incidents.c.id == observers.c.incident_id)
    .where(incidents.c.closed_ns.is_not(None))
)  # fmt: skip


def note(connection: Connection, looks: Sequence[Look], changed: Iterable[Run], schedules: Iterable[ToldSchedule]) -> None:
    """Keep who looked when, and what workflows are known from the systems that are looked at."""
    systems = set(connection.execute(_systems).scalars())
    for look in looks:
        if look.source not in systems:
            _begin(connection, look.source)
            systems.add(look.source)
        _keep(connection, look)
    if systems:
        told = [(run.workflow, run.source) for run in changed] + [(each.workflow, each.source) for each in schedules]
        _know(connection, {workflow: source for workflow, source in told if source in systems})


def _begin(connection: Connection, system: str) -> None:
    connection.execute(delete(observed).where(observed.c.source == system))
    connection.execute(_of_runs, {"system": system})
    _know(connection, dict.fromkeys(connection.execute(_of_schedules, {"system": system}).scalars(), system))


def _know(connection: Connection, systems: Mapping[str, str]) -> None:
    if systems:
        connection.execute(_see, [{"workflow": workflow, "source": source} for workflow, source in systems.items()])


def _keep(connection: Connection, look: Look) -> None:
    row = {
        "source": look.source, "place": look.place, "on_host": look.on_host, "host": look.host, "looked_ns": look.at_ns,
        "heard_ns": look.heard_ns, "every_ns": look.every_ns, "problem": look.problem, "downtime_id": None, "incident_id": None,
    }  # fmt: skip
    connection.execute(do_nothing(observers), row)
    known = {"looked": 0 if look.problem else look.at_ns, "heard": 0 if look.problem else look.heard_ns}
    connection.execute(_looked, {**_key(look), **known, "from_host": look.host, "every": look.every_ns, "why": look.problem})


def every(connection: Connection) -> list[Observer]:
    """All of them."""
    return [Observer._make(row) for row in connection.execute(_all)]


def given_up(connection: Connection) -> set[str]:
    """The ids of those incidents of theirs that somebody closed."""
    return set(connection.execute(_closed).scalars())


def at_stake(connection: Connection, observer: Observer) -> tuple[int, int]:
    """(open runs, scheduled workflows) among the instances that it sees."""
    open_runs, scheduled = connection.execute(_stakes, _of(observer)).one()
    return open_runs or 0, scheduled


def is_away(connection: Connection, observer: Observer, downtime_id: str | None, incident_id: str | None) -> None:
    """Keep by which downtime and incident its absence is known; None: it is there."""
    values = {"downtime_id": downtime_id, "incident_id": incident_id}
    connection.execute(_set.values(**values), _key(observer))


def came_back(connection: Connection, downtime_id: str, until_ns: int, settled_ns: int) -> None:
    """Keep when its absence ended, and until when what was due in it stays unknown."""
    connection.execute(_back, {"identity": downtime_id, "until": until_ns, "settled": settled_ns})


def look_again(connection: Connection, observer: Observer) -> None:
    """Have all instances judged that it sees."""
    connection.execute(_look_again, _of(observer))


def forget(connection: Connection, observer: Observer) -> None:
    """Wait for it no longer."""
    connection.execute(_forget, _key(observer))


def _key(one: Look | Observer) -> dict[str, Any]:
    return {"of_source": one.source, "of_place": one.place, "of_host": one.on_host}


def _of(observer: Observer) -> dict[str, Any]:
    return {"of_source": observer.source, "of_host": observer.on_host}
