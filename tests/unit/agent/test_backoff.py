"""How long to wait after a failure."""

from __future__ import annotations

from rota.agent.backoff import Backoff

_MANY = 200  # waits are drawn by lot


def test_own_waits_grow_up_to_a_limit():
    """From half a second on, twice as long each time, never longer than 45 s."""
    backoff = Backoff()
    waits = [backoff.next_seconds() for _ in range(100)]
    assert 0.25 <= waits[0] <= 0.75
    assert 15 <= waits[-1] <= 45


def test_a_success_begins_anew():
    """The next failure is the first one."""
    backoff = Backoff()
    for _ in range(10):
        backoff.next_seconds()
    backoff.reset()
    assert backoff.next_seconds() <= 0.75


def test_what_the_server_asks_for_is_the_least():
    """Never before the time that was asked for, and not all at that very time."""
    waits = [Backoff().next_seconds(60) for _ in range(_MANY)]
    assert 60 <= min(waits) < max(waits) <= 75


def test_nobody_makes_us_wait_for_long():
    """An absurd Retry-After counts as five minutes, and those too are not in step."""
    waits = [Backoff().next_seconds(1e12) for _ in range(_MANY)]
    assert 300 <= min(waits) < max(waits) <= 375
