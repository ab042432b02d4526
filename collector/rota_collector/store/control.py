"""Control state: run rows, folded from run events, and what lists and counts are read from. SQLAlchemy Core on SQLite.

This store is a projection of the journal with a cursor of its own. Rows and cursor change in one transaction, and the
fold is idempotent, so applying any stretch of the journal again changes nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
from sqlalchemy import Connection, Engine, bindparam, delete, inspect, select, update
from sqlalchemy.exc import DBAPIError

from rota.rules.fold import TERMINAL, Run, RunEvent, fold
from rota_collector.decode.to_rows import Beside
from rota_collector.domain.reach import EVERYTHING, Reach
from rota_collector.errors import StoreError
from rota_collector.store import audit, columns, counts, expectations_schema, migrations, rollups, run_lists, soundness
from rota_collector.store import control_queries as queries
from rota_collector.store.control_schema import cursor, metadata, run_tags, runs, schema_version, workflow_days
from rota_collector.store.dialect import driver_sql, open_sqlite, run_script, upsert
from rota_collector.store.slots import Outlook

NS_A_DAY = 86_400 * 10**9
_CHUNK = 500  # run ids in one SELECT … IN
_DAMAGED = "database disk image is malformed"
_BAD = ("failed", "timed_out", "crashed", "upstream_failed")

_columns = [runs.c[name] for name in Run._fields]
_find_runs = select(*_columns).where(runs.c.run_id.in_(bindparam("ids", expanding=True)))


_upsert_runs = driver_sql(upsert(runs))  # the one statement with so many rows that building its parameters counts
_in_order: Callable[[tuple[Any, ...]], tuple[Any, ...]] = itemgetter(
    *map([*Run._fields, "listed_ns"].index, _upsert_runs.parameters)
)
_count_days = upsert(workflow_days, adding=("succeeded", "failed", "other"))
_delete_tags = delete(run_tags).where(
    run_tags.c.tag == bindparam("old_tag"),
    run_tags.c.listed_ns == bindparam("old_listed_ns"),
    run_tags.c.run_id == bindparam("old_run_id"),
)
_advance = update(cursor).values(offset=bindparam("next")).where(cursor.c.offset < bindparam("next"))


class _Change(NamedTuple):
    """A run before (None: unknown) and after the events of a batch."""

    old: Run | None
    new: Run


class Observer(Protocol):
    """Who has to know in the same transaction that runs changed."""

    def note(self, connection: Connection, events: Sequence[RunEvent], changed: Sequence[Run], beside: Beside) -> Any:
        """Write what follows from it, and from what came beside it."""

    def learn(self, noted: Any) -> None:
        """The transaction in which ``note`` said this is through."""

    def reload(self) -> None:
        """It is not: forget what was not read from the database."""


class Control:
    """The control store in the file ``path``. One thread applies; any thread reads. Raises StoreError when it cannot be used."""

    def __init__(self, path: Path) -> None:
        soundness.check_log(path)
        self.path = path
        self.engine: Engine = open_sqlite(path)
        self._writer = self.engine.execution_options(writes=True)
        self.observer: Observer | None = None
        try:
            with self._writer.begin() as connection:
                soundness.check_file(connection, path)
                _prepare(connection, path)
        except DBAPIError as error:
            if isinstance(error.orig, sqlite3.OperationalError) and not str(error.orig).startswith(_DAMAGED):
                raise StoreError(f"cannot open {path}: {error.orig}. Free or repair what it names") from error
            raise soundness.damaged(path, str(error.orig)) from error

    def offset(self) -> int:
        """The journal position (bytes) up to which every event is in this store."""
        with self.engine.begin() as connection:
            return int(connection.execute(select(cursor.c.offset)).scalar_one())

    def apply(self, events: Sequence[RunEvent], next_offset: int, beside: Beside = Beside()) -> None:  # noqa: B008
        """Fold ``events`` into their runs, note what came ``beside`` them, and move the cursor to ``next_offset`` (never back),
        in one transaction.
        """
        try:
            self._apply(events, next_offset, beside)
        except (OverflowError, UnicodeEncodeError):  # somewhere in it; what is wrong is found only when it is needed
            self._apply([_storable(event) for event in events], next_offset, beside)

    def _apply(self, events: Sequence[RunEvent], next_offset: int, beside: Beside) -> None:
        try:
            noted = self._write(events, next_offset, beside)
        except Exception:
            if self.observer is not None:
                self.observer.reload()
            raise
        if self.observer is not None:
            self.observer.learn(noted)

    def _write(self, events: Sequence[RunEvent], next_offset: int, beside: Beside) -> Any:
        noted = None
        with self._writer.begin() as connection:
            changes = list(_fold_into(connection, events))
            if changes:
                connection.exec_driver_sql(_upsert_runs.sql, [_row(change.new) for change in changes])
                _move_tags(connection, changes)
                _count(connection, changes)
                rollups.renew(connection, {run.workflow for change in changes for run in change if run is not None})
            if self.observer is not None:
                noted = self.observer.note(connection, events, [change.new for change in changes], beside)
            connection.execute(_advance, {"next": next_offset})
        return noted

    def runs(self, filters: queries.RunFilter, page: str | None = None, limit: int = 100) -> queries.Page[Run]:
        """Runs, the last started first, one page of them; ``page`` is the ``next`` of the page before. Raises BadCursor."""
        with self.engine.begin() as connection:
            return run_lists.runs_page(connection, filters, page, limit)

    def run_columns(self, filters: queries.RunFilter, page: str | None = None, limit: int = columns.MOST_RUNS) -> pa.Table:
        """The same as columns; ``next`` is in the metadata of the schema."""
        with self.engine.begin() as connection:
            return columns.some_runs(connection, filters, page, limit)

    def run_columns_during(self, filters: queries.RunFilter) -> pa.Table:
        """The runs that were under way in the time of ``filters``, as columns."""
        with self.engine.begin() as connection:
            return columns.runs_during(connection, filters)

    def run_counts(self, bounds: Sequence[int], workflow: str | None = None, reach: Reach = EVERYTHING) -> counts.Counts:
        """By state, the runs that began in each stretch between ``bounds`` (Unix ns)."""
        with self.engine.begin() as connection:
            return counts.of_runs(connection, bounds, workflow, reach)

    def run(self, run_id: str) -> Run | None:
        """The run of this id, or None."""
        with self.engine.begin() as connection:
            row = connection.execute(_find_runs, {"ids": [run_id]}).first()
        return queries.to_run(row) if row else None

    def runs_starting_with(self, prefix: str, limit: int = 2, reach: Reach = EVERYTHING) -> list[str]:
        """Up to ``limit`` ids of runs that begin with ``prefix``."""
        with self.engine.begin() as connection:
            return queries.ids_starting_with(connection, prefix, limit, reach)

    def workflows(
        self, now_ns: int, page: str | None = None, limit: int = 1000, reach: Reach = EVERYTHING
    ) -> queries.Page[queries.Workflow]:
        """Workflows by name. ``now_ns`` (Unix ns) ends the 30 days of the success rate. Raises BadCursor."""
        with self.engine.begin() as connection:
            return queries.workflows_page(connection, now_ns // NS_A_DAY, page, limit, reach)

    def workflow_columns(self, outlooks: Mapping[str, Outlook], reach: Reach = EVERYTHING) -> pa.Table:
        """Every workflow within reach, by name, as columns."""
        with self.engine.begin() as connection:
            return columns.all_workflows(connection, outlooks, reach)

    def workflow(self, name: str, now_ns: int) -> queries.Workflow | None:
        """The workflow of this name, or None when none of its runs was ever seen."""
        with self.engine.begin() as connection:
            return queries.workflow(connection, name, now_ns // NS_A_DAY)

    def close(self) -> None:
        """Let go of the file."""
        self.engine.dispose()


def _prepare(connection: Connection, path: Path) -> None:
    """Bring the tables of an older version up to date; make those that are missing, those of expectations too: a rollup is
    of runs and slots.
    """
    tables = set(inspect(connection).get_table_names())
    if cursor.name in tables:
        version = connection.execute(select(schema_version)).scalar_one() if schema_version.name in tables else 1
        for step in migrations.due("control", version, path):
            run_script(connection, step.statements)
    metadata.create_all(connection)
    for table in metadata.tables.values():
        for index in table.indexes:  # of a file that an earlier version made
            index.create(connection, checkfirst=True)
    connection.execute(delete(schema_version))
    connection.execute(schema_version.insert().values(version=migrations.newest("control")))
    expectations_schema.metadata.create_all(connection)
    audit.prepare(connection)
    if connection.execute(select(cursor)).first() is None:
        connection.execute(cursor.insert().values(name="journal", offset=0))


def _storable(event: RunEvent) -> RunEvent:
    """The event without numbers beyond 64 bits and halves of surrogate pairs, which no database takes."""
    return RunEvent._make(
        _storable_value(value, RunEvent._field_defaults.get(name, 0)) for name, value in event._asdict().items()
    )


def _storable_value(value: Any, default: Any) -> Any:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return default
    if isinstance(value, tuple):
        return tuple(_storable_value(each, None) for each in value)
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


def _fold_into(connection: Connection, events: Sequence[RunEvent]) -> Iterator[_Change]:
    """The runs that ``events`` really change."""
    ids = list(dict.fromkeys(event.run_id for event in events))
    before: dict[str, Run] = {}
    for some in _in_chunks(ids, _CHUNK):
        before.update((row.run_id, queries.to_run(row)) for row in connection.execute(_find_runs, {"ids": some}))
    after: dict[str, Run | None] = dict(before)
    for event in events:
        after[event.run_id] = fold(after.get(event.run_id), event)
    for run_id, new in after.items():
        if new is not None and new != before.get(run_id):
            yield _Change(before.get(run_id), new)


def _row(run: Run) -> tuple[Any, ...]:
    tags = json.dumps(run.tags) if run.tags else "[]"
    return _in_order((*run[:-1], tags, queries.listed_ns(run)))


def _tag_keys(run: Run | None) -> set[tuple[str, int, str]]:
    return {(tag, queries.listed_ns(run), run.run_id) for tag in run.tags} if run is not None else set()


def _move_tags(connection: Connection, changes: Sequence[_Change]) -> None:
    gone, come = set(), set()
    for change in changes:
        if change.new.tags or (change.old is not None and change.old.tags):
            old, new = _tag_keys(change.old), _tag_keys(change.new)
            gone |= old - new
            come |= new - old
    if gone:
        connection.execute(_delete_tags, [{"old_tag": t, "old_listed_ns": at, "old_run_id": run} for t, at, run in gone])
    if come:
        connection.execute(run_tags.insert(), [{"tag": t, "listed_ns": at, "run_id": run} for t, at, run in come])


def _bucket(state: str) -> str | None:
    if state not in TERMINAL:
        return None
    return "succeeded" if state == "succeeded" else "failed" if state in _BAD else "other"


def _count(connection: Connection, changes: Sequence[_Change]) -> None:
    """Move each changed run from the count it was in to the one it is in now: the same as counting the rows anew."""
    counts: Counter[tuple[str, int, str]] = Counter()
    for change in changes:
        for run, step in ((change.old, -1), (change.new, +1)):
            bucket = _bucket(run.state) if run is not None else None
            if run is not None and bucket is not None:
                counts[run.workflow, queries.listed_ns(run) // NS_A_DAY, bucket] += step
    days: dict[tuple[str, int], dict[str, int]] = {}
    for (name, day, bucket), step in counts.items():
        if step:
            days.setdefault((name, day), {"succeeded": 0, "failed": 0, "other": 0})[bucket] += step
    if days:
        connection.execute(_count_days, [{"workflow": name, "day": day, **steps} for (name, day), steps in days.items()])


def _in_chunks(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
