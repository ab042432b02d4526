"""SQL from users: one SELECT on the tables, and no way to anything else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from otlp_messages import record, span, traces

from rota_collector.errors import QueryBusy, QueryError, QueryFailed, QueryRefused, QueryTimeout, QueryTooLarge
from rota_collector.journal import Signal
from rota_collector.store import sandbox
from rota_collector.store.sandbox import Rows
from rota_collector.store.telemetry import Telemetry


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Telemetry]:
    path = tmp_path_factory.mktemp("sql") / "telemetry.duckdb"
    telemetry = Telemetry.open(path, memory=200_000_000, threads=1)
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
        "SELECT list_sum(range(1, 500000000))", "SELECT len(generate_series(1, 500000000))",
        "SELECT format('{:>1000000000}', 'x')",
        "SELECT printf('%1000000000d', 1)", "FROM range(len(range(1, 500000000)))", "SELECT unnest(range(1000000000))",
        "SELECT current_setting('temp_directory')", "SELECT * FROM duckdb_memory()", "SELECT * FROM duckdb_temporary_files()",
        "SELECT * FROM pragma_database_size()", "SELECT * FROM pragma_storage_info('spans')",
        "SELECT * FROM which_secret('x', 's3')",
        "SELECT * FROM read_ndjson('/etc/passwd')", "SELECT * FROM read_duckdb('/tmp/x.duckdb')",
        "SELECT * FROM seq_scan('spans')",
        "SELECT * FROM query($$DROP TABLE spans$$)", "SELECT /* ; */ 1; -- \nDROP TABLE spans", "SELECT 1;;DROP TABLE spans",
        "/* SELECT */ DROP TABLE spans", "SHOW TABLES; SELECT 1", "DESCRIBE spans; DROP TABLE spans",
        "\ufeffDROP TABLE spans", "SELECT * FROM \u200bread_text('/etc/passwd')", "SELECT * FROM \"read_text\"('/etc/passwd')",
        "SELECT * FROM READ_TEXT('/etc/passwd')", "SELECT * FROM system.main.read_text('/etc/passwd')",
        "CREATE MACRO m() AS TABLE FROM read_text('/etc/passwd'); FROM m()", "CREATE OR REPLACE VIEW runs AS SELECT 1",
        "CREATE SECRET s (TYPE s3)", "COMMENT ON TABLE spans IS 'x'", "SET VARIABLE x = 1", "COPY (SELECT 1) TO '/dev/stdout'",
        "UPDATE EXTENSIONS", "CALL query('SELECT 1')", "EXPLAIN SELECT 1",
        "MERGE INTO spans USING logs ON true WHEN MATCHED THEN DELETE",
        f"SELECT '{'x' * 100_001}'",
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
        "SELECT 1 \u037e DROP TABLE spans", "SELECT $1", "SELECT ?", "SELECT $name",
        "SELECT " + "-" * 2 + "1",
        "SELECT * FROM " + "(SELECT * FROM " * 2_000 + "spans" + ")" * 2_000, "SELECT " + "NOT " * 20_000 + "true",
        "SELECT * FROM 'https://example.org/x.parquet'", "SELECT * FROM 's3://bucket/x'", "SELECT * FROM '/proc/self/environ'",
        "FROM store.main.spans", "SELECT getvariable('x') FROM nothing",
        "SELECT 1 INTO OUTFILE '/tmp/stolen'", "SELECT 'x'::INTEGER", "SELECT error('own')", "SELECT \x00",
    ],
)  # fmt: skip
def test_what_does_not_run_says_why(store: Telemetry, query: str) -> None:
    """A query that names no table, no function or no sense fails with DuckDB's words; variables of the process are no tables."""
    with pytest.raises((QueryFailed, QueryRefused), match=r"\w{3}"):
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


