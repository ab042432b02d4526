"""The journal: what it promises when everything works, and when the disk does not."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rota_collector import _files
from rota_collector.clock import ManualClock
from rota_collector.errors import JournalClosed, JournalFailed, JournalFull, JournalLocked
from rota_collector.journal import Journal, Record, Signal

Opener = Callable[..., Journal]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opener]:
    """Opens journals in one directory, and closes them at the end."""
    journals: list[Journal] = []

    def open_journal(**options: Any) -> Journal:
        journals.append(Journal(tmp_path / "journal", clock=ManualClock(), **options))
        return journals[-1]

    yield open_journal
    for journal in journals:
        journal.close()


def everything(journal: Journal, offset: int = 0) -> list[bytes]:
    """All payloads from ``offset`` on, read in small steps as a follower does."""
    payloads: list[bytes] = []
    while records := journal.read(offset, 1):
        payloads += [record.payload for record in records]
        offset = records[-1].next_offset
    return payloads


def put(journal: Journal, *payloads: bytes) -> list[int]:
    return [journal.append_blocking(Signal.LOGS_JSON, payload) for payload in payloads]


def segments(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "journal").glob("*.journal"))


class FailingOnce:
    """Stands in for a system call: fails the first time it is used, after doing ``first`` with the same arguments."""

    def __init__(self, real: Callable[..., Any], error: int, first: Callable[..., Any] | None = None) -> None:
        self.real, self.error, self.first, self.failed = real, error, first, False

    def __call__(self, *arguments: Any) -> Any:
        if self.failed:
            return self.real(*arguments)
        self.failed = True
        if self.first:
            self.first(*arguments)
        raise OSError(self.error, os.strerror(self.error))


def half_a_write(fd: int, buffers: list[bytes], position: int) -> None:
    data = b"".join(buffers)
    os.pwrite(fd, data[: len(data) // 2], position)


def test_it_gives_back_what_was_appended(opened: Opener) -> None:
    """A record has its signal, time of receipt and payload, and the cursor behind it."""
    journal = opened()
    offset = journal.append_blocking(Signal.TRACES_PROTO, b"payload")
    assert journal.read(offset, 1000) == [
        Record(offset, journal.durable_end, Signal.TRACES_PROTO, ManualClock().now_ns(), b"payload"),
    ]


def test_it_keeps_records_when_opened_again(opened: Opener) -> None:
    """Records and offsets are the same after a restart, and new ones follow."""
    first = opened()
    offsets = put(first, b"a", b"", b"ccc")
    first.close()
    second = opened()
    assert put(second, b"d") == [first.durable_end]
    assert everything(second) == [b"a", b"", b"ccc", b"d"]
    assert [record.offset for record in second.read(0, 1000)][:3] == offsets


def test_an_append_waits_for_the_disk(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a sync has not returned, its records are neither acknowledged nor read nor counted as durable."""
    syncing, may_end = threading.Event(), threading.Event()
    real = _files.sync

    def slow(fd: int) -> None:
        syncing.set()
        assert may_end.wait(10)
        real(fd)

    journal = opened()
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


