"""Statements to a real PostgreSQL, told as they were, and once."""

from __future__ import annotations

from typing import Any

import postgres
import pytest
from library_calls import calls, run, written
from scripts import Outcome


@pytest.fixture(scope="module")
def database():
    """How to connect to a PostgreSQL."""
    with postgres.running() as address:
        yield address


def statements(outcome: Outcome) -> list[tuple[Any, ...]]:
    """What is told of each statement to PostgreSQL: summary, rows answered, rows changed, error."""
    assert "geheim" not in written(outcome)
    assert {a["db.system.name"] for a in calls(outcome)} == {"postgresql"}
    asked = ("db.query.summary", "db.response.returned_rows", "rota.rows.affected", "error.type")
    return [tuple(a.get(name) for name in asked) for a in calls(outcome)]


def test_psycopg(home, database) -> None:
    """A statement is one span with the rows that PostgreSQL answered or changed, and a COPY one with those it moved."""
    outcome = run(
        f"""
    import inspect, psycopg, traceback
    from psycopg import sql
    assert list(inspect.signature(psycopg.Cursor.execute).parameters) == ["self", "query", "params", "prepare", "binary"]
    connection = psycopg.connect({database!r}, autocommit=True)
    connection.execute("CREATE TEMP TABLE t (a INT UNIQUE, b TEXT)")
    cursor = connection.cursor()
    cursor.executemany("INSERT INTO t VALUES (%s, %s)", [(i, "geheim") for i in range(100)])
    assert len(connection.execute("SELECT a FROM t WHERE a < %s", (42,)).fetchall()) == 42
    assert cursor.execute(b"DELETE FROM t WHERE a >= %s", (60,)).rowcount == 40
    cursor.executemany("INSERT INTO t VALUES (%s) RETURNING a", [(200,), (201,)], returning=True)
    assert cursor.fetchall() == [(200,)] and cursor.nextset() and cursor.fetchall() == [(201,)]
    assert len(connection.execute("SELECT 1 FROM t; SELECT b FROM t").fetchall()) == 62
    with cursor.copy("COPY t FROM STDIN") as copy:
        for i in range(1000, 1250): copy.write_row((i, "geheim"))
    with cursor.copy(sql.SQL("COPY t TO STDOUT")) as copy:
        assert sum(1 for row in copy.rows()) == 312
    try: connection.execute("INSERT INTO t VALUES (1, 'geheim')")
    except psycopg.errors.UniqueViolation as error: assert "<rota" not in "".join(traceback.format_tb(error.__traceback__))
    connection.close()
        """,
        home,
    )
    assert statements(outcome) == [
        ("CREATE t", None, None, None), ("INSERT t", None, 100, None), ("SELECT t", 42, None, None),
        ("DELETE t", None, 40, None), ("INSERT t", 2, None, None), ("SELECT t", 124, None, None), ("COPY t", None, 250, None),
        ("COPY t", 312, None, None), ("INSERT t", None, None, "psycopg.errors.UniqueViolation"),
    ]  # fmt: skip


def test_psycopg_copies_that_fail(home, database) -> None:
    """An error before, in or after a COPY is the one that the program would have had, and its type is told."""
    outcome = run(
        f"""
    import psycopg, traceback
    connection = psycopg.connect({database!r}, autocommit=True)
    cursor = connection.cursor()
    connection.execute("CREATE TEMP TABLE t (a INT UNIQUE)")
    def fails(kind, query, row):
        try:
            with cursor.copy(query) as copy:
                if kind is StopIteration: raise StopIteration("geheim")
                copy.write_row(row)
        except kind as error:
            assert not [f for f in traceback.extract_tb(error.__traceback__) if "<rota" in f.filename]
        else: raise AssertionError
    assert type(cursor.copy("COPY t FROM STDIN")).__name__ == "_GeneratorContextManager"
    fails(psycopg.errors.UndefinedTable, "COPY nowhere FROM STDIN", (1,))
    fails(psycopg.errors.InvalidTextRepresentation, "COPY t FROM STDIN", ("geheim",))
    fails(StopIteration, "COPY t FROM STDIN", ())
    assert connection.execute("SELECT a FROM t").fetchall() == []
    connection.close()
        """,
        home,
    )
    assert statements(outcome) == [
        ("CREATE t", None, None, None), ("COPY nowhere", None, None, "psycopg.errors.UndefinedTable"),
        ("COPY t", None, None, "psycopg.errors.InvalidTextRepresentation"), ("COPY t", None, None, "StopIteration"),
        ("SELECT t", 0, None, None),
    ]  # fmt: skip


