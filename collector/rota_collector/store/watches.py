"""The instances that are watched: which are due, what a review of them needs to know, and what it found.

``next_ns`` orders the deadlines. A run that changes sets it to 0 in the transaction that changes the run, so that no
fact is ever applied without being judged, whenever the process dies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, or_, select, text, update

from rota.rules.fold import NONTERMINAL, RunEvent
from rota_collector.domain.expect import BAD, Memory, RunFact
from rota_collector.domain.outcomes import NOTED
from rota_collector.domain.review import Review
from rota_collector.domain.slots import Slot
from rota_collector.store import events as own
from rota_collector.store import inflight, rollups
from rota_collector.store.control_schema import runs
from rota_collector.store.dialect import do_nothing, driver_sql, least, upsert
from rota_collector.store.expectations_schema import hosts, observed, policies, slots, watches

LATEST_RUNS = 30  # of a changed instance, beside those of its slots and the open ones

Instance = tuple[str, str]


class Watched(NamedTuple):
    """An instance that is due, with all that its review needs to know."""

    workflow: str
    host: str
    memory: Memory
    version: int
    document: str  # the policy in force, JSON
    slots: list[Slot]
    runs: list[RunFact]
    on_host: str
    next_due_ns: int | None
    verdict: str | None
    from_ns: int
    seen_by: str | None = None  # the system that an observer knows it from
    dirty_ns: int | None = None  # what stays to be judged of its runs


_due = (
    select(
        watches,
        func.coalesce(policies.c.version, 0).label("version"),
        func.coalesce(policies.c.document, "{}").label("document"),
        observed.c.source.label("seen_by"),
    )
    .outerjoin(policies, policies.c.workflow == watches.c.workflow)
    .outerjoin(observed, observed.c.workflow == watches.c.workflow)
    .where(watches.c.next_ns <= bindparam("now"))
    .order_by(watches.c.next_ns)
    .limit(bindparam("limit"))
)
_next = select(func.min(watches.c.next_ns))
_begin = do_nothing(watches)
_slot_columns = [slots.c[name] for name in Slot._fields]
_put_slots = driver_sql(upsert(slots))
_drop_slots = delete(slots).where(
    slots.c.workflow == bindparam("of_workflow"), slots.c.host == bindparam("of_host"), slots.c.due_ns == bindparam("at_due")
)
_keep = driver_sql(upsert(watches))
_hear = text(
    "INSERT INTO hosts (host, heard_ns) VALUES (:host, :heard_ns) "
    "ON CONFLICT (host) DO UPDATE SET heard_ns = max(heard_ns, excluded.heard_ns)"
)
_mark = (
    update(watches)
    .where(watches.c.workflow == bindparam("of_workflow"), watches.c.host == bindparam("of_host"))
    .values(
        next_ns=0,
        dirty_ns=least(func.coalesce(watches.c.dirty_ns, bindparam("started")), bindparam("started")),
        on_host=func.coalesce(func.nullif(bindparam("where"), ""), watches.c.on_host),
    )
)
_mark_workflows = update(watches).where(watches.c.workflow.in_(bindparam("names", expanding=True))).values(next_ns=0)

# The slots of the due instances that may still change, and the last one that was judged before them.
_slots_of_due = text(
    "SELECT s.workflow, s.host, s.due_ns, s.opens_ns, s.deadline_ns, s.version, s.verdict, s.reason, s.run_id, s.started_ns,"
    " s.revision FROM watches w JOIN slots s ON s.workflow = w.workflow AND s.host = w.host AND s.due_ns >= w.from_ns"
    " WHERE w.next_ns <= :now AND w.next_ns >= :first ORDER BY s.workflow, s.host, s.due_ns"
)
_slot_when = (
    select(func.max(slots.c.due_ns))
    .where(slots.c.workflow == bindparam("name"), slots.c.host == bindparam("where"), slots.c.opens_ns <= bindparam("at"))
)  # fmt: skip
_run_columns = [
    runs.c.run_id, runs.c.state, runs.c.started_ns, runs.c.ended_ns, runs.c.slot_ns, runs.c.reason, runs.c.state_key,
    runs.c.error_message, runs.c.error_type, runs.c.exit_code, runs.c.listed_ns, runs.c.attempt,
]  # fmt: skip
_runs_of = select(*_run_columns).where(
    runs.c.workflow == bindparam("name"), or_(bindparam("where") == "", runs.c.host == bindparam("where"))
)
_runs_since = _runs_of.where(runs.c.listed_ns >= bindparam("at"))
_latest_runs = _runs_of.order_by(runs.c.listed_ns.desc(), runs.c.run_id.desc()).limit(LATEST_RUNS)
_open_runs = _runs_of.where(runs.c.state.in_(NONTERMINAL)).order_by(runs.c.listed_ns.desc()).limit(1000)
_successes_since = select(runs.c.ended_ns).where(
    runs.c.workflow == bindparam("name"), runs.c.state == "succeeded", runs.c.listed_ns >= bindparam("at") - 7 * 86_400 * 10**9,
    runs.c.ended_ns >= bindparam("at"),
)  # fmt: skip
_last_good = select(func.max(runs.c.ended_ns)).where(
    runs.c.workflow == bindparam("name"),
    runs.c.state == "succeeded",
    or_(bindparam("where") == "", runs.c.host == bindparam("where")),
)


def begin_watching(connection: Connection, instances: Iterable[tuple[str, str, int, str]], now_ns: int) -> None:
    """Watch (workflow, host, Unix ns from which on its schedule makes slots, where it ran); who is watched stays as it is."""
    rows = [
        {
            "workflow": workflow, "host": host, "watched_ns": now_ns, "anchor_ns": anchor_ns, "next_ns": 0, "dirty_ns": None,
            "from_ns": 0, "runs_ns": anchor_ns, "open_runs": 0, "on_host": on_host, "next_due_ns": None, "verdict": None,
        }
        for workflow, host, anchor_ns, on_host in instances
    ]  # fmt: skip
    if rows:
        connection.execute(_begin, rows)


def mark(connection: Connection, changed: Mapping[Instance, tuple[int, str]]) -> None:
    """These instances have runs that changed: (the earliest start, Unix ns; where)."""
    if changed:
        connection.execute(
            _mark, [{"of_workflow": w, "of_host": h, "started": at, "where": on} for (w, h), (at, on) in changed.items()]
        )


def mark_workflows(connection: Connection, names: Sequence[str]) -> None:
    """Look again at all instances of these workflows."""
    for start in range(0, len(names), 500):
        connection.execute(_mark_workflows, {"names": names[start : start + 500]})


def hear(connection: Connection, events: Iterable[RunEvent]) -> None:
    """Keep when something last happened on each host."""
    heard: dict[str, int] = {}
    for event in events:
        if event.host and event.source != own.SOURCE:
            heard[event.host] = max(heard.get(event.host, 0), event.at_ns)
    hear_of(connection, heard)


def hear_of(connection: Connection, heard: Mapping[str, int]) -> None:
    """Keep host → Unix ns of a sign of life."""
    if heard:
        connection.execute(_hear, [{"host": host, "heard_ns": at} for host, at in heard.items()])


def heard(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    """Host → Unix ns of the last thing that happened there."""
    rows = connection.execute(select(hosts).where(hosts.c.host.in_(names)))
    return {row.host: row.heard_ns for row in rows}


def next_ns(connection: Connection) -> int | None:
    """The next deadline; None: there is none."""
    found: int | None = connection.execute(_next).scalar_one()
    return found


def due(connection: Connection, now_ns: int, limit: int, forgiven: Mapping[Instance, int]) -> list[Watched]:
    """Up to ``limit`` instances whose deadline has come, the most overdue first, with what their reviews need."""
    rows = connection.execute(_due, {"now": now_ns, "limit": limit}).all()
    if not rows:
        return []
    slots_of: dict[Instance, list[Slot]] = {}
    for row in connection.execute(_slots_of_due, {"now": rows[-1].next_ns, "first": rows[0].next_ns}):
        slots_of.setdefault((row[0], row[1]), []).append(Slot._make(row[2:]))
    return [_watched(connection, row, slots_of, forgiven) for row in rows]


def _watched(
    connection: Connection, row: Any, slots_of: Mapping[Instance, list[Slot]], forgiven: Mapping[Instance, int]
) -> Watched:
    instance = (row.workflow, row.host)
    known, from_ns, runs_ns = slots_of.get(instance, []), row.from_ns, row.runs_ns
    if row.dirty_ns is not None and row.dirty_ns < runs_ns:
        known, from_ns, runs_ns = _further_back(connection, row)
    return Watched(
        row.workflow,
        row.host,
        Memory(row.watched_ns, row.anchor_ns, forgiven.get(instance, 0)),
        row.version,
        row.document,
        known,
        _runs(connection, row, runs_ns),
        row.on_host,
        row.next_due_ns,
        row.verdict,
        from_ns,
        row.seen_by,
        row.dirty_ns,
    )


def _further_back(connection: Connection, row: Any) -> tuple[list[Slot], int, int]:
    """(slots, due of the first, start of their runs) when a run changed that started before those that are usually read."""
    where = {"name": row.workflow, "where": row.host}
    first = connection.execute(_slot_when, {**where, "at": row.dirty_ns}).scalar_one()
    first = row.dirty_ns if first is None else first
    query = select(*_slot_columns).where(slots.c.workflow == row.workflow, slots.c.host == row.host, slots.c.due_ns >= first)
    found = [Slot._make(each) for each in connection.execute(query.order_by(slots.c.due_ns))]
    return found, min(first, row.from_ns), min(row.dirty_ns, found[0].opens_ns if found else row.dirty_ns)


def _runs(connection: Connection, row: Any, since_ns: int) -> list[RunFact]:
    where = {"name": row.workflow, "where": row.host}
    found: dict[str, RunFact] = {}
    queries = [(_runs_since, {**where, "at": since_ns})] if row.dirty_ns is not None or row.open_runs else []
    queries += [(_latest_runs, where)] if row.dirty_ns is not None else []
    queries += [(_open_runs, where)] if row.dirty_ns is not None or row.open_runs else []
    for query, parameters in queries:
        found.update((each.run_id, _fact(each)) for each in connection.execute(query, parameters))
    for run_id, said in inflight.alerts_of(connection, list(found)).items():
        found[run_id] = found[run_id]._replace(alerted=said.reason, alerted_ns=said.at_ns)
    return sorted(found.values(), key=lambda run: (run.started_ns, run.run_id))


def _fact(row: Any) -> RunFact:
    error = None
    if row.state in BAD:
        words = ": ".join(word for word in (row.error_type, row.error_message) if word)
        error = words or (None if row.exit_code is None else f"exit status {row.exit_code}")
    heard_ns = int(row.state_key.split(".")[2])
    started_ns = row.listed_ns if row.started_ns is None else row.started_ns
    return RunFact(
        row.run_id,
        row.state,
        started_ns,
        row.ended_ns,
        row.slot_ns,
        row.reason,
        heard_ns,
        error,
        row.attempt,
        row.started_ns is not None,
    )


def successes(connection: Connection, workflow: str, since_ns: int) -> list[int]:
    """When the runs of a workflow succeeded, from ``since_ns`` on."""
    return [int(at) for at in connection.execute(_successes_since, {"name": workflow, "at": since_ns}).scalars()]


def last_good(connection: Connection, workflow: str, host: str) -> int | None:
    """When the last successful run of an instance ended; None: none did."""
    found: int | None = connection.execute(_last_good, {"name": workflow, "where": host}).scalar_one()
    return found


def save(connection: Connection, reviewed: Sequence[tuple[Watched, Review]]) -> None:
    """Keep what reviews found of slots, what follows from it for the workflows, and when to look again."""
    rows = [(watched.workflow, watched.host, *slot) for watched, found in reviewed for slot in found.slots]
    if rows:
        connection.exec_driver_sql(_put_slots.sql, rows)
    dropped = [
        {"of_workflow": watched.workflow, "of_host": watched.host, "at_due": slot.due_ns}
        for watched, found in reviewed
        for slot in found.dropped
    ]
    if dropped:
        connection.execute(_drop_slots, dropped)
    connection.exec_driver_sql(_keep.sql, [_row(watched, found) for watched, found in reviewed])
    rollups.renew(connection, {watched.workflow for watched, found in reviewed if _is_noted(watched, found)})


def _is_noted(watched: Watched, found: Review) -> bool:
    """Whether a verdict came or went that a list shows."""
    changed = {slot.due_ns for slot in (*found.slots, *found.dropped)}
    before = (slot for slot in watched.slots if slot.due_ns in changed)
    return any(slot.verdict in NOTED for slot in (*found.slots, *before))


def _row(watched: Watched, found: Review) -> tuple[Any, ...]:
    gone = {slot.due_ns for slot in found.dropped}
    present = {slot.due_ns: slot for slot in watched.slots if slot.due_ns not in gone} | {
        slot.due_ns: slot for slot in found.slots
    }
    known = sorted(present.values())
    judged = [slot for slot in known if slot.verdict is not None]
    future = next((slot for slot in known if slot.verdict is None), None)
    first = _first_that_counts(known)
    return (
        watched.workflow,
        watched.host,
        watched.memory.watched_ns,
        watched.memory.anchor_ns,
        found.next_ns,
        watched.dirty_ns,
        first.due_ns if first else watched.from_ns,
        first.opens_ns if first else watched.memory.anchor_ns,
        sum(run.is_open for run in watched.runs) - len(found.given_up),
        watched.on_host,
        future.due_ns if future else None,
        judged[-1].verdict if judged else watched.verdict,
    )


def _first_that_counts(known: Sequence[Slot]) -> Slot | None:
    """The slot from which on slots matter for the next review: the last one that was judged, before any that may yet be."""
    undecided = next((i for i, slot in enumerate(known) if not slot.is_settled), len(known))
    settled = [slot for slot in known[:undecided] if slot.verdict != "skipped"]
    return settled[-1] if settled else known[0] if known else None
