"""A wall clock that is set, while a collector runs or while none does: no lease ends or lasts, and nobody waits, for that."""

from __future__ import annotations

import pytest
from asking import SECOND
from rooms import ONE, Rooms, answer_of

STEPS = pytest.mark.parametrize("step_seconds", [3600, -3600, 90, -90, 1.5], ids=str)


def set_clock(rooms: Rooms, seconds: float) -> None:
    rooms.clock.set_ns(rooms.clock.now_ns() + round(seconds * SECOND))
    rooms.turns()


@STEPS
@pytest.mark.parametrize("is_down", [False, True], ids=["running", "down"])
def test_a_lease_holds_as_long_as_it_would_have(rooms: Rooms, step_seconds: float, is_down: bool) -> None:
    """Who waits for it goes when its time is over by the clock that nobody sets."""
    rooms.policy("w", **ONE)
    rooms.ask("r1")
    second = rooms.ask("r2", wait=300)
    if is_down:
        rooms.clock.set_ns(rooms.clock.now_ns() + round(step_seconds * SECOND))
        rooms.start_again()
        second = rooms.ask("r2", wait=300)
    else:
        set_clock(rooms, step_seconds)
    rooms.wait(59)
    assert answer_of(second) == "…"
    rooms.wait(1)
    assert answer_of(second) == "go"


@STEPS
def test_it_is_renewed_and_given_back_as_ever(rooms: Rooms, step_seconds: float) -> None:
    """With its token; afterwards neither."""
    rooms.policy("w", **ONE)
    (lease,) = rooms.ask("r1").result().leases
    set_clock(rooms, step_seconds)
    rooms.wait(40)
    renewed = rooms.settled(rooms.room.renew(lease.id, lease.token))
    assert renewed is not None
    assert renewed.expires_ns - rooms.clock.now_ns() == pytest.approx(60 * SECOND, abs=SECOND)
    assert rooms.settled(rooms.room.release(lease.id, lease.token)) is not None
    assert rooms.settled(rooms.room.renew(lease.id, lease.token)) is None


def test_what_is_over_does_not_come_back(rooms: Rooms) -> None:
    """A lease that expired is not live again because the clock went back."""
    rooms.policy("w", **ONE)
    (lease,) = rooms.ask("r1").result().leases
    rooms.wait(61)
    set_clock(rooms, -300)
    assert rooms.settled(rooms.room.renew(lease.id, lease.token)) is None
    assert answer_of(rooms.ask("r2")) == "go"


@STEPS
def test_who_waits_keeps_the_place_and_the_time(rooms: Rooms, step_seconds: float) -> None:
    """In the order in which they asked; what is waited for at most is not shorter, nor longer."""
    rooms.policy("w", gates=[{"kind": "concurrency", "limit": 1, "wait_at_most": "50s", "otherwise": "skip"}])
    holder = rooms.ask("r1")
    first, second = rooms.ask("r2", wait=300), rooms.ask("r3", wait=300)
    rooms.wait(20)
    set_clock(rooms, step_seconds)
    late = rooms.ask("r4", wait=300)
    rooms.release(holder.result())
    assert (answer_of(first), answer_of(second), answer_of(late)) == ("go", "…", "…")
    rooms.wait(29)
    assert answer_of(second) == "…"
    rooms.wait(1.1)
    assert (answer_of(second), answer_of(late)) == ("skip", "…")
    rooms.release(first.result())
    assert answer_of(late) == "go"


def test_starts_are_counted_as_they_were(rooms: Rooms) -> None:
    """A rate does not begin anew."""
    rooms.policy("w", gates=[{"kind": "rate", "limit": 1, "per": "1m"}])
    rooms.ask("r1")
    set_clock(rooms, 7200)
    second = rooms.ask("r2", wait=300)
    assert answer_of(second) == "…"
    rooms.wait(60)
    assert answer_of(second) == "go"