def test_psycopg_on_the_server(home, database) -> None:
    """Rows of a server-side cursor are counted as they are fetched, until the cursor is closed, used again or the run ends."""
    outcome = run(
        f"""
    import psycopg
    connection = psycopg.connect({database!r})
    series = "SELECT n AS {{}} FROM generate_series(1, 1000) n"
    with connection.cursor("one") as cursor:
        assert cursor.execute(series.format("a")).fetchone() == (1,)
        assert len(cursor.fetchmany(10)) == 10 and len(cursor.fetchall()) == 989
        cursor.execute(series.format("b"))
        cursor.itersize = 40
        assert next(iter(cursor)) == (1,)
    left = connection.cursor("left")
    assert len(left.execute(series.format("c")).fetchmany(7)) == 7
        """,
        home,
    )
    assert [rows for _, rows, _, _ in statements(outcome)] == [1000, 40, 7]


def test_psycopg_asynchronously(home, database) -> None:
    """Connections that are awaited are seen as the others are, each statement under the task that awaits it."""
    outcome = run(
        f"""
    import asyncio, inspect, psycopg
    for method in (psycopg.AsyncCursor.execute, psycopg.AsyncServerCursor.close): assert inspect.iscoroutinefunction(method)
    async def ask(name, rows):
        with rota.task(name):
            async with await psycopg.AsyncConnection.connect({database!r}) as connection:
                await connection.execute("CREATE TEMP TABLE t (a INT)")
                cursor = connection.cursor()
                await cursor.executemany("INSERT INTO t VALUES (%s)", [(i,) for i in range(rows)])
                async with cursor.copy("COPY t FROM STDIN") as copy:
                    await copy.write_row((1,))
                async with cursor.copy("COPY t TO STDOUT") as copy:
                    assert len([row async for row in copy.rows()]) == rows + 1
                async with connection.cursor("named") as named:
                    await named.execute("SELECT a FROM t")
                    assert len([row async for row in named]) == rows + 1
                try:
                    async with cursor.copy("COPY t TO STDOUT") as copy: raise KeyError("geheim")
                except KeyError: pass
    async def both(): await asyncio.gather(ask("few", 3), ask("many", 300))
    asyncio.run(both())
        """,
        home,
    )
    tasks = {span["spanId"]: span["name"] for span in outcome.spans if span["name"] in ("few", "many")}
    outcome.spans = [span for span in outcome.spans if span["spanId"] not in tasks]
    assert len(statements(outcome)) == 12
    for name, rows in (("few", 3), ("many", 300)):
        told = [a["attributes"] for a in outcome.spans if tasks.get(a["parentSpanId"]) == name]
        assert [
            (a["db.operation.name"], a.get("db.response.returned_rows"), a.get("rota.rows.affected"), a.get("error.type"))
            for a in told
        ] == [
            ("CREATE", None, None, None), ("INSERT", None, rows, None), ("COPY", None, 1, None), ("COPY", rows + 1, None, None),
            ("SELECT", rows + 1, None, None), ("COPY", None, None, "KeyError"),
        ]  # fmt: skip


def test_psycopg_below_sqlalchemy(home, database) -> None:
    """A statement that SQLAlchemy gives to psycopg is SQLAlchemy's, once."""
    outcome = run(
        f"""
    import psycopg, sqlalchemy
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect({database!r}))
    with engine.connect() as c:
        c.execute(sqlalchemy.text("CREATE TEMP TABLE t AS SELECT n AS a FROM generate_series(1, 10) n"))
        assert len(c.execute(sqlalchemy.text("SELECT a FROM t")).all()) == 10
    engine.dispose()
        """,
        home,
    )
    assert [span["name"] for span in outcome.spans if span["attributes"].get("db.response.returned_rows") == 10] == ["SELECT t"]
