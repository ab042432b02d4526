"""A snapshot of telemetry: whole, of one moment, with the views, while the collector runs."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import duckdb
import httpx
import otlp
import pytest
from collectors import PATIENCE_SECONDS, CollectorProcess, clean_environment, until

ROTA = [sys.executable, "-m", "rota"]


@pytest.fixture(scope="module")
def told(shared_collector: CollectorProcess) -> CollectorProcess:
    """A collector with runs of two workflows, spans, logs and metrics."""
    for n in range(1, 6):
        shared_collector.send(*otlp.whole_run(n, workflow="daily" if n % 2 else "etl.nightly"))
        shared_collector.send(otlp.log(n, "hello"))
    shared_collector.send_spans(otlp.task(1, 1, "load"), otlp.task(2, 1, "load", error="ValueError: no"))
    return shared_collector.applied()


def export(collector: CollectorProcess, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment(ROTA_ENDPOINT=collector.url)
    return subprocess.run(
        [*ROTA, "export", "--to", str(folder), *words], env=environment, capture_output=True, text=True, check=False
    )


def opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> duckdb.DuckDBPyConnection:
    """The export in a DuckDB that knows nothing of rota."""
    if (folder / "telemetry.duckdb").exists():
        return duckdb.connect(str(folder / "telemetry.duckdb"), read_only=True)
    monkeypatch.chdir(folder)
    connection = duckdb.connect()
    connection.execute((folder / "open.sql").read_text())
    return connection


@pytest.mark.parametrize("kind", ["parquet", "duckdb"])
def test_an_export_has_everything_and_the_same_views(told, tmp_path, monkeypatch, kind):
    """The same queries give the same rows: of tables, with their types, and of views."""
    done = export(told, tmp_path / "out", "--format", kind)
    assert done.returncode == 0, done.stderr
    with opened(tmp_path / "out", monkeypatch) as connection:
        for query in (
            "SELECT count(*) AS n, count(DISTINCT run_id) AS r FROM spans",
            "SELECT workflow, state, count(*) AS n FROM runs GROUP BY ALL ORDER BY ALL",
            "SELECT name, state, error_type, duration_seconds FROM tasks ORDER BY ALL",
            "SELECT body, count(*) AS n FROM logs GROUP BY body ORDER BY ALL",
            "SELECT attributes ->> 'rota.x' AS a, typeof(run_id) AS i, typeof(started_at) AS t FROM spans ORDER BY 1",
            "SELECT count(*) AS n FROM metrics",
        ):
            rows = connection.execute(query).fetchall()
            assert rows == [tuple(row.values()) for row in told.post("/api/v1/sql", {"query": query}).json()["items"]]
    until(lambda: not list((told.home / "exports").iterdir()), "an empty folder")


def test_an_export_is_narrowed(told, tmp_path, monkeypatch):
    """By workflow and by time."""
    assert export(told, tmp_path / "a", "--workflow", "dai*").returncode == 0
    with opened(tmp_path / "a", monkeypatch) as connection:
        assert connection.execute("SELECT DISTINCT workflow FROM run_events").fetchall() == [("daily",)]
    assert export(told, tmp_path / "b", "--since", "2027-01-01T00:00Z").returncode == 0
    with opened(tmp_path / "b", monkeypatch) as connection:
        assert connection.execute("SELECT count(*) FROM spans").fetchone() == (0,)


def test_times_beyond_what_is_stored_leave_nothing_out(told, tmp_path, monkeypatch):
    """From the year 1500 to the year 9999 is everything."""
    assert export(told, tmp_path / "a", "--since", "1500-01-02T00:00Z", "--until", "9999-12-30T00:00Z").returncode == 0
    with opened(tmp_path / "a", monkeypatch) as connection:
        assert connection.execute("SELECT count(*) FROM spans").fetchone() == (2,)


def test_an_export_after_the_other_is_not_refused(told):
    """Who has read one to its end may ask for the next at once."""
    for _ in range(5):
        assert told.post("/api/v1/export", {}).status_code == 200


def test_a_folder_that_is_not_empty_is_refused(told, tmp_path):
    """Files of two exports must not mix."""
    (tmp_path / "x").touch()
    done = export(told, tmp_path)
    assert (done.returncode, "not empty" in done.stderr) in {(1, True), (2, True)}


def test_who_closes_the_connection_ends_the_export(told):
    """Nothing of it is left behind, and the next one is made."""
    with httpx.stream("POST", f"{told.url}/api/v1/export", json={}, timeout=PATIENCE_SECONDS) as answer:
        assert answer.status_code == 200

    def whole() -> bool:
        answer = told.post("/api/v1/export", {})
        if answer.status_code == 503:
            return False
        with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
            names, manifest = tar.getnames(), tar.extractfile("manifest.json")
            assert manifest is not None
            assert (names[-1], json.loads(manifest.read())["files"]) == ("manifest.json", names[:-1])
        return True

    until(whole, "the next export")
    until(lambda: not list((told.home / "exports").iterdir()), "an empty folder")
