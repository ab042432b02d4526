"""The file of telemetry: who may open it, what becomes of a bad one, and that a kill at any moment loses and doubles nothing."""

from __future__ import annotations

import os
import random
import signal as signals
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import duckdb
import pytest
from otlp_messages import log, logs, span, traces
from telemetries import Opener, column, event, one, trace_record

from rota_collector.clock import ManualClock
from rota_collector.errors import StoreError, StoreLocked
from rota_collector.journal import Journal, Signal
from rota_collector.store import batch, sandbox
from rota_collector.store.telemetry import Telemetry


def test_a_second_process_is_refused(store: Telemetry, tmp_path: Path) -> None:
    """A database that another process has open raises StoreLocked, and is left alone."""
    code = (
        "import sys, pathlib\nfrom rota_collector.store.telemetry import Telemetry\n"
        "from rota_collector.errors import StoreLocked\n"
        "try: Telemetry.open(pathlib.Path(sys.argv[1]))\nexcept StoreLocked: sys.exit(42)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "telemetry.duckdb")], check=False).returncode == 42
    assert one(store, "SELECT 1") == 1
    assert not list(tmp_path.glob("*.bad-*"))
    assert issubclass(StoreLocked, StoreError)


def test_a_file_that_cannot_be_opened_is_set_aside(open_telemetry: Opener, tmp_path: Path) -> None:
    """A destroyed database is moved away, kept, and replaced by an empty one that begins at offset 0."""
    open_telemetry().apply([trace_record(0, span(1))])
    open_telemetry().close()
    path = tmp_path / "telemetry.duckdb"
    path.write_bytes(b"no database" * 5000)
    store = open_telemetry()
    assert store.set_aside is not None
    assert store.set_aside.read_bytes().startswith(b"no database")
    assert (store.offset(), one(store, "SELECT count(*) FROM spans")) == (0, 0)


def test_a_file_without_tables_is_set_aside(open_telemetry: Opener, tmp_path: Path) -> None:
    """It opens, and nothing in it could be brought up to date."""
    duckdb.connect(tmp_path / "telemetry.duckdb").close()
    store = open_telemetry()
    assert store.set_aside is not None
    assert (store.offset(), one(store, "SELECT count(*) FROM spans")) == (0, 0)


def test_an_interrupted_creation_is_begun_again(open_telemetry: Opener, tmp_path: Path) -> None:
    """What a kill during the first creation left behind is no obstacle."""
    (tmp_path / "telemetry.duckdb.new").write_bytes(b"half a file")
    (tmp_path / "telemetry.duckdb.new.wal").write_bytes(b"half a log")
    assert open_telemetry().offset() == 0
    assert not list(tmp_path.glob("*.new*"))


def test_an_unwritable_place_is_an_error(tmp_path: Path) -> None:
    """A path in which no database can be made raises StoreError with the path in it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        Telemetry.open(tmp_path / "file" / "telemetry.duckdb")


def test_a_fatal_error_passes_through(store: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    """duckdb.FatalException leaves apply and sql as it is: the process must end."""

    def fatal(*_: Any, **__: Any) -> Any:
        raise duckdb.FatalException("dead")

    with monkeypatch.context() as patched:
        patched.setattr(batch, "run", fatal)
        with pytest.raises(duckdb.FatalException):
            store.apply([trace_record(0, span(1))])
    monkeypatch.setattr(sandbox, "_only_select", fatal)
    with pytest.raises(duckdb.FatalException):
        store.sql("SELECT 1")


APPLY_UNTIL_KILLED = """
import sys, pathlib
from rota_collector.clock import SystemClock
from rota_collector.journal import Journal
from rota_collector.store.telemetry import Telemetry
home = pathlib.Path(sys.argv[1])
journal = Journal(home / "journal", clock=SystemClock())
telemetry = Telemetry.open(home / "telemetry.duckdb", memory=200_000_000, threads=1)
print("ready", flush=True)
while records := journal.read(telemetry.offset(), 2000):
    telemetry.apply(records)
    print(telemetry.offset(), flush=True)
"""


def test_killed_at_any_moment_each_record_is_there_once(tmp_path: Path) -> None:
    """kill -9 while applying, again and again, and reading on from the stored offset: nothing lost, nothing twice."""
    journal = Journal(tmp_path / "journal", clock=ManualClock())
    for n in range(300):
        journal.append_blocking(Signal.LOGS_PROTO, logs(log(n), event(n, "running", n)).SerializeToString())
        journal.append_blocking(Signal.TRACES_PROTO, traces(span(n + 1), span(n)).SerializeToString())
    journal.close()
    chance = random.Random(1)
    killed = 0
    while True:
        command = [sys.executable, "-c", APPLY_UNTIL_KILLED, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            wanted = chance.randrange(1, 25) if killed < 6 else 10**6
            lines = 0
            while lines < wanted and process.stdout.readline():
                lines += 1
            if lines == wanted:
                os.kill(process.pid, signals.SIGKILL)
                killed += 1
        if process.returncode == 0:
            break
    with_all = Telemetry.open(tmp_path / "telemetry.duckdb")
    try:
        assert with_all.set_aside is None
        assert one(with_all, "SELECT count(*) FROM logs WHERE event_id IS NULL") == 300
        assert sorted(column(with_all, "SELECT event_id FROM run_events")) == [uuid.UUID(int=n + 1) for n in range(300)]
        assert sorted(column(with_all, "SELECT span_id FROM spans")) == list(range(1, 301))
        assert with_all.offset() == journal.durable_end
    finally:
        with_all.close()
    assert killed == 6
