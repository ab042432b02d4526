"""How many runs ended how, and what became of how many slots, in stretches of time that follow each other."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from rota_collector.domain.reach import EVERYTHING, Reach
from rota_collector.store.control_schema import runs
from rota_collector.store.dialect import numbered_pairs
from rota_collector.store.expectations_schema import slots
from rota_collector.store.within import is_within

Counts = list[Counter[str]]  # one for each stretch


def of_runs(
    connection: Connection, bounds: Sequence[int], workflow: str | None = None, reach: Reach = EVERYTHING
) -> Counts:  # fmt: skip
    """By state, the runs listed in each [bounds[i], bounds[i + 1]) (Unix ns): read from an index alone."""
    mine = [] if workflow is None else [runs.c.workflow == workflow]
    if not reach.is_everything:
        mine.append(is_within(reach, runs.c.workflow))
    return _count(connection, bounds, runs.c.listed_ns, runs.c.state, mine)


def of_slots(connection: Connection, bounds: Sequence[int], workflow: str) -> Counts:
    """By verdict, the slots due in each [bounds[i], bounds[i + 1]) (Unix ns); those not judged yet are not counted."""
    judged = [slots.c.workflow == workflow, slots.c.verdict.is_not(None)]
    return _count(connection, bounds, slots.c.due_ns, slots.c.verdict, judged)


def _count(
    connection: Connection, bounds: Sequence[int], at: ColumnElement[Any], word: ColumnElement[Any], narrowed: list[Any]
) -> Counts:
    found: Counts = [Counter() for _ in bounds[1:]]
    stretch = numbered_pairs("stretches")
    query = (
        select(stretch.number, word, func.count())
        .select_from(stretch.table.join(at.table, (at >= stretch.first) & (at < stretch.second)))
        .where(*narrowed)
        .group_by(stretch.number, word)
    )
    given = json.dumps(list(pairwise(bounds)))
    for number, name, count in connection.execute(query, {"stretches": given}):
        found[number][name] = count
    return found