@pytest.mark.parametrize(
    "query",
    [
        "SELECT quantile_cont(a.range * b.range, 0.5) FROM range(100000) a, range(100000) b",  # not counted by DuckDB
        "SELECT list(a.range) FROM range(100000) a, range(100000) b",
        "WITH RECURSIVE r(s) AS (SELECT 'xxxxxxxxxx' UNION ALL SELECT s || s FROM r WHERE length(s) < 1e10) SELECT max(s) FROM r",
    ],
)
def test_a_query_holds_no_more_than_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    """It is ended long before the memory is gone that all have together, and who writes meanwhile does not notice."""
    store = Telemetry.open(tmp_path / "telemetry.duckdb", memory=400_000_000, threads=1)
    monkeypatch.setattr(store, "_query_bytes", 100 << 20)
    done, written = threading.Event(), 0

    def write() -> int:
        count = 0
        while not done.is_set():
            spans = (span(count * 100 + n) for n in range(1, 101))
            store.apply([record(traces(*spans), Signal.TRACES_PROTO, offset=store.offset())])
            count += 1
        return count

    with ThreadPoolExecutor(1) as thread:
        writing = thread.submit(write)
        with pytest.raises(QueryTooLarge, match="memory"):
            store.sql(query, timeout_seconds=60)
        done.set()
        written = writing.result()
    assert written > 0
    assert store.sql("SELECT count(*) FROM spans").rows == [(100 * written,)]
    store.close()


def test_reading_a_large_store_for_the_first_time_is_not_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of tables that a query reads in are not its own: the first one after a start finds none of them in memory."""
    path = tmp_path / "telemetry.duckdb"
    made = Telemetry.open(path)
    made.apply([record(traces(*(span(n) for n in range(1, 2001))), Signal.TRACES_PROTO)])
    made._writer.execute(
        "INSERT INTO spans SELECT spans.* REPLACE (uuid()::VARCHAR || uuid()::VARCHAR AS name) FROM spans, range(300)"
    )
    made.close()
    monkeypatch.setattr(sandbox, "_LOOK_SECONDS", 0.0005)
    store = Telemetry.open(path)
    monkeypatch.setattr(store, "_query_bytes", 16 << 20)
    assert path.stat().st_size > 32 << 20
    assert store.sql("SELECT count(*) FROM spans WHERE name LIKE '%none%'").rows == [(0,)]
    store.close()


def test_what_was_inserted_is_not_the_query_s_memory(store: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows stay in memory until the next checkpoint. Who asks then needs no more for it."""
    store.apply([record(traces(*(span(n) for n in range(1, 2001))), Signal.TRACES_PROTO)])
    for _ in range(6):  # of each less than a row group, which would go to the file at once
        store._writer.execute(
            "INSERT INTO spans SELECT s.* REPLACE (uuid()::VARCHAR || uuid()::VARCHAR AS name) "
            "FROM (FROM spans LIMIT 2000) s, range(50)"
        )
    [(held,)] = store._writer.execute("SELECT memory_usage_bytes FROM duckdb_memory() WHERE tag = 'IN_MEMORY_TABLE'").fetchall()
    monkeypatch.setattr(store, "_query_bytes", held // 2)
    monkeypatch.setattr(sandbox, "_LOOK_SECONDS", 0.0005)
    assert store.sql("SELECT count(*) FROM spans WHERE name LIKE '%none%'").rows == [(0,)]


def test_few_queries_run_at_once(store: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes when as many as may are running is told to come again."""
    monkeypatch.setattr(sandbox, "_WAIT_SECONDS", 0.05)
    slow = "SELECT sum(a.range + b.range) FROM range(1000000) a, range(1000000) b"
    with ThreadPoolExecutor(2) as threads:
        running = [threads.submit(store.sql, slow, timeout_seconds=1) for _ in range(2)]
        with pytest.raises(QueryBusy):
            until_raised(lambda: store.sql("SELECT 1"))
        for each in running:
            assert isinstance(each.exception(), QueryTimeout)
    assert store.sql("SELECT 1").rows == [(1,)]


def until_raised(ask: Callable[[], object]) -> None:
    """Ask again and again: the two take a moment to begin."""
    while True:
        ask()


def test_rows_come_as_columns_too(store: Telemetry) -> None:
    """As Arrow, with the same limits; that there are more is in the metadata."""
    table = store.sql_columns("SELECT name, kind FROM spans ORDER BY started_at", max_rows=3)
    assert (table.column_names, table.num_rows, table.schema.metadata) == (["name", "kind"], 3, {b"truncated": b"1"})
    assert store.sql_columns("SELECT name FROM spans").schema.metadata is None
    assert store.sql_columns("SELECT name FROM spans WHERE false").num_rows == 0
    with pytest.raises(QueryRefused):
        store.sql_columns("DROP TABLE spans")
    with pytest.raises(QueryTimeout):
        store.sql_columns("FROM range(100000000000) ORDER BY random()", timeout_seconds=0.2)


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
