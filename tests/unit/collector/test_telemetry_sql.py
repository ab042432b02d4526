"""SQL from users: one SELECT on the tables, and no way to anything else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from otlp_messages import record, span, traces

from rota_collector.errors import QueryError, QueryFailed, QueryRefused, QueryTimeout
from rota_collector.journal import Signal
from rota_collector.store.sandbox import Rows
from rota_collector.store.telemetry import Telemetry


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Telemetry]:
    path = tmp_path_factory.mktemp("sql") / "telemetry.duckdb"
    telemetry = Telemetry.open(path, memory_limit="200MB", threads=1)
    telemetry.apply([record(traces(*(span(n) for n in range(1, 11))), Signal.TRACES_PROTO)])
    yield telemetry
    telemetry.close()


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT name FROM spans ORDER BY started_at LIMIT 2", [("span 1",), ("span 2",)]),
        ("select 1; ", [(1,)]),
        ("-- why\nSELECT 1 -- because", [(1,)]),
        ("WITH few AS (FROM spans LIMIT 3) SELECT count(*) FROM few", [(3,)]),
        ("FROM range(2)", [(0,), (1,)]),
        ("SELECT count(*) FROM runs UNION ALL SELECT count(*) FROM tasks", [(0,), (0,)]),
        ("SELECT count(*) FROM spans WHERE started_at < now()::TIMESTAMP - INTERVAL 1 DAY AND name = 'no'", [(0,)]),
        ("SELECT unnest([1, 2])", [(1,), (2,)]),
    ],
)
def test_a_select_is_answered(store: Telemetry, query: str, rows: list[tuple[object, ...]]) -> None:
    """One SELECT, however it is written, gives its rows."""
    assert store.sql(query).rows == rows


@pytest.mark.parametrize(
    "query",
    [
        "", ";", "-- nothing", "SELECT 1; SELECT 2", "SELECT 1; DELETE FROM spans",
        "INSERT INTO spans SELECT * FROM spans", "DELETE FROM spans", "UPDATE progress SET next_offset = 0", "DROP TABLE spans",
        "CREATE TABLE t AS SELECT 1", "CREATE TEMP TABLE t AS SELECT 1", "CREATE MACRO f() AS 1",
        "ALTER TABLE spans RENAME TO s",
        "COPY spans TO '/tmp/stolen.csv'",
        "COPY spans FROM '/etc/passwd'",
        "EXPORT DATABASE '/tmp/stolen'",
        "IMPORT DATABASE '/tmp'",
        "ATTACH '/tmp/other.duckdb'", "ATTACH ':memory:' AS m", "DETACH telemetry", "USE memory", "CHECKPOINT",
        "FORCE CHECKPOINT",
        "SET memory_limit = '100GB'",
        "SET GLOBAL enable_external_access = true", "RESET memory_limit", "PRAGMA enable_profiling",
        "PRAGMA database_list", "INSTALL httpfs", "LOAD httpfs", "CALL pragma_version()", "BEGIN", "COMMIT", "ROLLBACK",
        "PREPARE p AS SELECT 1", "EXECUTE p", "EXPLAIN ANALYZE SELECT 1", "VACUUM", "PIVOT spans ON kind",
        "SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_blob('/etc/passwd')",
        "SELECT * FROM read_json('/etc/passwd')", "SELECT * FROM parquet_scan('/etc/passwd')", "SELECT * FROM glob('/*')",

        "SELECT * FROM sniff_csv('/etc/passwd')", "SELECT * FROM duckdb_secrets()", "SELECT * FROM duckdb_settings()",
        "SELECT * FROM query('SELECT 1')", "SELECT * FROM query_table(['spans'])", "SELECT * FROM checkpoint()",
        "SELECT * FROM force_checkpoint()",
        "SELECT * FROM enable_logging()", 'SELECT * FROM "ENABLE_PROFILING"()',
        "SELECT * FROM json_execute_serialized_sql('')", "SELECT * FROM arrow_scan(1, 2, 3)", "SELECT * FROM pandas_scan(1)",
        "WITH x AS (SELECT * FROM checkpoint()) SELECT 1 FROM x", "SELECT (SELECT count(*) FROM system.main.checkpoint())",
        "SELECT 1 WHERE EXISTS (FROM read_text('/etc/passwd'))", "FROM spans, LATERAL (FROM glob(spans.name))",
        "SELECT write_log('x')", "SELECT list_transform([1], lambda x: write_log('x'))",
        "SELECT setseed(0.5)", "SELECT sleep_ms(1)",
        "SELECT length(repeat('x', 2000000000))", "SELECT lpad('x', 2000000000, 'y')",
    ],
)  # fmt: skip
def test_everything_else_is_refused(store: Telemetry, query: str) -> None:
    """What is not exactly one SELECT, or reaches beyond the tables, is refused with a reason, and changes nothing."""
    with pytest.raises(QueryRefused, match=r"\w{3}"):
        store.sql(query)
    assert store.sql("SELECT count(*) FROM spans").rows == [(10,)]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM '/etc/passwd'", "SELECT getenv('HOME')", "SELECT * FROM store", "SELECT * FROM nothing", "SELEC 1",
        "WITH x AS (DELETE FROM spans RETURNING *) SELECT * FROM x", "SELECT * FROM (DELETE FROM spans RETURNING *)",
        "SELECT 1 INTO OUTFILE '/tmp/stolen'", "SELECT 'x'::INTEGER", "SELECT error('own')", "SELECT \x00",
    ],
)  # fmt: skip
def test_what_does_not_run_says_why(store: Telemetry, query: str) -> None:
    """A query that names no table, no function or no sense fails with DuckDB's words; variables of the process are no tables."""
    with pytest.raises(QueryFailed, match=r"\w{3}"):
        store.sql(query)
    assert store.sql("SELECT count(*) FROM spans").rows == [(10,)]


