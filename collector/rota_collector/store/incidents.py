"""Incidents as they are now. Every transition is stored together with the event that tells of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Engine, bindparam, func, insert, or_, select, tuple_

from rota_collector.domain import incident as domain
from rota_collector.domain.incident import Incident, Transition
from rota_collector.domain.reach import EVERYTHING, Reach
from rota_collector.store import audit, events
from rota_collector.store.control_queries import Page, page_of, page_parts
from rota_collector.store.dialect import driver_sql, upsert
from rota_collector.store.expectations_schema import incidents, outgoing
from rota_collector.store.within import within

_columns = [incidents.c[name] for name in Incident._fields]
_put = driver_sql(upsert(incidents))  # its parameters are the fields of Incident, in order
_one = select(*_columns).where(incidents.c.id == bindparam("identity"))
_open = select(*_columns).where(incidents.c.closed_ns.is_(None))
_open_of = _open.where(incidents.c.workflow.in_(bindparam("names", expanding=True)))
_open_due = _open.where(incidents.c.next_ns <= bindparam("now")).order_by(incidents.c.next_ns).limit(bindparam("limit"))
_next = select(func.min(incidents.c.next_ns)).where(incidents.c.closed_ns.is_(None))
_open_groups = _open.where(incidents.c.kind.in_((domain.HOST_SILENT, domain.DOWNTIME)))
_missed_on = _open.where(incidents.c.kind == "missed", incidents.c.on_host.in_(bindparam("hosts", expanding=True)))
_members = select(*_columns).where(
    or_(incidents.c.group_id == bindparam("identity"), incidents.c.suppressed_by == bindparam("identity"))
)
_forgiven = (
    select(incidents.c.workflow, incidents.c.host, func.max(incidents.c.closed_ns))
    .where(incidents.c.closed_by.is_not(None))
    .group_by(incidents.c.workflow, incidents.c.host)
)


def queue(connection: Connection, records: Sequence[str]) -> None:
    """Have these log records (JSON) brought into the journal, together."""
    if records:
        connection.execute(insert(outgoing), {"records": ",".join(records)})


class IncidentFilter(NamedTuple):
    """Which incidents; None: any."""

    state: str | None = None  # open, closed
    workflow: str | None = None
    reach: Reach = EVERYTHING


def keep(connection: Connection, transitions: Sequence[Transition]) -> None:
    """Store what transitions leave, and queue the events that tell of them."""
    if not transitions:
        return
    last = {transition.incident.id: tuple(transition.incident) for transition in transitions}
    connection.exec_driver_sql(_put.sql, list(last.values()))
    queue(connection, [events.of_transition(transition) for transition in transitions])


def find(connection: Connection, identity: str) -> Incident | None:
    """The incident of this id."""
    row = connection.execute(_one, {"identity": identity}).first()
    return None if row is None else Incident._make(row)


def open_by_instance(connection: Connection, names: Sequence[str]) -> dict[tuple[str, str], dict[str, Incident]]:
    """(workflow, host) → kind → its open incident."""
    found: dict[tuple[str, str], dict[str, Incident]] = {}
    for start in range(0, len(names), 500):
        for row in connection.execute(_open_of, {"names": names[start : start + 500]}):
            incident = Incident._make(row)
            found.setdefault((incident.workflow, incident.host), {})[incident.kind] = incident
    return found


def open_groups(connection: Connection) -> dict[str, Incident]:
    """id → open incident that speaks for others."""
    return {row.id: Incident._make(row) for row in connection.execute(_open_groups)}


def missed_on(connection: Connection, hosts: Iterable[str]) -> dict[str, list[Incident]]:
    """Host → the open ``missed`` incidents of what ran there."""
    found: dict[str, list[Incident]] = {}
    for row in connection.execute(_missed_on, {"hosts": list(hosts)}):
        found.setdefault(row.on_host, []).append(Incident._make(row))
    return found


def due(connection: Connection, now_ns: int, limit: int) -> list[Incident]:
    """Open incidents of which something is due: a reminder, an escalation, the end of a snooze."""
    return [Incident._make(row) for row in connection.execute(_open_due, {"now": now_ns, "limit": limit})]


def next_ns(connection: Connection) -> int | None:
    """When something is due next; None: never."""
    found: int | None = connection.execute(_next).scalar_one()
    return found


def members_of(connection: Connection, identity: str) -> list[Incident]:
    """The incidents that another one speaks for."""
    return [Incident._make(row) for row in connection.execute(_members, {"identity": identity})]


def forgiven(connection: Connection) -> dict[tuple[str, str], int]:
    """(workflow, host) → when a person last closed one of its incidents, Unix ns."""
    return {(row[0], row[1]): row[2] for row in connection.execute(_forgiven)}


class Incidents:
    """Incidents as people see them and act on them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)

    def page(self, filters: IncidentFilter, page: str | None = None, limit: int = 100) -> Page[Incident]:
        """Incidents, the last opened first. Raises BadCursor."""
        query = within(select(*_columns), filters.reach, incidents.c.workflow)
        if filters.state is not None:
            query = query.where(
                incidents.c.closed_ns.is_(None) if filters.state == "open" else incidents.c.closed_ns.is_not(None)
            )
        if filters.workflow is not None:
            query = query.where(incidents.c.workflow == filters.workflow)
        key = (incidents.c.opened_ns, incidents.c.id)
        if page is not None:
            query = query.where(tuple_(*key) < tuple_(*page_parts(page, int, str)))
        query = query.order_by(key[0].desc(), key[1].desc()).limit(limit + 1)
        with self._engine.begin() as connection:
            found = [Incident._make(row) for row in connection.execute(query)]
        return page_of(found, limit, lambda incident: (incident.opened_ns, incident.id))

    def get(self, identity: str, reach: Reach = EVERYTHING) -> Incident | None:
        """The incident of this id (or of the only one that begins so) within reach, or None."""
        query = select(*_columns).where(incidents.c.id >= identity, incidents.c.id < identity + "\U0010ffff").limit(2)
        query = within(query, reach, incidents.c.workflow)
        with self._engine.begin() as connection:
            found = [Incident._make(row) for row in connection.execute(query)]
        return found[0] if len(found) == 1 else None

    def members(self, identity: str) -> list[Incident]:
        """The incidents that this one speaks for."""
        with self._engine.begin() as connection:
            return members_of(connection, identity)

    def acknowledge(self, identity: str, by: str, now_ns: int) -> Incident | None:
        """Somebody works on it. None: there is no such open incident."""
        return self._act(identity, "incident.ack", by, lambda incident: domain.acknowledge(incident, by, now_ns))

    def snooze(self, identity: str, until_ns: int, now_ns: int, by: str = "") -> Incident | None:
        """Nothing is said of it until then. None: there is no such open incident."""
        return self._act(identity, "incident.snooze", by, lambda incident: domain.snooze(incident, until_ns, now_ns))

    def close(self, identity: str, by: str, now_ns: int) -> Incident | None:
        """A person settles it: what went wrong until now does not open it again. None: there is no such open incident."""
        return self._act(
            identity,
            "incident.close",
            by,
            lambda incident: domain.close(incident, f"closed by {by}", now_ns, domain.Alerting(), by),
        )

    def _act(self, identity: str, name: str, by: str, action: Callable[[Incident], Transition]) -> Incident | None:
        with self._writer.begin() as connection:
            row = connection.execute(_one, {"identity": identity}).first()
            if row is None or row.closed_ns is not None:
                return None
            incident = Incident._make(row)
            transition = action(incident)
            changes = [transition]
            if transition.incident.closed_ns is not None:
                changes += [
                    domain.release(member, transition.at_ns)
                    for member in members_of(connection, identity)
                    if member.closed_ns is None
                ]
            keep(connection, changes)
            before, after = audit.differing(incident._asdict(), transition.incident._asdict())
            audit.add(connection, transition.at_ns, by, name, incident.id, before=before, after=after)
        return transition.incident
