"""The journal: what it promises when everything works."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from journals import Opener, everything, put, segments

from rota_collector import _files
from rota_collector.clock import ManualClock
from rota_collector.errors import JournalClosed, JournalFailed, JournalFull, JournalLocked
from rota_collector.journal import Journal, Record, Signal


def test_it_gives_back_what_was_appended(open_journal: Opener) -> None:
    """A record has its signal, time of receipt and payload, and the cursor behind it."""
    journal = open_journal()
    offset = journal.append_blocking(Signal.TRACES_PROTO, b"payload")
    assert journal.read(offset, 1000) == [
        Record(offset, journal.durable_end, Signal.TRACES_PROTO, ManualClock().now_ns(), b"payload"),
    ]


def test_it_keeps_records_when_opened_again(open_journal: Opener) -> None:
    """Records and offsets are the same after a restart, and new ones follow."""
    first = open_journal()
    offsets = put(first, b"a", b"", b"ccc")
    first.close()
    second = open_journal()
    assert put(second, b"d") == [first.durable_end]
    assert everything(second) == [b"a", b"", b"ccc", b"d"]
    assert [record.offset for record in second.read(0, 1000)][:3] == offsets


def test_an_append_waits_for_the_disk(open_journal: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a sync has not returned, its records are neither acknowledged nor read nor counted as durable."""
    syncing, may_end = threading.Event(), threading.Event()
    real = _files.sync

    def slow(fd: int) -> None:
        syncing.set()
        assert may_end.wait(10)
        real(fd)

    journal = open_journal()
    monkeypatch.setattr(_files, "sync", slow)
    appended: list[int] = []
    thread = threading.Thread(target=lambda: appended.extend(put(journal, b"x")))
    thread.start()
    assert syncing.wait(10)
    assert (appended, journal.read(0, 1000), journal.durable_end) == ([], [], 0)
    may_end.set()
    thread.join()
    assert everything(journal) == [b"x"]
    assert appended == [0]


def test_appends_that_wait_together_share_a_sync(open_journal: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred appends in one turn of a loop cost one sync, the first of them too, for which none was under way."""
    calls: list[int] = []
    real = _files.sync
    monkeypatch.setattr(_files, "sync", lambda fd: (calls.append(fd), real(fd)))
    journal = open_journal()

    async def many() -> list[int]:
        return await asyncio.gather(*(journal.append(Signal.LOGS_JSON, b"%d" % i) for i in range(100)))

    offsets = asyncio.run(many())
    assert sorted(offsets) == [record.offset for record in journal.read(0, 1 << 20)]
    assert len(calls) == 1


def test_what_a_loop_has_not_handed_over_yet_is_written_by_close(open_journal: Opener) -> None:
    """Closing comes between the append and the loop's next turn."""
    journal = open_journal()

    async def append_and_close() -> int:
        appending = asyncio.ensure_future(journal.append(Signal.LOGS_PROTO, b"last"))
        asyncio.get_running_loop().call_soon(journal.close)  # before what the append calls for the next turn
        return await appending

    offset = asyncio.run(append_and_close())
    assert everything(journal, offset) == [b"last"]


def test_a_client_that_went_away_disturbs_nobody(open_journal: Opener) -> None:
    """Cancelling one append leaves the others of its group acknowledged."""
    journal = open_journal()

    async def one_leaves() -> int:
        leaving = asyncio.ensure_future(journal.append(Signal.LOGS_JSON, b"leaves"))
        staying = asyncio.ensure_future(journal.append(Signal.LOGS_JSON, b"stays"))
        await asyncio.sleep(0)
        leaving.cancel()
        return await staying

    asyncio.run(one_leaves())
    assert b"stays" in everything(journal)


def test_a_full_segment_is_followed_by_the_next(open_journal: Opener, tmp_path: Path) -> None:
    """Segments are named by the offset of their first byte, and reading goes across them."""
    journal = open_journal(segment_bytes=100)
    payloads = [b"%d" % i * 30 for i in range(10)]
    put(journal, *payloads)
    assert everything(journal) == payloads
    names = [int(path.stem) for path in segments(tmp_path)]
    assert len(names) > 2
    assert names == [0, *[start + path.stat().st_size for start, path in zip(names, segments(tmp_path), strict=True)][:-1]]


def test_reading_stops_at_the_limit(open_journal: Opener) -> None:
    """A read returns records until their payloads reach the limit, and never fewer than one."""
    journal = open_journal()
    put(journal, b"x" * 100, b"y" * 100, b"z" * 100)
    assert [len(journal.read(0, limit)) for limit in (1, 100, 101, 1000)] == [1, 1, 2, 3]


def test_a_new_segment_is_durable_by_name(open_journal: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory is synced before the first record of a segment is acknowledged."""
    synced: list[Path] = []
    real = _files.sync_directory
    monkeypatch.setattr(_files, "sync_directory", lambda path: (synced.append(path), real(path)))
    journal = open_journal(segment_bytes=1)
    synced.clear()
    for number in range(3):
        put(journal, b"x")
        assert len(synced) == number + 1


def test_too_much_waiting_is_refused(open_journal: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """When more bytes wait for the disk than the limit, further appends are refused, and taken again afterwards."""
    journal = open_journal(waiting_bytes=10)
    syncing, may_end = threading.Event(), threading.Event()
    real = _files.sync
    monkeypatch.setattr(_files, "sync", lambda fd: (syncing.set(), may_end.wait(10), real(fd)))
    thread = threading.Thread(target=put, args=(journal, b"x" * 8))
    thread.start()
    assert syncing.wait(10)
    with pytest.raises(JournalFull):
        put(journal, b"y" * 8)
    may_end.set()
    thread.join()
    put(journal, b"z" * 20)  # alone it may be larger than the limit
    assert everything(journal) == [b"x" * 8, b"z" * 20]


def test_after_close_appends_are_refused(open_journal: Opener) -> None:
    """Closing writes what waits; then appending raises and reading still works."""
    journal = open_journal()

    async def closing() -> list[Any]:
        waiting = [asyncio.ensure_future(journal.append(Signal.LOGS_JSON, b"%d" % i)) for i in range(20)]
        await asyncio.sleep(0)
        await asyncio.to_thread(journal.close)
        return await asyncio.gather(*waiting, return_exceptions=True)

    assert all(isinstance(result, int) for result in asyncio.run(closing()))
    with pytest.raises(JournalClosed):
        put(journal, b"late")
    assert len(everything(journal)) == 20


def test_only_one_process_writes(open_journal: Opener, tmp_path: Path) -> None:
    """A second journal in the same directory is refused while the first is open."""
    first = open_journal()
    with pytest.raises(JournalLocked):
        Journal(tmp_path / "journal", clock=ManualClock())
    first.close()
    assert put(open_journal(), b"x") == [0]


def test_an_unusable_directory_is_an_error(tmp_path: Path) -> None:
    """A path that cannot be a directory raises JournalFailed, which names it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalFailed, match="file"):
        Journal(tmp_path / "file" / "journal", clock=ManualClock())


def test_a_follower_is_woken(open_journal: Opener) -> None:
    """A thread that waits beyond the end goes on when a record is durable."""
    journal = open_journal()
    woken: list[bool] = []
    thread = threading.Thread(target=lambda: woken.append(journal.wait_beyond(0, 10)))
    thread.start()
    put(journal, b"x")
    thread.join(10)
    assert woken == [True]
    assert not journal.wait_beyond(journal.durable_end, 0)
