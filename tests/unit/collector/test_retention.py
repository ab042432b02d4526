"""What is forgotten: never what is in the journal alone, and never more than was said."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from otlp_messages import log, logs, record, span, traces

from rota.rules.fold import RunEvent
from rota_collector import home
from rota_collector.clock import ManualClock
from rota_collector.config import KEEP_ALL, Keep
from rota_collector.domain.retention import Segment, is_worth_compacting, judge, size_cutoff
from rota_collector.domain.room import why_no_room
from rota_collector.errors import CopyFailed, JournalFull
from rota_collector.journal import Journal, Signal
from rota_collector.room import Room
from rota_collector.store import copies, database, forgetting
from rota_collector.store.control import Control
from rota_collector.store.expectations import Expectations
from rota_collector.store.telemetry import Telemetry
from rota_collector.watch.retention import Retention, segments

DAY = 86_400 * 10**9
NOW = 1_790_000_000 * 10**9
SIZE = KEEP_ALL._replace(journal_bytes=250)


def journal_of(count: int, newest_ns: int = NOW) -> list[Segment]:
    """Segments of 100 bytes, a day between them; the last is being written."""
    return [Segment(i * 100, (i + 1) * 100, newest_ns - (count - 1 - i) * DAY) for i in range(count)]


# -- the decision -----------------------------------------------------------------------------------------------------------


def test_without_limits_nothing_goes() -> None:
    """However old and large it is."""
    assert judge(journal_of(100), KEEP_ALL, NOW, [10_000], 10_000) == ([], False)


@pytest.mark.parametrize(
    ("keep", "gone"),
    [(SIZE, 3), (KEEP_ALL._replace(journal_ns=3 * DAY), 1), (KEEP_ALL._replace(journal_bytes=250, journal_ns=DAY), 3),
     (KEEP_ALL._replace(journal_bytes=1), 4)],
)  # fmt: skip
def test_the_oldest_go_first(keep: Keep, gone: int) -> None:
    """By size, by age, by either; the one that is written stays."""
    found = journal_of(5)
    assert list(judge(found, keep, NOW, [500, 500], 500).deletable) == found[:gone]


@pytest.mark.parametrize(("cursors", "copied"), [([199, 500], 500), ([500, 500, 100], 500), ([500, 500], 199)])
def test_what_a_reader_or_the_copy_lacks_stays(cursors: list[int], copied: int) -> None:
    """A segment goes when every cursor, a forwarder's too, and the copy are past its last byte."""
    found = journal_of(5)
    assert list(judge(found, SIZE, NOW, cursors, copied).deletable) == found[:1]


def test_a_copy_is_wanted_only_when_it_would_help() -> None:
    """Not when nothing need go, nor when a reader is what holds it up."""
    found = journal_of(5)
    assert judge(found, SIZE, NOW, [500], 0).wants_copy
    assert not judge(found, SIZE, NOW, [500], 300).wants_copy
    assert not judge(found, SIZE, NOW, [50], 0).wants_copy
    assert not judge(found, KEEP_ALL, NOW, [500], 0).wants_copy
    assert not judge([], SIZE, NOW, [0], 0).wants_copy


def test_a_clock_that_was_set_back_deletes_nothing_early() -> None:
    """Segments from the future are not old."""
    assert not judge(journal_of(5, NOW + 100 * DAY), KEEP_ALL._replace(journal_ns=DAY), NOW, [500], 500).deletable


def test_rows_go_until_the_size_fits() -> None:
    """The cutoff leaves a little less than the limit, when rows lie evenly in time."""
    assert size_cutoff(0, 1000, 100, None) is None
    assert size_cutoff(0, 1000, 100, 100) is None
    assert size_cutoff(0, 1000, 200, 100) == 550
    assert size_cutoff(1000, 1000, 200, 100) is None  # a single moment, or a clock that was set back


def test_a_file_is_written_anew_when_it_is_mostly_empty() -> None:
    """A small one never: there is nothing to gain."""
    assert is_worth_compacting(600 << 20, 1000 << 20)
    assert not is_worth_compacting(400 << 20, 1000 << 20)
    assert not is_worth_compacting(60 << 20, 70 << 20)


# -- the loop, on real stores -------------------------------------------------------------------------------------------------


class Home:
    """Stores that follow a journal of small segments, and the retention over them."""

    def __init__(self, directory: Path, keep: Keep) -> None:
        self.directory, self.clock = directory, ManualClock(NOW)
        self.journal = Journal(directory / "journal", clock=self.clock, segment_bytes=2000)
        self.telemetry = Telemetry.open(directory / "telemetry.duckdb", memory=200_000_000, threads=1)
        self.control = Control(directory / "control.sqlite")
        self.control.observer = Expectations(self.control.engine, self.clock)
        self.renewed = False
        self.held = 1 << 62  # up to where a forwarder is
        self.retention = Retention(directory, self.telemetry, self.control.engine, keep, 0, self.cursors, self.clock, self.renew)

    def cursors(self) -> list[int]:
        return [self.telemetry.offset(), self.control.offset(), self.held]

    def renew(self) -> None:
        self.renewed = True

    def send(self, *numbers: int, apply: bool = True, **fields: Any) -> None:
        for number in numbers:
            payload = traces(span(number, {"rota.task.name": "x" * 300}, **fields)).SerializeToString()
            self.journal.append_blocking(Signal.TRACES_PROTO, payload)
        if apply:
            self.apply()

    def apply(self) -> None:
        records = self.journal.read(self.telemetry.offset(), 1 << 30)
        self.telemetry.apply(records)
        self.control.apply([], records[-1].next_offset)

    def firsts(self) -> list[int]:
        return [segment.first for segment in segments(self.directory / "journal")]

    def numbers(self) -> list[int]:
        return [row[0] for row in self.telemetry.sql("SELECT span_id FROM spans ORDER BY 1").rows]

    def close(self) -> None:
        self.journal.close()
        self.telemetry.close()
        self.control.close()


