"""The journal: what it promises when the disk fails it, and when bytes of it are damaged."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from journals import Opener, everything, put, segments

from rota_collector import _files, _records
from rota_collector.errors import JournalFailed, JournalFull
from rota_collector.journal import Signal


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


def test_an_unfinished_write_is_cut(open_journal: Opener, tmp_path: Path) -> None:
    """Bytes after the last whole record are moved into quarantine when the journal is opened, and their number is told."""
    first = open_journal()
    put(first, b"kept")
    first.close()
    with segments(tmp_path)[0].open("ab") as file:
        file.write(b"\xf5rJ\x01 torn")
    second = open_journal()
    assert second.torn_bytes == 9
    assert [path.read_bytes() for path in (tmp_path / "journal" / "quarantine").iterdir()] == [b"\xf5rJ\x01 torn"]
    assert segments(tmp_path)[0].stat().st_size == second.durable_end
    assert everything(second) == [b"kept"]
    assert not second.damage


def test_a_damaged_record_is_skipped_and_counted(open_journal: Opener, tmp_path: Path) -> None:
    """One flipped byte in the middle of a segment costs that record, and is noted."""
    first = open_journal()
    offsets = put(first, b"one", b"two", b"three")
    first.close()
    path = segments(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[offsets[1] + 26] ^= 1
    path.write_bytes(data)
    second = open_journal()
    assert everything(second) == [b"one", b"three"]
    assert second.damage == {offsets[1]: offsets[2] - offsets[1]}


def test_a_follower_behind_the_last_damage_sleeps(open_journal: Opener, tmp_path: Path) -> None:
    """When nothing but damage is left to read, waiting blocks until a new record comes, instead of returning at once."""
    journal = open_journal()
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


def test_a_record_inside_a_payload_is_no_record(open_journal: Opener, tmp_path: Path) -> None:
    """Bytes of somebody's payload that look like a record are not read as one, also when the record around them is damaged."""
    first = open_journal()
    put(first, b"inner")
    forged = segments(tmp_path)[0].read_bytes()
    offsets = put(first, forged, b"last")
    first.close()
    path = segments(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[offsets[0] + 8] ^= 1  # the length of the record around it
    path.write_bytes(data)
    assert everything(open_journal()) == [b"inner", b"last"]


def test_a_record_of_an_unknown_signal_is_skipped(open_journal: Opener, tmp_path: Path) -> None:
    """A signal of a later version is passed over like damage; what follows is read."""
    first = open_journal()
    first.close()
    path = segments(tmp_path)[0] if segments(tmp_path) else tmp_path / "journal" / f"{0:020d}.journal"
    later: Any = 99
    head = _records.header(0, later, 1, b"?")
    path.write_bytes(head + b"?" + _records.header(len(head) + 1, Signal.LOGS_JSON, 1, b"known") + b"known")
    assert everything(open_journal()) == [b"known"]


@pytest.mark.parametrize(
    ("error", "raised"),
    [(errno.ENOSPC, JournalFull), (errno.EDQUOT, JournalFull), (errno.EIO, JournalFailed)],
    ids=["ENOSPC", "EDQUOT", "EIO"],
)
def test_a_failed_write_is_refused_and_leaves_no_trace(
    open_journal: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int, raised: type[Exception]
) -> None:
    """A write that fails half way raises to who waits, leaves the file as it was, and the next append works."""
    journal = open_journal()
    put(journal, b"before")
    size = segments(tmp_path)[0].stat().st_size
    monkeypatch.setattr(_files, "write_all", FailingOnce(_files.write_all, error, half_a_write))
    with pytest.raises(raised):
        put(journal, b"lost")
    assert segments(tmp_path)[0].stat().st_size == size
    put(journal, b"after")
    assert everything(journal) == [b"before", b"after"]
    journal.close()
    again = open_journal()
    assert (everything(again), again.torn_bytes, again.damage) == ([b"before", b"after"], 0, {})


def test_a_short_write_is_continued(open_journal: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system takes only a part of a group, the rest is written after it."""
    real = os.pwritev
    monkeypatch.setattr(os, "pwritev", lambda fd, buffers, offset: real(fd, [b"".join(buffers)[:5]], offset))
    journal = open_journal()
    put(journal, b"whole", b"again")
    assert everything(journal) == [b"whole", b"again"]


def test_what_is_left_of_a_failed_write_is_never_read(open_journal: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the file cannot even be cut back, the journal goes on in a new segment and ignores what is behind."""
    journal = open_journal()
    put(journal, b"before")
    monkeypatch.setattr(_files, "write_all", FailingOnce(_files.write_all, errno.EIO, _files.write_all))
    monkeypatch.setattr(os, "ftruncate", FailingOnce(os.ftruncate, errno.EIO))
    with pytest.raises(JournalFailed):
        put(journal, b"lost")
    put(journal, b"after")
    journal.close()
    again = open_journal()
    assert (everything(again), again.damage) == ([b"before", b"after"], {})


@pytest.mark.parametrize("before", [[], [b"before"]], ids=["first record", "later record"])
def test_a_failed_sync_is_never_believed(
    open_journal: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: list[bytes]
) -> None:
    """After a failed sync the record is refused, its file is not written again, and a later success is one in a new segment."""
    journal = open_journal()
    put(journal, *before)
    synced: list[int] = []
    fail = FailingOnce(_files.sync, errno.EIO)
    monkeypatch.setattr(_files, "sync", lambda fd: (synced.append(os.fstat(fd).st_ino), fail(fd)))
    with pytest.raises(JournalFailed):
        put(journal, b"lost")
    put(journal, b"after")
    assert synced[0] not in synced[1:]
    journal.close()
    again = open_journal()
    assert (everything(again), again.damage) == ([*before, b"after"], {})


def test_it_recovers_when_space_returns(open_journal: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """While no segment can be made every append is refused; when it can, appends work again without a restart."""
    journal = open_journal(segment_bytes=1)
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


def test_nobody_waits_for_ever_after_an_unexpected_error(open_journal: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody thought of fails the appends that wait, and the writer lives on."""
    journal = open_journal()
    real = _files.write_all
    monkeypatch.setattr(_files, "write_all", lambda *_: 1 / 0)
    with pytest.raises(JournalFailed, match="ZeroDivisionError"):
        put(journal, b"lost")
    monkeypatch.setattr(_files, "write_all", real)
    put(journal, b"after")
    assert everything(journal) == [b"after"]
