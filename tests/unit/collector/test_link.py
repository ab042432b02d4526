"""The journal between two processes: what the keeper sees of it, and what it submits."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading

import pytest

from rota_collector.board import Board, Cell
from rota_collector.clock import ManualClock
from rota_collector.errors import JournalClosed, JournalFull
from rota_collector.journal import Journal, Signal
from rota_collector.link import Bell, JournalLink, PublishedExtent, serve


class Front:
    """The front's side, served by an event loop in a thread of its own."""

    def __init__(self, journal: Journal, sock: socket.socket) -> None:
        self.is_ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(serve(sock, journal, self.is_ready.set, dict)))
        self.thread.start()


@pytest.fixture
def ends(tmp_path):
    """(journal of the front, link of the keeper, what the front is told, the keeper's socket)."""
    board, bell = Board(), Bell()
    journal = Journal(tmp_path, clock=ManualClock(), extent=PublishedExtent(board, bell))
    ours, theirs = socket.socketpair()
    front = Front(journal, ours)
    link = JournalLink(tmp_path, Board(os.dup(board.fd)), os.dup(bell.reader), theirs, gone=lambda: None)
    yield journal, link, front, theirs
    with contextlib.suppress(OSError):
        theirs.shutdown(socket.SHUT_RDWR)  # to close it is not enough: the link holds it too
    front.thread.join(10)
    theirs.close()
    journal.close()


def test_what_is_durable_in_one_process_is_read_in_the_other(ends):
    """Without a message: the keeper sees how far the files count, and reads them."""
    journal, link, _, _ = ends
    end = journal.append_blocking(Signal.LOGS_JSON, b"one")
    assert link.durable_end > end
    assert [record.payload for record in link.read(0, 1 << 20)] == [b"one"]


def test_who_waits_for_more_is_woken(ends):
    """A record that comes later wakes a keeper that sleeps, long before its patience ends."""
    journal, link, _, _ = ends
    later = threading.Timer(0.1, journal.append_blocking, (Signal.LOGS_JSON, b"late"))
    later.start()
    assert link.wait_beyond(0, 30)
    later.join()


def test_a_submission_is_answered_when_it_is_on_disk(ends):
    """The keeper gets the offset of its record, which then is in the journal like any other."""
    journal, link, _, _ = ends
    first = link.append_blocking(Signal.LOGS_JSON, b"decided")
    second = link.append_blocking(Signal.TRACES_PROTO, b"")
    assert [(record.offset, record.signal, record.payload) for record in journal.read(0, 1 << 20)] == [
        (first, Signal.LOGS_JSON, b"decided"),
        (second, Signal.TRACES_PROTO, b""),
    ]


def test_a_refusal_reaches_who_submitted(ends, monkeypatch):
    """The kind of error and its words are the journal's own."""
    journal, link, _, _ = ends

    async def full(*_):
        raise JournalFull("no space left on the moon")

    monkeypatch.setattr(journal, "append", full)
    with pytest.raises(JournalFull, match="no space left on the moon"):
        link.append_blocking(Signal.LOGS_JSON, b"decided")


def test_many_may_submit_at_once(ends):
    """Answers go to those who asked."""
    _, link, _, _ = ends
    found: dict[int, int] = {}

    def submit(number: int) -> None:
        found[number] = link.append_blocking(Signal.LOGS_JSON, b"%d" % number)

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    by_offset = {record.offset: int(record.payload) for record in link.read(0, 1 << 20)}
    assert {offset: number for number, offset in found.items()} == by_offset


def test_without_a_front_nothing_is_submitted(ends):
    """A link whose other end is gone says so: nothing was kept."""
    _, link, front, theirs = ends
    theirs.shutdown(socket.SHUT_RDWR)
    front.thread.join(10)
    with pytest.raises(JournalClosed, match="the process that writes it is gone"):
        link.append_blocking(Signal.LOGS_JSON, b"decided")


def test_the_front_learns_that_the_keeper_is_ready(ends):
    """Said once the keeper serves."""
    _, link, front, _ = ends
    assert not front.is_ready.is_set()
    link.ready()
    assert front.is_ready.wait(10)


def test_a_keeper_learns_that_the_front_is_gone(tmp_path):
    """When the last end of the bell closes, whoever is responsible is told."""
    board, bell, gone = Board(), Bell(), threading.Event()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        JournalLink(tmp_path, board, bell.reader, theirs, gone=gone.set)
        assert not gone.wait(0.05)
        bell.close()
        assert gone.wait(10)


def test_numbers_on_the_board_are_seen_by_both_at_once():
    """Up to the largest that eight bytes hold; a new board is all zero."""
    mine = Board()
    theirs = Board(os.dup(mine.fd))
    assert theirs[Cell.CONTROL_OFFSET] == 0
    mine[Cell.CONTROL_OFFSET] = 2**64 - 1
    theirs[Cell.ASKING] = 7
    assert (theirs[Cell.CONTROL_OFFSET], mine[Cell.ASKING]) == (2**64 - 1, 7)


def test_a_bell_that_nobody_hears_blocks_nobody():
    """Rung more often than a pipe holds."""
    bell = Bell()
    for _ in range(100_000):
        bell.ring()
    os.close(bell.reader)
    bell.close()
