"""Leases that a run holds: kept, given back, and never believed for longer than they are valid."""

from __future__ import annotations

import threading
import time

import pytest

from rota.control import hold
from rota.control.hold import Held

LEASE = {"id": "l1", "token": 7, "scope": "workflow etl", "expires_in_seconds": 0.3}


class Collector:
    """Answers posts; keeps them."""

    def __init__(self, error=None):
        self.posts, self.error, self.lost = [], error, threading.Event()
        self.renewed = threading.Semaphore(0)

    def post(self, path, body, timeout_seconds):
        assert 0 < timeout_seconds <= 1
        self.posts.append((path, body))
        self.renewed.release()
        if self.error:
            raise self.error
        return {"expires_in_seconds": 0.3}

    def tell(self, reason):
        self.reason = reason
        self.lost.set()


class Clock:
    """Stands still."""

    now = 50.0

    def __call__(self):
        return self.now


def test_a_lease_is_believed_a_little_shorter_than_it_is_valid():
    """Counted from before it was asked for: the answer may have taken its time."""
    clock, collector = Clock(), Collector()
    held = Held([LEASE, {**LEASE, "scope": "pool db", "expires_in_seconds": 60}], 50.0, collector.post, collector.tell, clock)
    assert held.is_valid()
    clock.now = 50.26
    assert held.is_valid()
    clock.now = 50.27
    assert not held.is_valid()
    assert held.tokens == {"workflow etl": 7, "pool db": 7}


def test_it_is_renewed_in_time_with_its_token_and_given_back():
    """Three questions in the time of one, so that two may be lost."""
    collector, clock = Collector(), Clock()
    held = Held([LEASE], clock.now, collector.post, collector.tell, clock)
    held.keep()
    for _ in range(3):
        assert collector.renewed.acquire(timeout=10)
    held.release()
    assert set(map(str, collector.posts)) == {str((f"/api/v1/leases/l1/{what}", {"token": 7})) for what in ("renew", "release")}
    assert not collector.lost.is_set()
    assert not held.is_valid()


@pytest.mark.parametrize(("error", "said"), [(KeyError("409"), "not ours any more"), (OSError("refused"), "nobody renewed it")])
def test_a_lease_that_is_lost_is_told_once(error, said):
    """At once when it is another's; when nobody answers, as soon as it is valid no longer."""
    collector = Collector(error)
    clock = Clock()
    held = Held([LEASE], clock.now, collector.post, collector.tell, clock)
    held.keep()
    assert collector.renewed.acquire(timeout=10)
    if isinstance(error, OSError):
        assert not collector.lost.wait(0.2)
        assert held.is_valid()
        clock.now += 0.28
    assert collector.lost.wait(10)
    assert said in collector.reason
    assert not held.is_valid()


def test_giving_back_to_nobody_is_no_error():
    """It expires."""
    collector = Collector(OSError("refused"))
    Held([LEASE, {**LEASE, "id": "l2"}], 0.0, collector.post, collector.tell).release()
    assert [path for path, _ in collector.posts] == ["/api/v1/leases/l1/release", "/api/v1/leases/l2/release"]


def test_a_holder_that_slept_knows_how_long():
    """By default it counts by the clock that goes on while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    before = time.clock_gettime(clock)
    assert before <= hold.now() <= time.clock_gettime(clock)


def test_a_collector_that_comes_back_still_has_the_lease():
    """What nobody renewed in time is not believed; it is as soon as somebody renews it."""
    clock, collector = Clock(), Collector(OSError("refused"))
    held = Held([LEASE], clock.now, collector.post, collector.tell, clock)
    held.keep()
    clock.now += 1
    assert collector.lost.wait(10)
    assert not held.is_valid()
    collector.error = None
    deadline = time.monotonic() + 10
    while not held.is_valid() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert held.is_valid()
    held.release()
