"""SQL sent by a user, run inside the collector.

The database is locked down as a whole; here is what that leaves open: one statement, a SELECT, in a read-only
transaction, without the functions that reach beyond the tables, few at a time, each for a limited time, number of rows,
and memory. DuckDB's own limit of memory is of everybody together: a query that reached it would take from who writes.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import duckdb
import pyarrow as pa

from rota_collector.errors import QueryBusy, QueryFailed, QueryRefused, QueryTimeout, QueryTooLarge
from rota_collector.store.sql import queries

LONGEST_QUERY = 100_000  # characters
_AT_ONCE = 2
_WAIT_SECONDS = 5.0  # for one of those that run
_LOOK_SECONDS = 0.02  # between looks at the clock and at memory
_PAGE_BYTES = 4096

# Functions in FROM can write files (enable_profiling), read any table by a text we did not look into (query) or stop the
# writer (force_checkpoint): those that cannot are named, all others refused.
_TABLE_FUNCTIONS = frozenset(
    ("range", "generate_series", "unnest", "json_each", "json_tree", "repeat_row",
     "duckdb_columns", "duckdb_functions", "duckdb_tables", "duckdb_types", "duckdb_views", "pragma_table_info")
)  # fmt: skip
# Elsewhere they are harmless but for these: side effects, sleeping, what the process knows, and a value of any size made in one
# uninterruptible step, beyond DuckDB's limit of memory.
_REFUSED = frozenset(
    ("write_log", "setseed", "nextval", "sleep_ms", "pg_sleep", "repeat", "lpad", "rpad", "list_resize", "array_resize",
     "range", "generate_series", "format", "printf", "current_setting")
)  # fmt: skip
_HELD = queries("telemetry.sql")["held_bytes"]
_slots = threading.BoundedSemaphore(_AT_ONCE)

T = TypeVar("T")


class Limits(NamedTuple):
    """Of one query: how long it runs, how much memory it holds, and how many rows it returns."""

    seconds: float
    bytes: int
    rows: int


class Rows(NamedTuple):
    """The answer to a query: ``rows`` are tuples of Python values in the order of ``columns``."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    truncated: bool  # there are more rows than were asked for


def run(cursor: duckdb.DuckDBPyConnection, query: str, limits: Limits) -> Rows:
    """Runs exactly one SELECT. Raises ``QueryRefused``, ``QueryFailed``, ``QueryTimeout``, ``QueryTooLarge``, ``QueryBusy``."""

    def read(result: duckdb.DuckDBPyConnection) -> Rows:
        columns = [column[0] for column in result.description or ()]
        rows = result.fetchmany(limits.rows + 1)
        return Rows(columns, rows[: limits.rows], len(rows) > limits.rows)

    return _guarded(cursor, query, limits, read)


def columns(cursor: duckdb.DuckDBPyConnection, query: str, limits: Limits) -> pa.Table:
    """The same as columns; ``truncated`` in the metadata of the schema: there are more rows."""

    def read(result: duckdb.DuckDBPyConnection) -> pa.Table:
        reader = result.to_arrow_reader(limits.rows + 1)
        batches: list[pa.RecordBatch] = []
        while sum(batch.num_rows for batch in batches) <= limits.rows and (batch := next(reader, None)) is not None:
            batches.append(batch)
        table = pa.Table.from_batches(batches, reader.schema)
        shown = table.slice(0, limits.rows)
        return shown.replace_schema_metadata({"truncated": "1"}) if table.num_rows > limits.rows else shown

    return _guarded(cursor, query, limits, read)