def test_appends_that_wait_together_share_a_sync(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred appends in one turn of a loop cost one sync, the first of them too, for which none was under way."""
    calls: list[int] = []
    real = _files.sync
    monkeypatch.setattr(_files, "sync", lambda fd: (calls.append(fd), real(fd)))
    journal = opened()

    async def many() -> list[int]:
        return await asyncio.gather(*(journal.append(Signal.LOGS_JSON, b"%d" % i) for i in range(100)))

    offsets = asyncio.run(many())
    assert sorted(offsets) == [record.offset for record in journal.read(0, 1 << 20)]
    assert len(calls) == 1


def test_what_a_loop_has_not_handed_over_yet_is_written_by_close(opened: Opener) -> None:
    """Closing comes between the append and the loop's next turn."""
    journal = opened()

    async def append_and_close() -> int:
        appending = asyncio.ensure_future(journal.append(Signal.LOGS_PROTO, b"last"))
        asyncio.get_running_loop().call_soon(journal.close)  # before what the append calls for the next turn
        return await appending

    offset = asyncio.run(append_and_close())
    assert everything(journal, offset) == [b"last"]


def test_a_client_that_went_away_disturbs_nobody(opened: Opener) -> None:
    """Cancelling one append leaves the others of its group acknowledged."""
    journal = opened()

    async def one_leaves() -> int:
        leaving = asyncio.ensure_future(journal.append(Signal.LOGS_JSON, b"leaves"))
        staying = asyncio.ensure_future(journal.append(Signal.LOGS_JSON, b"stays"))
        await asyncio.sleep(0)
        leaving.cancel()
        return await staying

    asyncio.run(one_leaves())
    assert b"stays" in everything(journal)


def test_a_full_segment_is_followed_by_the_next(opened: Opener, tmp_path: Path) -> None:
    """Segments are named by the offset of their first byte, and reading goes across them."""
    journal = opened(segment_bytes=100)
    payloads = [b"%d" % i * 30 for i in range(10)]
    put(journal, *payloads)
    assert everything(journal) == payloads
    names = [int(path.stem) for path in segments(tmp_path)]
    assert len(names) > 2
    assert names == [0, *[start + path.stat().st_size for start, path in zip(names, segments(tmp_path), strict=True)][:-1]]


def test_reading_stops_at_the_limit(opened: Opener) -> None:
    """A read returns records until their payloads reach the limit, and never fewer than one."""
    journal = opened()
    put(journal, b"x" * 100, b"y" * 100, b"z" * 100)
    assert [len(journal.read(0, limit)) for limit in (1, 100, 101, 1000)] == [1, 1, 2, 3]


def test_an_unfinished_write_is_cut(opened: Opener, tmp_path: Path) -> None:
    """Bytes after the last whole record are moved into quarantine when the journal is opened, and their number is told."""
    first = opened()
    put(first, b"kept")
    first.close()
    with segments(tmp_path)[0].open("ab") as file:
        file.write(b"\xf5rJ\x01 torn")
    second = opened()
    assert second.torn_bytes == 9
    assert [path.read_bytes() for path in (tmp_path / "journal" / "quarantine").iterdir()] == [b"\xf5rJ\x01 torn"]
    assert segments(tmp_path)[0].stat().st_size == second.durable_end
    assert everything(second) == [b"kept"]
    assert not second.damage


def test_a_damaged_record_is_skipped_and_counted(opened: Opener, tmp_path: Path) -> None:
    """One flipped byte in the middle of a segment costs that record, and is noted."""
    first = opened()
    offsets = put(first, b"one", b"two", b"three")
    first.close()
    path = segments(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[offsets[1] + 26] ^= 1
    path.write_bytes(data)
    second = opened()
    assert everything(second) == [b"one", b"three"]
    assert second.damage == {offsets[1]: offsets[2] - offsets[1]}


def test_a_follower_behind_the_last_damage_sleeps(opened: Opener, tmp_path: Path) -> None:
    """When nothing but damage is left to read, waiting blocks until a new record comes, instead of returning at once."""
    journal = opened()
    offsets = put(journal, b"one", b"two")
    path = segments(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert journal.read(offsets[1], 1000) == []
    assert not journal.wait_beyond(offsets[1], 0)
    put(journal, b"three")
    assert journal.wait_beyond(offsets[1], 0)
    assert everything(journal, offsets[1]) == [b"three"]


def test_a_record_inside_a_payload_is_no_record(opened: Opener, tmp_path: Path) -> None:
    """Bytes of somebody's payload that look like a record are not read as one, also when the record around them is damaged."""
    first = opened()
    put(first, b"inner")
    forged = segments(tmp_path)[0].read_bytes()
    offsets = put(first, forged, b"last")
    first.close()
    path = segments(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[offsets[0] + 8] ^= 1  # the length of the record around it
    path.write_bytes(data)
    assert everything(opened()) == [b"inner", b"last"]


@pytest.mark.parametrize(
    ("error", "raised"),
    [(errno.ENOSPC, JournalFull), (errno.EDQUOT, JournalFull), (errno.EIO, JournalFailed)],
    ids=["ENOSPC", "EDQUOT", "EIO"],
)
def test_a_failed_write_is_refused_and_leaves_no_trace(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int, raised: type[Exception]
) -> None:
    """A write that fails half way raises to who waits, leaves the file as it was, and the next append works."""
    journal = opened()
    put(journal, b"before")
    size = segments(tmp_path)[0].stat().st_size
    monkeypatch.setattr(_files, "write_all", FailingOnce(_files.write_all, error, half_a_write))
    with pytest.raises(raised):
        put(journal, b"lost")
    assert segments(tmp_path)[0].stat().st_size == size
    put(journal, b"after")
    assert everything(journal) == [b"before", b"after"]
    journal.close()
    again = opened()
    assert (everything(again), again.torn_bytes, again.damage) == ([b"before", b"after"], 0, {})


def test_a_short_write_is_continued(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system takes only a part of a group, the rest is written after it."""
    real = os.pwritev
    monkeypatch.setattr(os, "pwritev", lambda fd, buffers, offset: real(fd, [b"".join(buffers)[:5]], offset))
    journal = opened()
    put(journal, b"whole", b"again")
    assert everything(journal) == [b"whole", b"again"]


def test_what_is_left_of_a_failed_write_is_never_read(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the file cannot even be cut back, the journal goes on in a new segment and ignores what is behind."""
    journal = opened()
    put(journal, b"before")
    monkeypatch.setattr(_files, "write_all", FailingOnce(_files.write_all, errno.EIO, _files.write_all))
    monkeypatch.setattr(os, "ftruncate", FailingOnce(os.ftruncate, errno.EIO))
    with pytest.raises(JournalFailed):
        put(journal, b"lost")
    put(journal, b"after")
    journal.close()
    again = opened()
    assert (everything(again), again.damage) == ([b"before", b"after"], {})


@pytest.mark.parametrize("before", [[], [b"before"]], ids=["first record", "later record"])
def test_a_failed_sync_is_never_believed(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: list[bytes]
) -> None:
    """After a failed sync the record is refused, its file is not written again, and a later success is one in a new segment."""
    journal = opened()
    put(journal, *before)
    synced: list[int] = []
    fail = FailingOnce(_files.sync, errno.EIO)
    monkeypatch.setattr(_files, "sync", lambda fd: (synced.append(os.fstat(fd).st_ino), fail(fd)))
    with pytest.raises(JournalFailed):
        put(journal, b"lost")
    put(journal, b"after")
    assert synced[0] not in synced[1:]
    journal.close()
    again = opened()
    assert (everything(again), again.damage) == ([*before, b"after"], {})


def test_it_recovers_when_space_returns(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """While no segment can be made every append is refused; when it can, appends work again without a restart."""
    journal = opened(segment_bytes=1)
    put(journal, b"before")
    real = _files.create_segment

    def full(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_files, "create_segment", full)
    for _ in range(3):
        with pytest.raises(JournalFull):
            put(journal, b"lost")
    monkeypatch.setattr(_files, "create_segment", real)
    put(journal, b"after")
    assert everything(journal) == [b"before", b"after"]


def test_nobody_waits_for_ever_after_an_unexpected_error(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody thought of fails the appends that wait, and the writer lives on."""
    journal = opened()
    real = _files.write_all
    monkeypatch.setattr(_files, "write_all", lambda *_: 1 / 0)
    with pytest.raises(JournalFailed, match="ZeroDivisionError"):
        put(journal, b"lost")
    monkeypatch.setattr(_files, "write_all", real)
    put(journal, b"after")
    assert everything(journal) == [b"after"]


def test_a_new_segment_is_durable_by_name(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory is synced before the first record of a segment is acknowledged."""
    synced: list[Path] = []
    real = _files.sync_directory
    monkeypatch.setattr(_files, "sync_directory", lambda path: (synced.append(path), real(path)))
    journal = opened(segment_bytes=1)
    synced.clear()
    for number in range(3):
        put(journal, b"x")
        assert len(synced) == number + 1


def test_too_much_waiting_is_refused(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """When more bytes wait for the disk than the limit, further appends are refused, and taken again afterwards."""
    journal = opened(waiting_bytes=10)
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


def test_after_close_appends_are_refused(opened: Opener) -> None:
    """Closing writes what waits; then appending raises and reading still works."""
    journal = opened()

    async def closing() -> list[Any]:
        waiting = [asyncio.ensure_future(journal.append(Signal.LOGS_JSON, b"%d" % i)) for i in range(20)]
        await asyncio.sleep(0)
        await asyncio.to_thread(journal.close)
        return await asyncio.gather(*waiting, return_exceptions=True)

    assert all(isinstance(result, int) for result in asyncio.run(closing()))
    with pytest.raises(JournalClosed):
        put(journal, b"late")
    assert len(everything(journal)) == 20


def test_only_one_process_writes(opened: Opener, tmp_path: Path) -> None:
    """A second journal in the same directory is refused while the first is open."""
    first = opened()
    with pytest.raises(JournalLocked):
        Journal(tmp_path / "journal", clock=ManualClock())
    first.close()
    assert put(opened(), b"x") == [0]


def test_an_unusable_directory_is_an_error(tmp_path: Path) -> None:
    """A path that cannot be a directory raises JournalFailed, which names it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalFailed, match="file"):
        Journal(tmp_path / "file" / "journal", clock=ManualClock())


def test_a_follower_is_woken(opened: Opener) -> None:
    """A thread that waits beyond the end goes on when a record is durable."""
    journal = opened()
    woken: list[bool] = []
    thread = threading.Thread(target=lambda: woken.append(journal.wait_beyond(0, 10)))
    thread.start()
    put(journal, b"x")
    thread.join(10)
    assert woken == [True]
    assert not journal.wait_beyond(journal.durable_end, 0)


def test_a_record_of_an_unknown_signal_is_skipped(opened: Opener, tmp_path: Path) -> None:
    """A signal of a later version is passed over like damage; what follows is read."""
    from rota_collector import _records

    first = opened()
    first.close()
    path = segments(tmp_path)[0] if segments(tmp_path) else tmp_path / "journal" / f"{0:020d}.journal"
    later: Any = 99
    head = _records.header(0, later, 1, b"?")
    path.write_bytes(head + b"?" + _records.header(len(head) + 1, Signal.LOGS_JSON, 1, b"known") + b"known")
    assert everything(opened()) == [b"known"]
