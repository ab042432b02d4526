"""What is read from control state: pages of runs and workflows.

Pages are keyset pages: the cursor names the last row that was shown, so a page costs the same anywhere in the list, and
runs that arrive meanwhile neither repeat nor hide a row.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from sqlalchemy import Connection, Row, Select, func, null, select

from rota.rules.fold import Run
from rota_collector.domain.reach import EVERYTHING, Reach
from rota_collector.errors import BadCursor
from rota_collector.store.control_schema import runs, workflow_days, workflows
from rota_collector.store.within import within

RATE_DAYS = 30

Item = TypeVar("Item")


class RunFilter(NamedTuple):
    """Which runs; None: any. Times are Unix ns; a run's time is its start (its first event while that is unknown)."""

    workflow: str | None = None
    states: tuple[str, ...] = ()  # any of them; none: any at all
    tag: str | None = None
    since_ns: int | None = None  # inclusive
    until_ns: int | None = None  # exclusive
    pattern: str | None = None  # of its name, with * and ?
    host: str | None = None
    text: str | None = None  # in the type or message of the error, or the reason, whatever its case
    min_duration_ns: int | None = None  # of runs that ended
    retried: bool = False  # of more than one attempt
    reach: Reach = EVERYTHING  # the workflows that whoever asks may read


class Rows(NamedTuple):
    """Some rows of a list, and the cursor of the page after them (None: that was all)."""

    rows: Sequence[Row[Any]]
    next: str | None


class Page(NamedTuple, Generic[Item]):
    """Some items of a list, and the cursor of the page after them (None: that was all)."""

    items: list[Item]
    next: str | None


class Workflow(NamedTuple):
    """A workflow with its last run, its last outcomes (the oldest first) and its success rate (0–1; None: no data)."""

    name: str
    last_run: Run | None  # None: it has a policy, and never ran
    outcomes: list[str]
    usual_ns: tuple[int, int] | None  # how long it usually took before that run; None: too few runs to tell
    success_rate_30d: float | None


# A list does not carry stacks; NULL stands in their place, so that rows keep the shape of Run.
listed_columns = [null().label(name) if name == "error_stack" else runs.c[name] for name in Run._fields]


def listed_ns(run: Run) -> int:
    """When the run is listed: its start, or, while nobody knows that, its earliest event (the head of ``first_key``)."""
    return run.started_ns if run.started_ns is not None else int(run.first_key.partition(".")[0])


def to_run(row: Row[Any]) -> Run:
    """A row whose first columns are the fields of Run, as a Run."""
    run = Run._make(row[: len(Run._fields)])
    return run._replace(tags=tuple(json.loads(run.tags)))  # type: ignore[arg-type]  # in the row it is still JSON text


def ids_starting_with(connection: Connection, prefix: str, limit: int, reach: Reach = EVERYTHING) -> list[str]:
    """Run ids that begin with ``prefix``, in order: a range of the primary key."""
    query = select(runs.c.run_id).where(runs.c.run_id >= prefix, runs.c.run_id < prefix + "\U0010ffff")
    query = within(query, reach, runs.c.workflow)
    return list(connection.execute(query.order_by(runs.c.run_id).limit(limit)).scalars())


def workflows_page(
    connection: Connection, today: int, page: str | None, limit: int, reach: Reach = EVERYTHING
) -> Page[Workflow]:  # fmt: skip
    """One page of the workflows, by name; ``today`` counts days since 1970."""
    query = within(_workflows(), reach, workflows.c.name).order_by(workflows.c.name).limit(limit + 1)
    if page is not None:
        query = query.where(workflows.c.name > page_parts(page, str)[0])
    rows = connection.execute(query).all()
    rates = _rates(connection, [row.name for row in rows], today)
    return page_of([_to_workflow(row, rates) for row in rows], limit, lambda workflow: (workflow.name,))


def workflow(connection: Connection, name: str, today: int) -> Workflow | None:
    """One workflow, or None."""
    row = connection.execute(_workflows().where(workflows.c.name == name)).first()
    return _to_workflow(row, _rates(connection, [name], today)) if row else None


def _workflows() -> Select[Any]:
    last_run = workflows.outerjoin(runs, runs.c.run_id == workflows.c.last_run_id)
    rollup = [workflows.c[name] for name in ("name", "outcomes", "usual_low_ns", "usual_high_ns")]
    return select(*listed_columns, *rollup).select_from(last_run)


def _to_workflow(row: Row[Any], rates: dict[str, float]) -> Workflow:
    last_run = None if row.run_id is None else to_run(row)
    usual = None if row.usual_low_ns is None else (row.usual_low_ns, row.usual_high_ns)
    return Workflow(row.name, last_run, json.loads(row.outcomes), usual, rates.get(row.name))


def _rates(connection: Connection, names: Sequence[str], today: int) -> dict[str, float]:
    """succeeded / (succeeded + failed) of the last 30 days; absent where there were neither."""
    days = workflow_days.c
    query = (
        select(days.workflow, func.sum(days.succeeded), func.sum(days.failed))
        .where(days.day > today - RATE_DAYS, days.workflow >= min(names, default=""), days.workflow <= max(names, default=""))
        .group_by(days.workflow)
    )
    return {name: good / (good + bad) for name, good, bad in connection.execute(query) if good + bad}


def page_of(items: list[Item], limit: int, key: Any) -> Page[Item]:
    """``limit`` of ``items`` (one more was read, if there is one) and the cursor after them; ``key(item)`` orders them."""
    return Page(items[:limit], encode(*key(items[limit - 1])) if len(items) > limit else None)


def encode(*parts: object) -> str:
    """A cursor that holds the key of a row."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def _is_storable(part: Any) -> bool:
    return not isinstance(part, int) or -(2**63) <= part < 2**63


def page_parts(page: str, *types: type) -> list[Any]:
    """The key in a cursor that ``encode`` made: numbers of 64 bits and text. Raises BadCursor."""
    try:
        parts = msgspec.json.decode(base64.urlsafe_b64decode(page + "=" * (-len(page) % 4)))
    except (ValueError, RecursionError):
        parts = None
    if not isinstance(parts, list) or list(map(type, parts)) != list(types) or not all(map(_is_storable, parts)):
        raise BadCursor(f"cursor {page!r} was not made by this collector: leave it out to start from the first page")
    return parts