def _guarded(cursor: duckdb.DuckDBPyConnection, query: str, limits: Limits, read: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
    if not _slots.acquire(timeout=_WAIT_SECONDS):
        raise QueryBusy(f"{_AT_ONCE} queries are running already, for {_WAIT_SECONDS:g} s and more; send it again later")
    try:
        statement = _only_select(cursor, query)
        _refuse_functions(cursor, query)
        cursor.execute("BEGIN TRANSACTION READ ONLY")
        try:
            with _Watch(cursor, limits.seconds, limits.bytes):
                return read(cursor.execute(statement))
        finally:
            cursor.execute("ROLLBACK")
    except duckdb.PermissionException as error:
        raise QueryRefused(f"cannot run the query: {error}") from error
    except duckdb.FatalException:
        raise
    except duckdb.OutOfMemoryException as error:
        raise QueryTooLarge(f"the query needs too much memory or temporary disk; ask for less at once: {error}") from error
    except (duckdb.Error, pa.ArrowException) as error:
        raise QueryFailed(f"cannot run the query: {error}") from error
    finally:
        _slots.release()


def _only_select(cursor: duckdb.DuckDBPyConnection, query: str) -> duckdb.Statement:
    if len(query) > LONGEST_QUERY:
        raise QueryRefused(f"the query has {len(query):,} characters; {LONGEST_QUERY:,} are the most")
    # Parsed by the locked database: for IMPORT DATABASE the parser itself reads files.
    statements = cursor.extract_statements(query)
    if len(statements) != 1:
        raise QueryRefused(f"exactly one SELECT may be sent, not {len(statements)} statements")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise QueryRefused(f"only SELECT may be sent, not {statements[0].type.name}")
    return statements[0]


def _refuse_functions(cursor: duckdb.DuckDBPyConnection, query: str) -> None:
    row = cursor.execute("SELECT json_serialize_sql(?)", [query]).fetchone()
    try:
        tree = json.loads(row[0]) if row else {"error": True}
        found = set(_functions(tree.get("statements", ())))
    except RecursionError:
        raise QueryRefused("the query is nested too deeply to be looked into; write it with WITH") from None
    if tree["error"]:
        raise QueryRefused(f"only SELECT may be sent: {tree.get('error_message', 'it cannot be looked into')}")
    for place, name in sorted(found):
        if place == "TABLE_FUNCTION" and name not in _TABLE_FUNCTIONS:
            raise QueryRefused(f"the function {name} may not be used in FROM; allowed are {', '.join(sorted(_TABLE_FUNCTIONS))}")
        if place != "TABLE_FUNCTION" and name in _REFUSED:
            raise QueryRefused(f"the function {name} may not be used: it does more than read, or has no limit")


def _functions(node: Any) -> Iterator[tuple[str, str]]:
    """(where, name) of every function in a serialised statement."""
    if isinstance(node, list):
        for item in node:
            yield from _functions(item)
    elif isinstance(node, dict):
        in_from = node.get("type") == "TABLE_FUNCTION"
        if in_from:
            yield "TABLE_FUNCTION", str(node["function"].get("function_name", "")).lower()
        elif "function_name" in node:
            yield "", str(node["function_name"]).lower()
        for key, item in node.items():
            yield from _functions(item["children"] if in_from and key == "function" else item)


def limited(cursor: duckdb.DuckDBPyConnection, seconds: float, most_bytes: int) -> contextlib.AbstractContextManager[None]:
    """The same limits of time and memory for a query of our own. Raises ``QueryTimeout``, ``QueryTooLarge``."""
    return _Watch(cursor, seconds, most_bytes)


class _Held(NamedTuple):
    """Bytes of memory that DuckDB counts."""

    tables: int
    others: int


class _Watch(contextlib.AbstractContextManager[None]):
    """Interrupts what ``cursor`` runs inside the block when it takes too long or holds too much, again and again until it stops.

    Raises ``QueryTimeout`` or ``QueryTooLarge`` then. Memory is looked at twice: what DuckDB counts, and what the process has
    grown by beyond that, as not everything is counted. What tables hold is not the query's: their pages may be dropped at any
    time, and the first query after a start reads many.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, seconds: float, most_bytes: int) -> None:
        self._cursor, self._seconds, self._most_bytes = cursor, seconds, most_bytes
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, name="rota-sql-watch", daemon=True)
        self._reason: Exception | None = None

    def __enter__(self) -> None:
        self._deadline = time.monotonic() + self._seconds
        self._counter = self._cursor.cursor()
        self._counted_before, self._resident_before = sum(self._counted_bytes()), _resident_bytes()
        self._thread.start()

    def __exit__(self, _kind: Any, error: BaseException | None, _traceback: Any) -> None:
        self._done.set()
        self._thread.join()  # so that no interrupt hits what the cursor runs next
        self._counter.close()
        if isinstance(error, duckdb.InterruptException) and self._reason is not None:
            raise self._reason from error

    def _look(self) -> None:
        while not self._done.wait(_LOOK_SECONDS):
            self._reason = self._reason or self._too_long() or self._too_large()
            if self._reason is not None:
                self._cursor.interrupt()

    def _too_long(self) -> Exception | None:
        if time.monotonic() < self._deadline:
            return None
        return QueryTimeout(f"the query ran longer than {self._seconds:g} s; ask for less, or for a shorter time")

    def _too_large(self) -> Exception | None:
        counted = self._counted_bytes()
        grown = max(0, sum(counted) - self._counted_before)
        if _resident_bytes() - self._resident_before - grown <= self._most_bytes >= counted.others:
            return None
        most = f"{self._most_bytes // 10**6} MB of memory"
        return QueryTooLarge(f"the query needs more than {most}; ask for less at once, or raise ROTA_MEMORY")

    def _counted_bytes(self) -> _Held:
        with contextlib.suppress(duckdb.Error):
            return _Held(*self._counter.execute(_HELD).fetchall()[0])
        return _Held(0, 0)


def _resident_bytes() -> int:
    """What this process has in memory; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0
