"""A home as a whole: backed up while it is written, restored, rebuilt; and a disk that has no room."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import otlp
import pytest
from collectors import clean_environment, until

from rota_collector.store import copies


def rota(home: Path, *words: str, status: int = 0) -> str:
    """Run ``rota collector …`` on a home; what it said."""
    environment = clean_environment(ROTA_HOME=str(home))
    command = [sys.executable, "-m", "rota", "collector", *words]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == status, ended.stderr
    return ended.stdout + ended.stderr


class Writer(threading.Thread):
    """Sends runs until told to stop; ``acknowledged`` are those that were answered 200."""

    def __init__(self, collector):
        super().__init__()
        self.collector, self.acknowledged, self.stopping = collector, 0, threading.Event()

    def run(self):
        while not self.stopping.is_set():
            self.collector.send(*otlp.whole_run(self.acknowledged))
            self.collector.send_spans(otlp.task(self.acknowledged, 1, "load"))
            self.acknowledged += 1

    def reached(self, count: int) -> None:
        until(lambda: self.acknowledged >= count, f"{count} runs")

    def stop(self) -> None:
        self.stopping.set()
        self.join()


@pytest.fixture
def written(new_collector):
    """A collector, and somebody who writes to it."""
    collector = new_collector().start()
    writer = Writer(collector)
    writer.start()
    yield collector, writer
    writer.stop()


def runs_and_spans(collector) -> tuple[set[str], int, int]:
    """(ids of the runs, rows of spans, distinct ones)."""
    query = {"query": "SELECT count(*) AS rows, count(DISTINCT (trace_id, span_id)) AS spans FROM spans"}
    (found,) = collector.post("/api/v1/sql", query).json()["items"]
    return {run["id"] for run in collector.all_runs()}, found["rows"], found["spans"]


def test_a_backup_of_a_home_in_use_has_all_that_was_acknowledged_before(written, new_collector, tmp_path):
    """A collector starts on what was restored, and shows each run and each span once; it goes on from there."""
    collector, writer = written
    writer.reached(30)
    before = writer.acknowledged
    assert "backed up" in rota(collector.home, "backup", str(tmp_path / "backup"))
    writer.reached(before + 10)
    writer.stop()
    shutil.rmtree(tmp_path / "restored", ignore_errors=True)
    rota(tmp_path / "restored", "restore", str(tmp_path / "backup"))
    restored = new_collector(tmp_path / "restored").start().applied()
    ids, rows, spans = runs_and_spans(restored)
    assert {otlp.run_id(n) for n in range(before)} <= ids
    assert rows == spans >= before
    restored.send(*otlp.whole_run(9999))
    assert restored.applied().item(f"/runs/{otlp.run_id(9999)}")["state"] == "succeeded"


def test_restoring_keeps_what_was_there(written, tmp_path):
    """It is moved beside; a home in use, and a directory that is no backup, are refused and stay as they are."""
    collector, writer = written
    writer.reached(3)
    writer.stop()
    rota(collector.home, "backup", str(tmp_path / "backup"))
    assert "already runs" in rota(collector.home, "restore", str(tmp_path / "backup"), status=1)
    assert "exists" in rota(collector.home, "backup", str(tmp_path / "backup"), status=1)
    assert "is no backup" in rota(collector.home, "restore", str(tmp_path), status=1)
    collector.stop()
    rota(collector.home, "restore", str(tmp_path / "backup"))
    (aside,) = collector.home.glob("before-restore-*")
    assert (aside / "journal").is_dir()
    assert (aside / "telemetry.duckdb").exists()
    assert len(collector.start().applied().all_runs()) == writer.acknowledged


def test_telemetry_is_rebuilt_from_the_journal_and_written_anew(written):
    """With the same rows, and not while a collector uses it; control state stays as it is, so nothing alerts again."""
    collector, writer = written
    writer.reached(20)
    writer.stop()
    before = runs_and_spans(collector.applied())
    assert "already runs" in rota(collector.home, "rebuild", status=1)
    collector.stop()
    control = (collector.home / "control.sqlite").read_bytes()
    said = rota(collector.home, "rebuild")
    assert f"from {2 * writer.acknowledged} requests" in said
    assert (collector.home / "control.sqlite").read_bytes() == control
    assert "bytes before" in rota(collector.home, "vacuum")
    assert runs_and_spans(collector.start().applied()) == before


def test_a_journal_that_begins_later_is_rebuilt_from_the_copy_or_not_at_all(written):
    """Without a copy that holds what is gone, nothing is changed."""
    collector, writer = written
    writer.reached(5)
    writer.stop()
    collector.applied().stop()
    first = collector.home / "journal" / f"{0:020d}.journal"
    size = first.stat().st_size
    first.rename(first.with_name(f"{size:020d}.journal"))
    before = (collector.home / "telemetry.duckdb").read_bytes()
    assert "no copy holds" in rota(collector.home, "rebuild", status=1)
    assert (collector.home / "telemetry.duckdb").read_bytes() == before


def test_vacuum_beside_a_collector(written):
    """It does it in the background, from a verified copy; no run and no span is missing or there twice, whoever writes."""
    collector, writer = written
    writer.reached(5)
    assert "asked the running collector" in rota(collector.home, "vacuum")
    until(lambda: "written anew" in collector.stderr, "the collector to do it", 180)
    writer.reached(writer.acknowledged + 20)
    writer.stop()
    assert copies.latest(collector.home / "copies") is not None
    until(lambda: collector.get("/readyz").status_code == 200, "the stores to be open again")
    ids, rows, spans = runs_and_spans(collector.applied())
    assert ids == {otlp.run_id(n) for n in range(writer.acknowledged)}
    assert rows == spans == writer.acknowledged


def test_without_room_nothing_is_taken_and_nothing_acknowledged_is_lost(new_collector):
    """503 with Retry-After, saying why; what was taken before is shown. With room again, it goes on."""
    collector = new_collector(ROTA_DISK_RESERVE="1000000TB").start()
    answer = collector.post("/v1/logs", otlp.logs(otlp.whole_run(1)))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "ROTA_DISK_RESERVE" in answer.text
    assert collector.get("/api/v1/runs").json()["items"] == []
    collector.stop()
    collector.settings["ROTA_DISK_RESERVE"] = "0"
    collector.start().send(*otlp.whole_run(1))
    assert len(collector.applied().all_runs()) == 1
