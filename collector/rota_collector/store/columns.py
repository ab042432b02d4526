"""Long lists as Arrow tables: read by the thousand, a column at a time, without an object for each row.

Times are Unix ns (int64): whoever draws them wants numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import pyarrow as pa
from sqlalchemy import Connection, Row, or_, select

from rota.rules.fold import NONTERMINAL
from rota.rules.level import level
from rota_collector.domain.reach import EVERYTHING, Reach
from rota_collector.store import run_lists
from rota_collector.store.control_queries import RunFilter
from rota_collector.store.control_schema import runs, workflows
from rota_collector.store.expectations_schema import policies
from rota_collector.store.slots import NOTHING_AHEAD, Outlook
from rota_collector.store.within import within

MOST_RUNS = 100_000
LONGEST_NS = 7 * 86_400 * 10**9  # how long before a stretch of time a run that has ended may have begun, to be found in it

_words = pa.dictionary(pa.int32(), pa.string())
_texts = pa.list_(pa.string())
_RUNS = {
    "run_id": pa.string(), "workflow": _words, "state": _words, "reason": _words, "attempt": pa.int32(), "started_ns": pa.int64(),
    "ended_ns": pa.int64(), "exit_code": pa.int32(), "host": _words, "source": _words, "error_type": _words, "tags": _texts,
}  # fmt: skip
_RUN_COLUMNS = [*(runs.c[name] for name in _RUNS if name != "started_ns"), runs.c.listed_ns.label("started_ns")]
_WORKFLOWS = {
    "name": pa.string(), "outcomes": _texts, "usual_low_ns": pa.int64(), "usual_high_ns": pa.int64(), "run_id": pa.string(),
    "state": _words, "reason": _words, "started_ns": pa.int64(), "ended_ns": pa.int64(), "host": _words, "tags": _texts,
}  # fmt: skip
_AHEAD = {"next_due_ns": pa.int64(), "verdict": _words, "paused": pa.bool_(), "open_incidents": pa.int32()}
_workflows = (
    select(
        *(workflows.c[name] for name in ("name", "outcomes", "usual_low_ns", "usual_high_ns")),
        *(runs.c[name] for name in ("run_id", "state", "reason", "started_ns", "ended_ns", "host", "tags")),
        policies.c.document,
    )
    .select_from(
        workflows.outerjoin(runs, runs.c.run_id == workflows.c.last_run_id).outerjoin(
            policies, policies.c.workflow == workflows.c.name
        )
    )
    .order_by(workflows.c.name)
)


def all_workflows(connection: Connection, outlooks: Mapping[str, Outlook], reach: Reach = EVERYTHING) -> pa.Table:
    """Every workflow within reach, by name: its level, its last run, its outcomes, its usual band, and what is ahead of it."""
    found = _by_name([*_WORKFLOWS, "document"], connection.execute(within(_workflows, reach, workflows.c.name)))
    ahead = [outlooks.get(name, NOTHING_AHEAD) for name in found["name"]]
    columns = _typed(found, _WORKFLOWS) | {"level": pa.array([_level(each) for each in found["document"]], _words)}
    for name, kind in _AHEAD.items():
        columns[name] = pa.array([getattr(each, name) for each in ahead], kind)
    return pa.table(columns)


def some_runs(connection: Connection, filters: RunFilter, after: str | None, limit: int) -> pa.Table:
    """The runs that pass, the last started first. A run of which nobody knows the start has the time it was first heard of.

    The schema's metadata have the cursor of the page that follows, ``next``; none: that was all. Raises BadCursor.
    """
    found = run_lists.page(connection, _RUN_COLUMNS, filters, after, limit)
    table = _runs(found.rows)
    return table if found.next is None else table.replace_schema_metadata({"next": found.next})


def runs_during(connection: Connection, filters: RunFilter, limit: int = MOST_RUNS) -> pa.Table:
    """The runs that were under way at any time in [since, until): those that began in it or up to ``LONGEST_NS`` before, and
    whatever is still open.
    """
    assert filters.since_ns is not None
    since, earlier = filters.since_ns, filters.since_ns - LONGEST_NS
    ends_in_it = or_(runs.c.ended_ns >= since, runs.c.ended_ns.is_(None))
    rows = [
        *run_lists.those(connection, _RUN_COLUMNS, filters._replace(since_ns=earlier), limit, ends_in_it),
        *_open_before(connection, filters._replace(since_ns=None, until_ns=earlier), limit),
    ]
    return _runs(rows)


def _open_before(connection: Connection, filters: RunFilter, limit: int) -> Sequence[Row[Any]]:
    states = tuple(state for state in filters.states or NONTERMINAL if state in NONTERMINAL)
    return run_lists.those(connection, _RUN_COLUMNS, filters._replace(states=states), limit) if states else []


def _runs(rows: Iterable[Row[Any]]) -> pa.Table:
    names = [column.name for column in _RUN_COLUMNS]
    return pa.table(_typed(_by_name([*names, "walk_ns", "walk_id"], rows), _RUNS))


def _by_name(names: list[str], rows: Iterable[Any]) -> dict[str, Any]:
    """A column for each name."""
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return dict(zip(names, columns, strict=True))


def _typed(found: Mapping[str, Any], kinds: Mapping[str, pa.DataType]) -> dict[str, pa.Array]:
    return {name: _MAKERS.get(kind, pa.array)(found[name], kind) for name, kind in kinds.items()}


def _dictionary(values: Iterable[str | None], kind: pa.DataType) -> pa.Array:
    return pa.array(values, pa.string()).dictionary_encode().cast(kind)


def _lists(values: Iterable[str | None], kind: pa.DataType) -> pa.Array:
    """JSON arrays as lists."""
    return pa.array(msgspec.json.decode(f"[{','.join(each or '[]' for each in values)}]"), kind)


_MAKERS: dict[pa.DataType, Callable[[Any, pa.DataType], pa.Array]] = {_words: _dictionary, _texts: _lists}


@lru_cache(maxsize=1 << 14)
def _level(document: str | None) -> str:
    return level(json.loads(document or "{}"))