@pytest.fixture
def at_home(tmp_path: Path) -> Iterator[Any]:
    """Opens the home, closed at the end."""
    homes: list[Home] = []

    def open_home(**limits: Any) -> Home:
        homes.append(Home(tmp_path, KEEP_ALL._replace(**limits)))
        return homes[-1]

    yield open_home
    for each in homes:
        each.close()


def test_the_journal_is_cut_behind_a_copy(at_home: Any) -> None:
    """One look makes the copy, the next deletes what it holds; telemetry lost after that is all there again."""
    there = at_home(journal_bytes=4000)
    there.send(*range(1, 41))
    there.retention.step()
    assert there.firsts()[0] == 0
    there.retention.step()
    assert there.firsts()[0] > 0
    assert there.journal.durable_end - there.firsts()[0] <= 4000 + 2000
    there.send(41)
    there.telemetry.close()
    shutil.rmtree(there.directory / "lost", ignore_errors=True)
    (there.directory / "telemetry.duckdb").write_bytes(b"x" * 50_000)
    there.telemetry = Telemetry.open(there.directory / "telemetry.duckdb", memory=200_000_000, threads=1)
    there.apply()
    assert there.numbers() == list(range(1, 42))


def test_what_a_forwarder_still_needs_stays(at_home: Any) -> None:
    """And is deleted as soon as it is past it."""
    there = at_home(journal_bytes=4000)
    there.send(*range(1, 41))
    there.held = 0
    for _ in range(3):
        there.retention.step()
    assert there.firsts()[0] == 0
    assert copies.latest(there.directory / "copies") is None  # nor is a copy made for nothing
    there.held = 1 << 62
    for _ in range(2):
        there.retention.step()
    assert there.firsts()[0] > 0


def test_nothing_goes_while_a_backup_is_made(at_home: Any) -> None:
    """The copy that it reads stays, too."""
    there = at_home(journal_bytes=4000)
    there.send(*range(1, 41))
    there.retention.step()
    first = copies.latest(there.directory / "copies")
    assert first is not None
    with home.holding_journal(there.directory):
        there.retention.step()
        assert there.firsts()[0] == 0
        there.send(*range(41, 81))
        there.retention._copy()
        assert first.directory.exists()
    there.retention.step()
    assert there.firsts()[0] > 0
    assert not first.directory.exists()


