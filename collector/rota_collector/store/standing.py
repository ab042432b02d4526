"""How every workflow stands, in a few queries however many there are: for whoever looks often, and never at one only."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, func, select

from rota_collector.store.alerts import outbox
from rota_collector.store.control_schema import runs, workflows
from rota_collector.store.expectations_schema import incidents, watches

_succeeded = runs.alias("succeeded")
_last_success = (
    select(_succeeded.c.ended_ns)
    .where(_succeeded.c.workflow == workflows.c.name, _succeeded.c.state == "succeeded")
    .order_by(_succeeded.c.listed_ns.desc())  # the order of an index: one look a workflow
    .limit(1)
    .scalar_subquery()
)
_standings = (
    select(
        workflows.c.name, workflows.c.outcomes, runs.c.state, runs.c.started_ns, runs.c.ended_ns, _last_success.label("success")
    )
    .select_from(workflows.outerjoin(runs, runs.c.run_id == workflows.c.last_run_id))
    .order_by(workflows.c.name)
    .limit(bindparam("most"))
)  # fmt: skip
_known = select(func.count()).select_from(workflows)
_open = select(func.count()).select_from(incidents).where(incidents.c.closed_ns.is_(None))
_due = select(func.count()).select_from(watches).where(watches.c.next_ns <= bindparam("now"))
_waiting = select(func.count()).select_from(outbox).where(outbox.c.sent_ns.is_(None), outbox.c.dead_ns.is_(None))


class Standing(NamedTuple):
    """A workflow, its last run, and what became of its last 30 occurrences. Times are Unix ns; None: not known, or none."""

    name: str
    outcomes: Mapping[str, int]
    state: str | None
    started_ns: int | None
    ended_ns: int | None
    succeeded_ns: int | None  # the end of the last run that succeeded


class Totals(NamedTuple):
    """How many there are."""

    workflows: int
    open_incidents: int
    due: int  # instances
    waiting: int  # messages in the outbox


def standings(connection: Connection, most: int) -> Iterator[Standing]:
    """The first ``most`` workflows by name."""
    for name, outcomes, *rest in connection.execute(_standings, {"most": most}):
        yield Standing(name, _counted(outcomes), *rest)


def totals(connection: Connection, now_ns: int) -> Totals:
    """As they are now."""
    asked = (_known, _open, _due, _waiting)
    known, wrong, due, waiting = (connection.execute(each, {"now": now_ns}).scalar_one() for each in asked)
    return Totals(known, wrong, due, waiting)


@lru_cache(maxsize=1 << 14)  # most are as they were at the last look
def _counted(outcomes: str) -> Mapping[str, int]:
    return Counter(json.loads(outcomes))
