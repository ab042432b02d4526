"""What differs between the databases that can hold control state: opening one, and the SQL that they spell differently.

SQLite today.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, Function, Table, bindparam, create_engine, event, func, inspect
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.dialects.sqlite.dml import Insert

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",  # readers never wait for the writer
    "PRAGMA synchronous=FULL",  # a commit is on the disk: the cursor must never be ahead of the rows
    "PRAGMA busy_timeout=10000",
    "PRAGMA foreign_keys=ON",
    "PRAGMA cache_size=-65536",  # 64 MiB
    "PRAGMA wal_autocheckpoint=8000",  # 32 MiB: the same page is then copied back once for many commits
)


def open_sqlite(path: Path) -> Engine:
    """An engine on the file ``path``, made when missing. With ``writes=True`` a connection takes the write lock at BEGIN."""
    # The connection that was used last comes first: its cache is warm, and the others need none.
    engine = create_engine(f"sqlite:///{path}", pool_size=8, max_overflow=32, pool_use_lifo=True)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say so, not at the first INSERT
        for pragma in _PRAGMAS:
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def run_script(connection: Connection, statements: str) -> None:
    """Several statements, in the transaction that is open: a step of a migration."""
    for statement in filter(str.strip, statements.split(";\n")):  # the driver's own executescript would commit
        connection.exec_driver_sql(statement)


class DriverSql(NamedTuple):
    """A statement as the driver takes it, and the names of its positional parameters."""

    sql: str
    parameters: list[str]


def driver_sql(statement: Insert) -> DriverSql:
    """``statement`` compiled once, for rows that come as tuples."""
    compiled = statement.compile(dialect=sqlite.dialect())
    return DriverSql(str(compiled), list(compiled.positiontup or ()))


def read(connection: Connection, query: str, given: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """The rows of a query, in the transaction that is open, as the driver gives them: a tenth of what named columns cost."""
    cursor = connection.connection.cursor()
    cursor.execute(query, given)
    return list(cursor.fetchall())


def read_one(connection: Connection, query: str, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The first of them."""
    found = read(connection, query, given)
    return found[0] if found else None


def upsert(table: Table, *, adding: tuple[str, ...] = ()) -> Insert:
    """INSERT that replaces the row of the same primary key; the columns in ``adding`` are added to what is there."""
    statement = insert(table)
    keys = table.primary_key.columns.keys()
    changes = {
        name: table.c[name] + statement.excluded[name] if name in adding else statement.excluded[name]
        for name in table.c.keys()  # noqa: SIM118 (a ColumnCollection iterates over columns, not names)
        if name not in keys
    }
    return statement.on_conflict_do_update(index_elements=keys, set_=changes)


def do_nothing(table: Table) -> Insert:
    """INSERT that leaves a row of the same primary key as it is."""
    return insert(table).on_conflict_do_nothing()


def least(*values: Any) -> Function[Any]:
    """The smallest of several values of one row."""
    return func.min(*values)


def greatest(*values: Any) -> Function[Any]:
    """The largest of several values of one row."""
    return func.max(*values)


def glob(column: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
    """Whether a column matches a shell pattern of ``*`` and ``?``; brackets are letters like others."""
    return column.op("GLOB", is_comparison=True)(pattern.replace("[", "[[]"))


def json_array(column: ColumnElement[Any]) -> Function[Any]:
    """The values of a column as one JSON array, in the order in which the rows come."""
    return func.json_group_array(column)


def json_rows(*columns: ColumnElement[Any]) -> Function[Any]:
    """Rows as one JSON array of arrays, in the order in which the rows come."""
    return func.json_group_array(func.json_array(*columns))


def json_values(column: ColumnElement[Any]) -> Any:
    """The values of the JSON array in a column, as a table with the column ``value``."""
    return func.json_each(column).table_valued("value")


def json_number(column: ColumnElement[Any], name: str) -> ColumnElement[int]:
    """A number in the JSON object in a column."""
    return func.json_extract(column, f"$.{name}")


class Pairs(NamedTuple):
    """Pairs of numbers as a table: their place in the list from 0, and both."""

    table: Any
    number: ColumnElement[int]
    first: ColumnElement[int]
    second: ColumnElement[int]


def numbered_pairs(parameter: str) -> Pairs:
    """The pairs in a JSON array of arrays, given as a parameter: one statement, however many there are."""
    table = func.json_each(bindparam(parameter)).table_valued("key", "value")
    return Pairs(table, table.c.key, func.json_extract(table.c.value, "$[0]"), func.json_extract(table.c.value, "$[1]"))


def matches(column: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    """Whether a text matches a pattern of ``*`` and ``?``, letter by letter; with ``[`` only what is spelled like it does."""
    return column == pattern if "[" in pattern else column.op("GLOB", is_comparison=True)(pattern)


def add_missing_columns(connection: Connection, table: Table) -> None:
    """Add to a table what a file of an earlier version lacks. Such columns may be NULL."""
    there = {column["name"] for column in inspect(connection).get_columns(table.name)}
    for column in table.c:
        if column.name not in there:
            kind = column.type.compile(connection.dialect)
            connection.exec_driver_sql(f'ALTER TABLE "{table.name}" ADD COLUMN "{column.name}" {kind}')


def only_grows(connection: Connection, table: Table) -> None:
    """Have the database refuse to change or delete a row of a table."""
    for act in ("UPDATE", "DELETE"):
        connection.exec_driver_sql(
            f'CREATE TRIGGER IF NOT EXISTS "{table.name}_{act.lower()}" BEFORE {act} ON "{table.name}" '
            f"BEGIN SELECT RAISE(ABORT, '{table.name} only grows'); END"
        )
