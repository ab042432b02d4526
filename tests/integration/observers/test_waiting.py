"""The wait between two looks at a system, and the bell that ends it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rota_integrations.following import Later, follow
from rota_integrations.waiting import Waiting

LONG = 3600.0


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    """What waits; signals mean what they did before, once it is over."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield Waiting()
    for number, handler in before.items():
        signal.signal(number, handler)


def later(does: Callable[[], object]) -> None:
    """In a moment, from another thread."""
    threading.Timer(0.3, does).start()


# -- rings and signals -------------------------------------------------------------------------------------------------


def test_who_rings_ends_the_wait(waiting: Waiting) -> None:
    """It is not over then: the next look comes."""
    later(waiting.ring)
    assert not waiting.listen(LONG)


def test_who_rang_during_the_look_ends_the_next_wait(waiting: Waiting) -> None:
    """What rang may have happened after it was looked at."""
    waiting.ring()
    assert not waiting.listen(LONG)


def test_where_nobody_rings_it_is_waited_as_long_as_was_said(waiting: Waiting) -> None:
    """And then looked."""
    assert not waiting.listen(0.3)
    assert not waiting(0.01)


def test_rings_do_not_end_a_wait_that_must_be(waiting: Waiting) -> None:
    """Of a system that asked for time."""
    waiting.ring()
    later(lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert waiting(LONG)


def test_who_rang_before_a_look_does_not_ring_after_it(waiting: Waiting) -> None:
    """It was looked since."""
    waiting.ring()
    assert not waiting(0.01)
    later(lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert waiting.listen(LONG)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("waits", [Waiting.__call__, Waiting.listen])
def test_a_signal_ends_every_wait_for_good(waiting: Waiting, number: signal.Signals, waits: Callable[..., bool]) -> None:
    """That which is on, and those to come."""
    later(lambda: os.kill(os.getpid(), number))
    assert waits(waiting, LONG)
    assert waits(waiting, LONG)


# -- the bell of a follower --------------------------------------------------------------------------------------------


class Written(Waiting):
    """Waits no time at all, and writes down what it was to do, as often as there are looks."""

    def __init__(self, looks: int) -> None:
        self.looks, self.waits, self.rings = looks, list[str](), 0

    def ring(self) -> None:
        self.rings += 1

    def __call__(self, seconds: float) -> bool:
        return self._wait(f"rests {seconds:g}")

    def listen(self, seconds: float) -> bool:
        return self._wait(f"listens {seconds:g}")

    def _wait(self, what: str) -> bool:
        self.waits.append(what)
        return len(self.waits) == self.looks


class Ringing:
    """A follower with a bell, which raises what it is told to at each look in turn, and rings when it is made to."""

    def __init__(self, *looks: Exception | None) -> None:
        self.looks, self.bells = list(looks), list[Callable[[], object]]()

    def bell(self, ring: Callable[[], object]) -> None:
        self.bells.append(ring)
        ring()

    def look(self, memory: dict[str, Any]) -> None:
        error = self.looks.pop(0)
        if error:
            raise error


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the memory is."""
    monkeypatch.setenv("ROTA_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_bell_is_there_once_and_listened_to_after_each_look(home: Path) -> None:
    """For as long as it is looked."""
    follower, wait = Ringing(None, None, None), Written(3)
    assert follow("system", follower, 5.0, told=lambda: None, wait=wait) == 0
    assert (len(follower.bells), wait.rings, wait.waits) == (1, 1, ["listens 5"] * 3)


def test_a_system_that_asks_for_time_or_does_not_answer_gets_its_time_whoever_rings(home: Path) -> None:
    """Also where it asks for less than the usual time."""
    follower, wait = Ringing(Later(90), Later(1), None, OSError("away"), None), Written(5)
    assert follow("system", follower, 5.0, told=lambda: None, wait=wait) == 0
    assert wait.waits == ["rests 90", "rests 5", "listens 5", "rests 10", "listens 5"]


def test_one_look_needs_no_bell(home: Path) -> None:
    """It is over then."""
    follower = Ringing(None)
    assert follow("system", follower, 5.0, once=True, told=lambda: None, wait=Written(1)) == 0
    assert follower.bells == []
