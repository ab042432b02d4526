"""Pages of runs, however they are narrowed, without ever looking through all of them.

A page walks one index in the order of the list; the filters that this index does not answer are tried on its rows, on
``MOST_LOOKED_AT`` of them at most. A page may so hold fewer runs than it could, even none, and still have a ``next``: the
place from which to look on.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, func, or_, select, tuple_, union_all

from rota.rules.fold import Run
from rota_collector.store.control_queries import Page, Rows, RunFilter, encode, listed_columns, page_parts, to_run
from rota_collector.store.control_schema import is_telling, run_tags, runs, was_retried, workflows
from rota_collector.store.dialect import glob
from rota_collector.store.within import is_within, within

MOST_LOOKED_AT = 10_000  # runs that one page tries: some 20 ms, where nothing passes
_MOST_WALKS = 16  # that are merged: a workflow each, or a state

Condition = ColumnElement[bool]


class _Plan(NamedTuple):
    """How a filter is answered: what each walk along an index holds fixed, and what is tried on the runs it meets."""

    key: tuple[ColumnElement[int], ColumnElement[str]]  # that the list is in the order of
    walks: list[tuple[Condition, ...]]
    tried: list[Condition]


def _tried(column: ColumnElement[str]) -> ColumnElement[str]:
    """A column as no index has it: for what is tried, the database must not leave the walk."""
    return func.coalesce(column, "")


def page(connection: Connection, columns: Sequence[Any], filters: RunFilter, after: str | None, limit: int) -> Rows:
    """The ``columns`` of the runs that pass, the last listed first. Raises BadCursor."""
    plan = _plan(connection, filters)
    bounds = [tuple_(*plan.key) < tuple_(*page_parts(after, int, str))] if after is not None else []
    end = _end(connection, plan, bounds) if plan.tried else None
    if end is not None:
        bounds.append(tuple_(*plan.key) >= tuple_(*end))
    return _page_of(_rows(connection, plan, columns, [*bounds, *plan.tried], limit + 1), limit, end)


def runs_page(connection: Connection, filters: RunFilter, after: str | None, limit: int) -> Page[Run]:
    """The runs that pass, the last listed first. Raises BadCursor."""
    found = page(connection, listed_columns, filters, after, limit)
    return Page([to_run(row) for row in found.rows], found.next)


def those(connection: Connection, columns: Sequence[Any], filters: RunFilter, limit: int, *more: Condition) -> Sequence[Row[Any]]:
    """The same, the first ``limit`` of those for which ``more`` holds too, however many have to be tried for it."""
    plan = _plan(connection, filters)
    return _rows(connection, plan, columns, [*plan.tried, *more], limit)


def _page_of(rows: Sequence[Row[Any]], limit: int, end: tuple[int, str] | None) -> Rows:
    last = (rows[limit - 1].walk_ns, rows[limit - 1].walk_id) if len(rows) > limit else end
    return Rows(rows[:limit], encode(*last) if last else None)


def _end(connection: Connection, plan: _Plan, bounds: list[Condition]) -> tuple[int, str] | None:
    """The key of the last run that this page may try; None: it may try all that there are."""
    found = _rows(connection, plan, [], bounds, 1, offset=MOST_LOOKED_AT - 1)
    return (found[0].walk_ns, found[0].walk_id) if found else None


def _rows(
    connection: Connection, plan: _Plan, columns: Sequence[Any], conditions: list[Condition], limit: int, offset: int = 0
) -> Sequence[Row[Any]]:
    """Rows of all walks, merged, with their key at the end: each walk is read only as far as it is needed."""
    keyed = [*columns, plan.key[0].label("walk_ns"), plan.key[1].label("walk_id")]
    walks = [select(*keyed).where(*walk, *conditions) for walk in plan.walks]
    if not walks:
        return []
    merged: Any = walks[0] if len(walks) == 1 else union_all(*walks)
    order = [column.desc() for column in list(merged.selected_columns)[-2:]]
    return connection.execute(merged.order_by(*order).limit(limit).offset(offset or None)).all()


def _plan(connection: Connection, filters: RunFilter) -> _Plan:
    """What the indexes answer is walked, the most selective first; the rest is tried."""
    tried = dict(_conditions(filters))
    if filters.tag is not None:
        table: Any = run_tags
        walks: list[tuple[Condition, ...]] = [(run_tags.c.tag == filters.tag, run_tags.c.run_id == runs.c.run_id)]
    else:
        table, walks = runs, _walks(connection, filters, tried)
    times = _times(table.c.listed_ns, filters)
    return _Plan((table.c.listed_ns, table.c.run_id), [(*walk, *times) for walk in walks], list(tried.values()))


def _walks(connection: Connection, filters: RunFilter, tried: dict[str, Condition]) -> list[tuple[Condition, ...]]:
    """What each walk along an index of runs holds fixed; takes out of ``tried`` what need not be tried any more."""
    named = _workflows(connection, filters)
    walks: list[tuple[Condition, ...]] = [()]
    if named is not None:
        walks = [(runs.c.workflow == name,) for name in named]
        for each in ("workflow", "pattern", "reach"):
            tried.pop(each, None)
    elif filters.host is not None:
        walks = [(runs.c.host == filters.host,)]
        tried.pop("host")
    elif filters.text is not None:
        walks = [(is_telling,)]
    elif filters.retried:
        walks = [(was_retried,)]
        tried.pop("retried")
    if filters.states and (named is not None or walks == [()]) and len(walks) * len(filters.states) <= _MOST_WALKS:
        tried.pop("states")
        walks = [(*walk, runs.c.state == state) for walk, state in product(walks, filters.states)]
    return walks


def _times(listed: Any, filters: RunFilter) -> list[Condition]:
    since, until = filters.since_ns, filters.until_ns
    return ([] if since is None else [listed >= since]) + ([] if until is None else [listed < until])


def _workflows(connection: Connection, filters: RunFilter) -> list[str] | None:
    """The workflows that are asked for by a pattern, or may be seen; None: too many to walk each on its own, or all."""
    if filters.pattern is None and filters.reach.is_everything:
        return None if filters.workflow is None else [filters.workflow]
    query = select(workflows.c.name).limit(_MOST_WALKS + 1)
    if filters.workflow is not None:
        query = query.where(workflows.c.name == filters.workflow)
    if filters.pattern is not None:
        query = query.where(glob(workflows.c.name, filters.pattern))
    found = list(connection.execute(within(query, filters.reach, workflows.c.name)).scalars())
    return found if len(found) <= _MOST_WALKS else None


def _conditions(filters: RunFilter) -> list[tuple[str, Condition]]:
    """Each filter but tag and times on its own."""
    found: list[tuple[str, Condition]] = []
    if filters.workflow is not None:
        found.append(("workflow", _tried(runs.c.workflow) == filters.workflow))
    if filters.pattern is not None:
        found.append(("pattern", glob(_tried(runs.c.workflow), filters.pattern)))
    if not filters.reach.is_everything:
        found.append(("reach", is_within(filters.reach, _tried(runs.c.workflow))))
    if filters.states:
        found.append(("states", _tried(runs.c.state).in_(filters.states)))
    if filters.host is not None:
        found.append(("host", _tried(runs.c.host) == filters.host))
    if filters.retried:
        found.append(("retried", func.abs(runs.c.attempt) > 1))
    if filters.text is not None:
        found.append(("text", _says(filters.text)))
    if filters.min_duration_ns is not None:
        found.append(("min_duration", runs.c.ended_ns - runs.c.started_ns >= filters.min_duration_ns))
    return found


def _says(text: str) -> Condition:
    """Whether the error or the reason of a run holds the text, whatever its case."""
    said = (runs.c.error_type, runs.c.error_message, runs.c.reason)
    return or_(*(func.lower(column).contains(text.lower(), autoescape=True) for column in said))
