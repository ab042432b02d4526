"""Slots as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Engine, Select, bindparam, func, select, tuple_

from rota_collector.domain.reach import EVERYTHING, Reach
from rota_collector.domain.slots import Slot
from rota_collector.store import counts
from rota_collector.store.control_queries import Page, page_of, page_parts
from rota_collector.store.expectations_schema import incidents, quiet_times, slots, watches
from rota_collector.store.within import within

_columns = [slots.c.workflow, slots.c.host, *(slots.c[name] for name in Slot._fields)]
_of_runs = select(slots.c.run_id, slots.c.due_ns).where(slots.c.run_id.in_(bindparam("ids", expanding=True)))
_WORST_FIRST = ("missed", "unknown", "late", "early", "on_time", "skipped")  # of several instances, what a person wants to see
_outlooks = select(watches.c.workflow, watches.c.next_due_ns, watches.c.verdict)
_open_incidents = select(incidents.c.workflow, func.count()).where(incidents.c.closed_ns.is_(None)).group_by(incidents.c.workflow)
_paused = select(quiet_times.c.workflow).where(
    quiet_times.c.kind == "pause", (quiet_times.c.until_ns.is_(None)) | (quiet_times.c.until_ns > bindparam("now"))
)


class SlotFilter(NamedTuple):
    """Which slots; None: any. Times are Unix ns."""

    workflow: str | None = None
    since_ns: int | None = None  # inclusive
    until_ns: int | None = None  # exclusive
    verdict: str | None = None
    reach: Reach = EVERYTHING


class SlotRow(NamedTuple):
    """A slot and whose it is; ``host`` is empty where an instance spans all hosts."""

    workflow: str
    host: str
    slot: Slot


class Outlook(NamedTuple):
    """What is ahead of a workflow, and what is wrong with it; ``verdict`` is that of its last judged slot."""

    next_due_ns: int | None
    verdict: str | None
    paused: bool
    open_incidents: int


NOTHING_AHEAD = Outlook(None, None, False, 0)


class Slots:
    """The slots in the control database ``engine``."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def page(self, filters: SlotFilter, page: str | None = None, limit: int = 100) -> Page[SlotRow]:
        """Slots, the last due first; also those that lie ahead. Raises BadCursor."""
        query = within(select(*_columns), filters.reach, slots.c.workflow)
        if filters.workflow is not None:
            query = query.where(slots.c.workflow == filters.workflow)
        if filters.verdict is not None:
            query = query.where(slots.c.verdict == filters.verdict)
        if filters.since_ns is not None:
            query = query.where(slots.c.due_ns >= filters.since_ns)
        if filters.until_ns is not None:
            query = query.where(slots.c.due_ns < filters.until_ns)
        key = (slots.c.due_ns, slots.c.workflow, slots.c.host)
        if page is not None:
            query = query.where(tuple_(*key) < tuple_(*page_parts(page, int, str, str)))
        query = query.order_by(*(column.desc() for column in key)).limit(limit + 1)
        with self._engine.begin() as connection:
            found = [SlotRow(row[0], row[1], Slot._make(row[2:])) for row in connection.execute(query)]
        return page_of(found, limit, lambda row: (row.slot.due_ns, row.workflow, row.host))

    def counts(self, bounds: Sequence[int], workflow: str) -> counts.Counts:
        """By verdict, the slots of a workflow that were due in each stretch between ``bounds`` (Unix ns)."""
        with self._engine.begin() as connection:
            return counts.of_slots(connection, bounds, workflow)

    def of_runs(self, run_ids: Sequence[str]) -> dict[str, int]:
        """Run id → due time (Unix ns) of the slot that it fills."""
        with self._engine.begin() as connection:
            return {row[0]: row[1] for row in connection.execute(_of_runs, {"ids": list(run_ids)})}

    def outlooks(self, names: Sequence[str] | None, now_ns: int) -> dict[str, Outlook]:
        """Workflow (None: every one) → what is ahead of it; one of which nothing is expected and nothing is wrong is absent."""
        with self._engine.begin() as connection:
            ahead = _ahead(connection.execute(_of(_outlooks, names)))
            wrong = {row[0]: row[1] for row in connection.execute(_of(_open_incidents, names))}
            paused = set(connection.execute(_of(_paused, names), {"now": now_ns}).scalars())
        return {
            name: Outlook(*ahead.get(name, (None, None)), name in paused, wrong.get(name, 0))
            for name in {*ahead, *wrong, *paused}
        }


def _of(query: Select[Any], names: Sequence[str] | None) -> Select[Any]:
    """``query``, whose first column is a workflow, for these workflows."""
    return query if names is None else query.where(query.selected_columns[0].in_(names))


def _ahead(rows: Iterable[Any]) -> dict[str, tuple[int | None, str | None]]:
    """Workflow → (when the next of its instances is due, the worst of their verdicts)."""
    found: dict[str, tuple[int | None, str | None]] = {}
    for workflow, next_due_ns, verdict in rows:
        next_ns, worst = found.get(workflow, (None, None))
        next_ns = min((at for at in (next_ns, next_due_ns) if at is not None), default=None)
        found[workflow] = (next_ns, min((each for each in (worst, verdict) if each), key=_WORST_FIRST.index, default=None))
    return found
