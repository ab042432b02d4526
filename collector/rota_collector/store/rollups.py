"""The rollup of a workflow: its last run, what became of its last occurrences, and how long it usually takes.

Derived from its runs and slots by whoever changes either, in the same transaction: lists read one row a workflow.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, bindparam, delete, select, union_all

from rota_collector.domain.outcomes import KEPT, READ, Noted, Runs, outcomes, usual_ns
from rota_collector.store.control_schema import runs, workflows
from rota_collector.store.dialect import json_array, json_rows, upsert
from rota_collector.store.expectations_schema import is_noted, policies, slots


def _of(parameter: str) -> Select[Any]:
    """The last runs of a workflow and its noted slots, the newest first, as JSON arrays in one row."""
    last = (
        select(*(runs.c[name] for name in ("run_id", "state", "listed_ns", "ended_ns")))
        .where(runs.c.workflow == bindparam(parameter))
        .order_by(runs.c.listed_ns.desc(), runs.c.run_id.desc())
        .limit(READ)
        .subquery()
    )
    noted = (
        select(*(slots.c[name] for name in Noted._fields))
        .where(slots.c.workflow == bindparam(parameter), is_noted)
        .order_by(slots.c.due_ns.desc())
        .limit(KEPT)
        .subquery()
    )
    return select(
        bindparam(parameter).label("name"),
        *(json_array(column).label(name) for name, column in zip(Runs._fields, last.c, strict=True)),
        select(json_rows(*noted.c)).scalar_subquery().label("noted"),
    )


_AT_ONCE = [f"name_{i}" for i in range(25)]  # workflows in one statement: a statement each costs more than its rows
_facts = union_all(*map(_of, _AT_ONCE))
_put = upsert(workflows)
_has_policy = select(policies.c.workflow).where(policies.c.workflow == workflows.c.name).exists()
_forget = delete(workflows).where(workflows.c.name == bindparam("gone"), ~_has_policy)


def renew(connection: Connection, names: Iterable[str]) -> None:
    """Derive the rollups of these workflows anew. One that has no run left (they turned out another's) and no policy goes."""
    found = [_row(*facts) for facts in _read(connection, sorted(names))]
    if found:
        connection.execute(_put, found)
    gone = [{"gone": row["name"]} for row in found if row["last_run_id"] is None]
    if gone:
        connection.execute(_forget, gone)


def _read(connection: Connection, names: Sequence[str]) -> Iterator[tuple[str, Runs, list[Noted]]]:
    decode = msgspec.json.decode
    for start in range(0, len(names), len(_AT_ONCE)):
        some = names[start : start + len(_AT_ONCE)]
        for name, ids, states, at_ns, ended_ns, noted in connection.execute(_facts, dict(zip_longest(_AT_ONCE, some))):
            if name is not None:
                yield name, Runs(*map(decode, (ids, states, at_ns, ended_ns))), [Noted._make(each) for each in decode(noted)]


def _row(name: str, last: Runs, noted: list[Noted]) -> dict[str, Any]:
    low, high = usual_ns(last) or (None, None)
    return {
        "name": name,
        "last_run_id": last.ids[0] if last.ids else None,
        "outcomes": json.dumps(outcomes(last, noted)),
        "usual_low_ns": low,
        "usual_high_ns": high,
    }
