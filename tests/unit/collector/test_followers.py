"""Followers: what is in the journal gets into the stores, once, whatever fails on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from rota_collector.clock import SystemClock
from rota_collector.journal import Journal, Signal
from rota_collector.watch import followers
from rota_collector.watch.followers import Follower


class Store:
    """A store that keeps what it is given, and its position with it."""

    def __init__(self) -> None:
        self.position, self.payloads = 0, []
        self.broken: BaseException | None = None
        self.attempts = 0

    def offset(self) -> int:
        return self.position

    def apply(self, records) -> None:
        self.attempts += 1
        if self.broken is not None:
            raise self.broken
        self.payloads += [bytes(record.payload) for record in records]
        self.position = records[-1].next_offset


@pytest.fixture
def journal(tmp_path):
    found = Journal(tmp_path / "journal", clock=SystemClock())
    yield found
    found.close()


@pytest.fixture
def follow(journal, monkeypatch):
    """Start a follower of the journal for a store; it is stopped at the end."""
    monkeypatch.setattr(followers, "_FIRST_WAIT_SECONDS", 0.001)
    running = []

    def start(store: Store, **options) -> Follower:
        follower = Follower("test", journal, store.offset, store.apply, SystemClock(), **options)
        follower.start()
        running.append(follower)
        return follower

    yield start
    for follower in running:
        follower.stop(0)
        follower.join(10)


def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def put(journal, *payloads: bytes) -> None:
    for payload in payloads:
        journal.append_blocking(Signal.LOGS_JSON, payload)


def test_it_applies_what_is_there_and_what_comes(journal, follow):
    """In the order of the journal, and nothing twice."""
    store = Store()
    put(journal, b"1", b"2")
    follower = follow(store)
    until(lambda: len(store.payloads) == 2)
    put(journal, b"3")
    until(lambda: len(store.payloads) == 3)
    assert store.payloads == [b"1", b"2", b"3"]
    until(lambda: follower.lag_bytes == 0)


def test_it_goes_on_where_the_store_stands(journal, follow):
    """The store's own position counts, not the follower's memory: what it has is not applied again."""
    first, second = Store(), Store()
    put(journal, b"1")
    follow(first)
    until(lambda: first.payloads == [b"1"])
    second.position = first.position
    put(journal, b"2")
    follow(second)
    until(lambda: second.payloads == [b"2"])


def test_a_batch_is_bounded(journal, follow, monkeypatch):
    """A backlog is applied in pieces, each in a transaction of its own."""
    monkeypatch.setattr(followers, "BATCH_BYTES", 1000)
    put(journal, *(b"x" * 400 for _ in range(10)))
    store = Store()
    follow(store)
    until(lambda: len(store.payloads) == 10)
    assert store.attempts >= 4


def test_it_never_skips_what_cannot_be_applied(journal, follow, capsys):
    """An unexpected error is said, with what and where, and tried again until it works."""
    store = Store()
    store.broken = RuntimeError("the disk has a bad day")
    put(journal, b"1", b"2")
    follower = follow(store)
    until(lambda: store.attempts >= 3)
    assert follower.trouble == "RuntimeError: the disk has a bad day"
    assert follower.is_alive()
    assert store.payloads == []
    store.broken = None
    until(lambda: store.payloads == [b"1", b"2"])
    until(lambda: follower.trouble is None)
    assert "test store: cannot apply the journal at 0, trying again" in capsys.readouterr().err


def test_a_stop_finishes_what_the_journal_holds(journal, follow):
    """What was acknowledged before the stop is in the store after it, when there is time for it."""
    store = Store()
    follower = follow(store)
    put(journal, *(b"%d" % n for n in range(50)))
    journal.close()
    follower.stop(10)
    follower.join(10)
    assert len(store.payloads) == 50


def test_a_stop_does_not_wait_for_a_store_that_fails(journal, follow):
    """A store in trouble is left for the next start."""
    store = Store()
    store.broken = RuntimeError("no")
    put(journal, b"1")
    follower = follow(store)
    until(lambda: store.attempts >= 1)
    journal.close()
    follower.stop(60)
    follower.join(10)
    assert not follower.is_alive()


def test_a_handle_that_is_dead_for_good_ends_the_process(journal, follow, monkeypatch, capsys):
    """Exit status 70 and a sentence: a supervisor starts us again, and the journal has everything."""
    statuses: list[int] = []
    monkeypatch.setattr(followers.os, "_exit", statuses.append)
    store = Store()
    store.broken = MemoryError("handle invalidated")
    put(journal, b"1")
    follow(store, fatal=(MemoryError,)).join(10)
    assert statuses == [70]
    assert "failed for good" in capsys.readouterr().err


def test_the_next_batch_is_made_ready_while_one_is_applied(journal, follow, monkeypatch):
    """In a backlog reading and decoding take one core, and the database another; each is told what comes before it."""
    monkeypatch.setattr(followers, "BATCH_BYTES", 1)
    monkeypatch.setattr(followers, "_WORTH_IT_BYTES", 1)
    put(journal, b"1", b"2", b"3")
    store, second_is_made, before = Store(), threading.Event(), []

    def prepare(records, previous):
        before.append(previous and [bytes(record.payload) for record in previous])
        if len(before) == 2:
            second_is_made.set()
        return records

    apply = store.apply

    def apply_with_the_next_at_hand(records) -> None:
        assert store.payloads or second_is_made.wait(10), "the next one waits for this one"
        apply(records)

    monkeypatch.setattr(store, "apply", apply_with_the_next_at_hand)
    follow(store, prepare=prepare)
    until(lambda: store.payloads == [b"1", b"2", b"3"])
    assert before == [None, [b"1"], [b"2"]]


def test_what_was_made_ready_behind_a_failure_is_made_anew(journal, follow, monkeypatch, capsys):
    """It counted on what is not there. Everything is applied, in order, once."""
    monkeypatch.setattr(followers, "BATCH_BYTES", 1)
    monkeypatch.setattr(followers, "_WORTH_IT_BYTES", 1)
    put(journal, b"1", b"2", b"3")
    store = Store()
    store.broken = RuntimeError("not now")
    follow(store)
    until(lambda: store.attempts >= 3)
    store.broken = None
    until(lambda: store.payloads == [b"1", b"2", b"3"])