def test_rows_are_limited(store: Telemetry) -> None:
    """At most the limit is returned, and more is said to exist only when it does."""
    assert store.sql("FROM range(3)", max_rows=3) == Rows(["range"], [(0,), (1,), (2,)], truncated=False)
    assert store.sql("FROM range(4)", max_rows=3) == Rows(["range"], [(0,), (1,), (2,)], truncated=True)
    assert store.sql("FROM range(100000000000)", max_rows=2).truncated


@pytest.mark.parametrize(
    "query",
    ["SELECT sum(a.range + b.range) FROM range(1000000) a, range(1000000) b", "FROM range(100000000000) ORDER BY random()"],
)
def test_time_is_limited(store: Telemetry, query: str) -> None:
    """A query that runs too long is interrupted, and the next one works."""
    with pytest.raises(QueryTimeout, match=r"0\.2 s"):
        store.sql(query, timeout_seconds=0.2)
    assert store.sql("SELECT 1").rows == [(1,)]


def test_memory_is_limited(store: Telemetry) -> None:
    """A query that needs more memory than allowed fails; the process does not."""
    with pytest.raises(QueryError):
        store.sql("SELECT list(range) FROM range(200000000)", timeout_seconds=20)
    assert store.sql("SELECT 1").rows == [(1,)]


def test_an_interrupt_hits_only_its_query(store: Telemetry) -> None:
    """The clock of a query that ended in time does not interrupt the next."""
    store.sql("SELECT 1", timeout_seconds=0.05)
    deadline = time.monotonic() + 0.3
    while time.monotonic() < deadline:
        assert store.sql("SELECT count(*) FROM range(100000)").rows == [(100000,)]


def test_settings_cannot_be_changed_even_inside(store: Telemetry, tmp_path: Path) -> None:
    """The database itself is locked: also a statement that came past the checks could not open it or reach a file."""
    import duckdb

    with store.reader() as cursor:
        for statement in (
            "SET enable_external_access = true",
            f"COPY spans TO '{tmp_path}/x.csv'",
            f"ATTACH '{tmp_path}/x.duckdb'",
        ):
            with pytest.raises(duckdb.Error):
                cursor.execute(statement)
    assert not list(tmp_path.iterdir())