def test_a_copy_that_fails_keeps_the_journal(at_home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its size: what went wrong is the caller's to tell."""
    there = at_home(journal_bytes=4000)
    there.send(*range(1, 41))

    def fail(*_: Any) -> None:
        raise CopyFailed("no space")

    monkeypatch.setattr(copies, "clone", fail)
    for _ in range(2):
        with pytest.raises(CopyFailed):
            there.retention.step()
    assert there.firsts()[0] == 0


def test_spans_and_logs_go_by_age(at_home: Any) -> None:
    """Each by its own; what was told of runs stays as long as runs do; hours go in transactions of their own."""
    there = at_home(spans_ns=10 * DAY, logs_ns=20 * DAY, runs_ns=30 * DAY)
    ages = {1: 0, 2: 9 * DAY, 3: 11 * DAY, 4: 11 * DAY + 3 * 3_600 * 10**9, 5: 19 * DAY, 6: 21 * DAY, 7: 31 * DAY}
    requests: list[Any] = []
    for number, age in ages.items():
        at = NOW - age
        requests.append((traces(span(number, start_time_unix_nano=at, end_time_unix_nano=at)), Signal.TRACES_PROTO))
        told = [log(number, time_unix_nano=at, event_name=name) for name in ("", "rota.run.state")]
        requests.append((logs(*told), Signal.LOGS_PROTO))
    there.telemetry.apply([record(message, kind, i) for i, (message, kind) in enumerate(requests)])
    there.retention.step()
    assert there.numbers() == [1, 2]
    query = "SELECT count(*) FROM logs WHERE event_name IS {} NULL"
    assert there.telemetry.sql(query.format("")).rows == [(5,)]
    assert there.telemetry.sql(query.format("NOT")).rows == [(6,)]


def test_a_gap_in_time_is_skipped(at_home: Any) -> None:
    """A span from 1970 costs one transaction, and not one for each hour since."""
    there = at_home(spans_ns=10 * DAY)
    there.send(1, start_time_unix_nano=1, end_time_unix_nano=2)
    there.send(2, start_time_unix_nano=NOW, end_time_unix_nano=NOW)
    there.retention.step()
    assert there.numbers() == [2]


def test_telemetry_that_is_too_large_loses_the_oldest(at_home: Any) -> None:
    """Of ten days that lie evenly in time and take twice the limit, less than half are left: the newest."""
    there = at_home(telemetry_bytes=1)
    for number in range(1, 11):
        at = NOW - number * DAY
        there.send(number, start_time_unix_nano=at, end_time_unix_nano=at)
    with there.telemetry.frozen():
        pass  # a checkpoint: before it there is no size
    size = there.telemetry.size()
    there.retention._keep = KEEP_ALL._replace(telemetry_bytes=(size.total - size.free) // 2)
    there.retention.step()
    assert there.numbers() == [1, 2, 3, 4]


def test_runs_go_by_age_in_small_steps(at_home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are over, with their tags; not the last of a workflow, and not one that may still run."""
    monkeypatch.setattr(forgetting, "_STEP", 2)
    there = at_home(runs_ns=30 * DAY)
    old, new = NOW - 40 * DAY, NOW - DAY

    def a_run(number: int, at: int, workflow: str, state: str = "succeeded") -> list[RunEvent]:
        run = f"{number:032x}"
        told = {"run_id": run, "workflow": workflow, "source": "sdk", "tags": ("t",)}
        events = [RunEvent(event_id=f"{number:031x}0", state="running", at_ns=at, started_ns=at, **told)]
        return [*events, RunEvent(event_id=f"{number:031x}1", state=state, at_ns=at + 1, **told)]

    events = [event for number in range(5) for event in a_run(number, old + number, "a")]
    events += a_run(10, new, "a") + a_run(11, old, "b") + a_run(12, old, "c", "running") + a_run(13, new, "c")
    there.control.apply(events, 1)
    there.retention.step()
    with there.control.engine.begin() as connection:
        left = [int(run, 16) for (run,) in connection.exec_driver_sql("SELECT run_id FROM runs ORDER BY run_id").all()]
        tagged = [int(run, 16) for (run,) in connection.exec_driver_sql("SELECT run_id FROM run_tags ORDER BY run_id").all()]
    assert left == tagged == [10, 11, 12, 13]


def test_a_file_written_anew_takes_the_place_of_the_old_one(at_home: Any) -> None:
    """Smaller, sorted, as far in the journal as it was; what came meanwhile is applied again and is there once."""
    there = at_home()
    there.send(*range(1, 30))
    there.telemetry._writer.execute("CREATE TABLE ballast AS SELECT range AS i, hash(range) AS h FROM range(300000)")
    there.telemetry._writer.execute("CHECKPOINT; DROP TABLE ballast; CHECKPOINT")
    before = there.telemetry.size()
    (there.directory / home.VACUUM).touch()
    there.retention.step()
    assert there.renewed
    assert not (there.directory / home.VACUUM).exists()
    there.send(30)
    there.telemetry.close()
    there.telemetry = Telemetry.open(there.directory / "telemetry.duckdb", memory=200_000_000, threads=1)
    assert there.numbers() == list(range(1, 30))
    there.apply()
    assert there.numbers() == list(range(1, 31))
    assert there.telemetry.size().total < before.total / 2
    assert not database.compacted(there.directory / "telemetry.duckdb").exists()


# -- room -------------------------------------------------------------------------------------------------------------------


def test_there_is_room_until_the_reserve_or_the_lag() -> None:
    """The reason names what is free, what is wanted, and the setting."""
    assert why_no_room(100, 100, 50, 50) is None
    assert "ROTA_DISK_RESERVE" in (why_no_room(99, 100, 0, 50) or "")
    assert "ROTA_MOST_LAG" in (why_no_room(100, 100, 51, 50) or "")


def test_the_journal_refuses_and_recovers_by_itself(tmp_path: Path) -> None:
    """Nothing of what was refused is kept; when there is room again it goes on."""
    lag, clock = [0], ManualClock()
    room = Room(tmp_path, 0, 10, lambda: lag[0], clock)
    journal = Journal(tmp_path / "journal", clock=clock, why_full=room.why_none)
    journal.append_blocking(Signal.LOGS_JSON, b"{}")
    end, lag[0] = journal.durable_end, 11
    clock.advance(1)
    with pytest.raises(JournalFull, match="ROTA_MOST_LAG"):
        journal.append_blocking(Signal.LOGS_JSON, b"{}")
    assert journal.durable_end == end
    lag[0] = 0
    clock.advance(1)
    assert journal.append_blocking(Signal.LOGS_JSON, b"{}") == end
    journal.close()


def test_the_disk_is_looked_at_rarely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask in a moment."""
    looked = []
    clock = ManualClock()
    room = Room(tmp_path, 0, 0, lambda: 0, clock)
    monkeypatch.setattr(room, "_free", lambda: looked.append(1) or 10)
    for _ in range(1000):
        assert room.why_none() is None
    clock.advance(1)
    room.why_none()
    assert len(looked) == 2
