"""A snapshot of telemetry in files of its own, for heavier work than the collector's own database should do.

All of it is read in one transaction, so it is of one moment, at the speed of the disk: whoever fetches the files slowly does
not keep the transaction open. Memory holds one batch of rows at a time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from rota_collector.store.database import making
from rota_collector.store.sql import queries

TIMES = {"spans": "started_at", "logs": "logged_at", "metrics": "measured_at", "run_events": "happened_at"}
DATABASE, OPEN_SQL = "telemetry.duckdb", "open.sql"
_BATCH_ROWS = 40_960
_ROW_GROUP_BATCHES = 3  # in a DuckDB file: what is written by halves is slower and larger
_PART_ROWS = 1 << 20  # of one Parquet file
_DATABASE_CONFIG: dict[str, str | bool | int | float | list[str]] = {"memory_limit": "256MB", "threads": 1}
_SQL = queries("telemetry.sql")

Read = Callable[[str], Iterator[pa.RecordBatch]]


class Part(NamedTuple):
    """What is exported; None: all. Times are Unix ns; a span's is its start."""

    since_ns: int | None = None  # inclusive
    until_ns: int | None = None  # exclusive
    workflow: str | None = None
    pattern: str | None = None  # of its name, with * and ?


def parquet(cursor: duckdb.DuckDBPyConnection, part: Part, directory: Path) -> Iterator[Path]:
    """Files as they get ready: some of each table, and ``open.sql``, which makes tables and views of them."""
    with _snapshot(cursor, part) as read:
        for table in TIMES:
            yield from _parts_of(table, read(table), directory)
    opening = directory / OPEN_SQL
    opening.write_text("\n".join(_view(cursor, table) for table in TIMES) + "\n\n" + _SQL["views"] + "\n")
    yield opening


def _view(cursor: duckdb.DuckDBPyConnection, table: str) -> str:
    """The statement that makes a table of its files, with the types that Arrow has as text."""
    casts = ", ".join(f"{name} :: {kind} AS {name}" for name, kind in cursor.execute(_SQL["text_columns"], [table]).fetchall())
    return _SQL["view_of_files"].format(table=table, casts=casts)


def database(cursor: duckdb.DuckDBPyConnection, part: Part, directory: Path) -> Iterator[Path]:
    """One DuckDB file with the same tables and views."""
    path = directory / DATABASE
    with _snapshot(cursor, part) as read, making(path, _DATABASE_CONFIG) as made:
        made.execute(_SQL["schema"])
        for table, time in TIMES.items():
            batches = read(table)
            while some := list(islice(batches, _ROW_GROUP_BATCHES)):
                made.register("batch", pa.Table.from_batches(some))
                made.execute(_SQL["append"].format(table=table, time=time))
                made.unregister("batch")
        made.execute("DROP TABLE progress; DROP TABLE requests")  # they are of the journal
        made.execute(_SQL["views"])
    yield path


@contextlib.contextmanager
def _snapshot(cursor: duckdb.DuckDBPyConnection, part: Part) -> Iterator[Read]:
    """Reads tables, all as they were at one moment."""
    given = part._asdict()

    def read(table: str) -> Iterator[pa.RecordBatch]:
        query = _SQL["export"].format(table=table, time=TIMES[table])
        reader = cursor.execute(query, given).to_arrow_reader(_BATCH_ROWS)
        yield pa.RecordBatch.from_pylist([], reader.schema)
        yield from reader

    cursor.execute("BEGIN TRANSACTION READ ONLY")
    try:
        yield read
    finally:
        with contextlib.suppress(duckdb.Error):
            cursor.execute("ROLLBACK")


def _parts_of(table: str, batches: Iterator[pa.RecordBatch], directory: Path) -> Iterator[Path]:
    writer: Any = None
    rows = number = 0
    try:
        for batch in batches:
            if writer is None:
                path = directory / f"{table}-{(number := number + 1):06}.parquet"
                writer, rows = pq.ParquetWriter(path, batch.schema, compression="zstd"), 0
            writer.write_batch(batch)
            rows += batch.num_rows
            if rows >= _PART_ROWS:
                writer.close()
                writer = None
                yield path
        if writer is not None:
            writer.close()
            writer = None
            yield path
    finally:
        if writer is not None:
            writer.close()
