"""Verified copies of stores in use, and a store that begins again from one."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from otlp_messages import T0, record, span, traces

from rota_collector.errors import CopyFailed
from rota_collector.journal import Record, Signal
from rota_collector.store import copies
from rota_collector.store.control import Control
from rota_collector.store.telemetry import Telemetry

NEVER = threading.Event()


def spans_record(number: int, count: int = 1000) -> Record:
    """A request with ``count`` spans that are nobody else's; its offset is ``number``."""
    spans = [span(1 + number * count + i, start_time_unix_nano=T0 + (number * count + i) * 10**6) for i in range(count)]
    return record(traces(*spans), Signal.TRACES_PROTO, number)


def opened(home: Path) -> Telemetry:
    return Telemetry.open(home / "telemetry.duckdb", memory=200_000_000, threads=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Telemetry]:
    Control(tmp_path / "control.sqlite").close()
    store = opened(tmp_path)
    yield store
    store.close()


def counted(path: Path) -> int:
    with duckdb.connect(path, read_only=True) as connection:
        return int(connection.execute("SELECT count(DISTINCT span_id) FROM spans").fetchall()[0][0])


def test_a_copy_holds_what_was_applied_until_then(store: Telemetry, tmp_path: Path) -> None:
    """Its offset and its rows are those of one moment; it is found by its offset."""
    store.apply([spans_record(0), spans_record(1)])
    copy = copies.make(tmp_path, store, NEVER)
    store.apply([spans_record(2)])
    assert copies.latest(tmp_path / "copies") == copy
    assert copy.telemetry_offset == 2
    assert counted(copy.directory / "telemetry.duckdb") == 2000


def test_a_copy_is_of_one_moment_however_much_is_written_meanwhile(store: Telemetry, tmp_path: Path, monkeypatch) -> None:
    """Requests are applied, and checkpoints wanted, while the file is copied byte by byte."""
    monkeypatch.setattr("rota_collector.store.upkeep._CHECKPOINT_BYTES", 1)
    monkeypatch.setattr("rota_collector.store.clone._STEP", 1 << 12)
    monkeypatch.setattr("rota_collector.store.clone._share", lambda *_: False)
    store.apply([spans_record(0)])
    done = threading.Event()
    applied = []

    def write() -> None:
        for number in range(1, 1000):
            if done.is_set():
                return
            store.apply([spans_record(number, 3000)])
            applied.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            before = len(applied)
            copy = copies.make(tmp_path, store, NEVER)
            assert len(applied) > before  # it did not wait
            assert counted(copy.directory / "telemetry.duckdb") == 1000 + (copy.telemetry_offset - 1) * 3000
    finally:
        done.set()
        writer.join()


def test_control_is_copied_as_of_one_moment_in_small_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes meanwhile neither waits for the copy nor makes it begin anew."""
    path = tmp_path / "control.sqlite"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE events (number, said)")
        writer.executemany("INSERT INTO events VALUES (?, ?)", ((number, "x" * 1000) for number in range(1000)))
        steps = 0

        class Meanwhile(copies.Pace):
            def keep(self) -> None:
                nonlocal steps
                steps += 1
                assert steps < 1000, "it begins anew whenever something is written"
                writer.execute("INSERT INTO events VALUES (?, 'meanwhile')", [1000 + steps])

        monkeypatch.setattr(copies, "Pace", Meanwhile)
        monkeypatch.setattr(copies, "_PAGES", 16)
        copies.copy_control(path, tmp_path / "copy.sqlite", NEVER)
    assert steps > 10
    with contextlib.closing(sqlite3.connect(tmp_path / "copy.sqlite")) as copy:
        assert copy.execute("SELECT count(*), max(number) FROM events").fetchone() == (1000, 999)


def test_only_the_latest_copy_is_kept(store: Telemetry, tmp_path: Path) -> None:
    """What an interrupted one left goes, too."""
    (tmp_path / "copies" / "copy.new").mkdir(parents=True)
    for number in range(3):
        store.apply([spans_record(number)])
        copies.make(tmp_path, store, NEVER)
        copies.remove_older(tmp_path)
    assert [path.name for path in (tmp_path / "copies").iterdir()] == [f"{3:020d}"]


def test_a_copy_that_is_damaged_is_none(store: Telemetry, tmp_path: Path, monkeypatch) -> None:
    """It is read back, every value of it: a byte that is wrong is found, and the copy before stays."""
    store.apply([spans_record(0)])
    before = copies.make(tmp_path, store, NEVER)
    real = copies.clone

    def clone_badly(source: Path, target: Path, stopping: threading.Event) -> None:
        real(source, target, stopping)
        content = bytearray(target.read_bytes())
        for place in range(3 * 4096 + 1000, len(content), 262_144):  # one in each block
            content[place] ^= 0xFF
        target.write_bytes(content)

    monkeypatch.setattr(copies, "clone", clone_badly)
    store.apply([spans_record(1)])
    with pytest.raises(CopyFailed, match="verify"):
        copies.make(tmp_path, store, NEVER)
    assert copies.latest(tmp_path / "copies") == before


def test_no_copy_is_made_into_the_reserve(store: Telemetry, tmp_path: Path) -> None:
    """The error says what is missing, and that nothing is lost by it."""
    with pytest.raises(CopyFailed, match=r"ROTA_DISK_RESERVE.*journal is kept"):
        copies.make(tmp_path, store, NEVER, reserve=1 << 62)
    assert copies.latest(tmp_path / "copies") is None


def test_a_copy_is_given_up_at_once_when_the_collector_stops(store: Telemetry, tmp_path: Path) -> None:
    """And leaves nothing behind."""
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(CopyFailed, match="stopping"):
        copies.make(tmp_path, store, stopping)
    assert list((tmp_path / "copies").iterdir()) == []


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_store_that_cannot_be_opened_begins_again_from_the_copy(store: Telemetry, tmp_path: Path, *, is_gone: bool) -> None:
    """Lost or broken: it is at the copy's offset, with the copy's rows, and the journal fills the rest."""
    store.apply([spans_record(0), spans_record(1)])
    copies.make(tmp_path, store, NEVER)
    store.apply([spans_record(2)])
    store.close()
    path = tmp_path / "telemetry.duckdb"
    if is_gone:
        path.unlink()
    else:
        path.write_bytes(b"garbage" * 10_000)
    again = opened(tmp_path)
    assert (again.set_aside is None) == is_gone
    assert again.offset() == 2
    again.apply([spans_record(2)])
    assert again.sql("SELECT count(*) FROM spans").rows == [(3000,)]
    again.close()


def test_when_the_copy_is_broken_too_the_journal_is_read_from_its_beginning(store: Telemetry, tmp_path: Path) -> None:
    """There is nothing better; and the collector starts."""
    store.apply([spans_record(0)])
    copy = copies.make(tmp_path, store, NEVER)
    store.close()
    for path in (tmp_path / "telemetry.duckdb", copy.directory / "telemetry.duckdb"):
        path.write_bytes(b"garbage" * 10_000)
    again = opened(tmp_path)
    assert again.offset() == 0
    again.close()
