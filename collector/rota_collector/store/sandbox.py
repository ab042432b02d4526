"""SQL sent by a user, run inside the collector.

The database is locked down as a whole; here is what that leaves open: one statement, a SELECT, in a read-only
transaction, without the functions that reach beyond the tables, for a limited time and number of rows.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import duckdb

from rota_collector.errors import QueryFailed, QueryRefused, QueryTimeout

# Functions in FROM can write files (enable_profiling), read any table by a text we did not look into (query) or stop the
# writer (force_checkpoint): those that cannot are named, all others refused.
_TABLE_FUNCTIONS = frozenset(
    ("range", "generate_series", "unnest", "json_each", "json_tree", "repeat_row",
     "duckdb_columns", "duckdb_functions", "duckdb_tables", "duckdb_types", "duckdb_views", "pragma_table_info")
)  # fmt: skip
# Elsewhere they are harmless but for these: side effects, sleeping, and text of any size made in one uninterruptible step.
_REFUSED = frozenset(
    ("write_log", "setseed", "nextval", "sleep_ms", "pg_sleep", "repeat", "lpad", "rpad", "list_resize", "array_resize")
)  # fmt: skip


class Rows(NamedTuple):
    """The answer to a query: ``rows`` are tuples of Python values in the order of ``columns``."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    truncated: bool  # there are more rows than were asked for


def run(cursor: duckdb.DuckDBPyConnection, query: str, *, timeout_seconds: float, max_rows: int) -> Rows:
    """Runs exactly one SELECT. Raises ``QueryRefused``, ``QueryFailed``, ``QueryTimeout``."""
    try:
        statement = _only_select(cursor, query)
        _refuse_functions(cursor, query)
        cursor.execute("BEGIN TRANSACTION READ ONLY")
        try:
            with _interrupted_after(cursor, timeout_seconds):
                result = cursor.execute(statement)
                columns = [column[0] for column in result.description or ()]
                rows = result.fetchmany(max_rows + 1)
        finally:
            cursor.execute("ROLLBACK")
    except duckdb.InterruptException as error:
        raise QueryTimeout(f"the query ran longer than {timeout_seconds:g} s; ask for less, or for a shorter time") from error
    except duckdb.PermissionException as error:
        raise QueryRefused(f"cannot run the query: {error}") from error
    except duckdb.FatalException:
        raise
    except duckdb.Error as error:
        raise QueryFailed(f"cannot run the query: {error}") from error
    return Rows(columns, rows[:max_rows], len(rows) > max_rows)


def _only_select(cursor: duckdb.DuckDBPyConnection, query: str) -> duckdb.Statement:
    # Parsed by the locked database: for IMPORT DATABASE the parser itself reads files.
    statements = cursor.extract_statements(query)
    if len(statements) != 1:
        raise QueryRefused(f"exactly one SELECT may be sent, not {len(statements)} statements")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise QueryRefused(f"only SELECT may be sent, not {statements[0].type.name}")
    return statements[0]


def _refuse_functions(cursor: duckdb.DuckDBPyConnection, query: str) -> None:
    row = cursor.execute("SELECT json_serialize_sql(?)", [query]).fetchone()
    tree = json.loads(row[0]) if row else {"error": True}
    if tree["error"]:
        raise QueryRefused(f"only SELECT may be sent: {tree.get('error_message', 'it cannot be looked into')}")
    for place, name in _functions(tree["statements"]):
        if place == "TABLE_FUNCTION" and name not in _TABLE_FUNCTIONS:
            raise QueryRefused(f"the function {name} may not be used in FROM; allowed are {', '.join(sorted(_TABLE_FUNCTIONS))}")
        if name in _REFUSED:
            raise QueryRefused(f"the function {name} may not be used: it does more than read, or has no limit")


def _functions(node: Any) -> Iterator[tuple[str, str]]:
    """(where, name) of every function in a serialised statement."""
    if isinstance(node, list):
        for item in node:
            yield from _functions(item)
    elif isinstance(node, dict):
        if node.get("type") == "TABLE_FUNCTION":
            yield "TABLE_FUNCTION", str(node["function"].get("function_name", "")).lower()
        elif "function_name" in node:
            yield "", str(node["function_name"]).lower()
        for item in node.values():
            yield from _functions(item)


@contextlib.contextmanager
def _interrupted_after(cursor: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, cursor.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
