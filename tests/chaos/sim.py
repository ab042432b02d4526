"""A world in one thread whose time passes only when nobody in it has anything to do. Who waits is a greenlet that sleeps."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Any

import greenlet

S = 10**9


class World:
    """Real time, in ns from 0, and what is to happen."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._order = itertools.count()
        self._coming: list[tuple[int, int, Callable[[], object]]] = []

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        """Have something happen."""
        heapq.heappush(self._coming, (self.now_ns + max(0, round(seconds * S)), next(self._order), act))

    def run(self, until_ns: int) -> None:
        """Let it happen, until that time."""
        while self._coming and self._coming[0][0] <= until_ns:
            self.now_ns, _, act = heapq.heappop(self._coming)
            act()
        self.now_ns = until_ns

    def forget(self) -> None:
        """Nothing of what was to happen will."""
        self._coming.clear()


class Host:
    """A machine with a clock of its own that runs a little too fast or too slow. It may stand still for a while, or be gone."""

    def __init__(self, world: World, clock_began: float, clock_rate: float) -> None:
        self.world, self._began, self._rate = world, clock_began, clock_rate
        self.is_gone = False
        self._threads: list[greenlet.greenlet] = []
        self._paused_until_ns = 0

    def clock(self) -> float:
        """Its monotonic clock, which goes on while it stands still."""
        return self._began + self.world.now_ns / S * self._rate

    def pause(self, seconds: float) -> None:
        """Nothing on it goes on meanwhile."""
        self._paused_until_ns = max(self._paused_until_ns, self.world.now_ns + round(seconds * S))

    def start(self, body: Callable[[], object]) -> None:
        """A thread on this host."""
        self._threads.append(greenlet.greenlet(body))
        self.go_on(self._threads[-1])

    def end(self) -> None:
        """It is over with this host, and with its threads: the collector of garbage cannot see what they hold."""
        self.is_gone = True
        for thread in self._threads:
            thread.parent = greenlet.getcurrent()
            thread.throw()
        self._threads.clear()

    def sleep(self, seconds: float) -> None:
        """In a thread: wait, by this host's clock."""
        Signal(self).wait(seconds)

    def go_on(self, thread: greenlet.greenlet) -> None:
        """Have a thread go on, unless the host is gone, or as soon as it does not stand still any more."""
        paused_ns = self._paused_until_ns - self.world.now_ns
        if self.is_gone:
            return
        if paused_ns > 0:
            self.world.after(paused_ns / S, lambda: self.go_on(thread))
        else:
            thread.parent = greenlet.getcurrent()
            thread.switch()

    def real(self, seconds: float) -> float:
        """How long seconds of its clock are."""
        return seconds / self._rate


class Signal:
    """As ``threading.Event``, for threads of one host. ``value`` is what it was set to."""

    def __init__(self, host: Host) -> None:
        self._host, self._is_set, self.value = host, False, None
        self._waiting: list[greenlet.greenlet] = []

    def is_set(self) -> bool:
        return self._is_set

    def set(self, value: Any = None) -> None:
        """Only the first time counts."""
        if not self._is_set:
            self._is_set, self.value = True, value
            self.wake()

    def wait(self, seconds: float) -> bool:
        """Until it is set, or for so long."""
        if not self._is_set:
            self._waiting.append(greenlet.getcurrent())
            self._host.world.after(self._host.real(seconds), self.wake)
            greenlet.getcurrent().parent.switch()
        return self._is_set

    def wake(self) -> None:
        """Let all go on who wait now."""
        waiting, self._waiting = self._waiting, []
        for thread in waiting:
            self._host.world.after(0, lambda thread=thread: self._host.go_on(thread))
