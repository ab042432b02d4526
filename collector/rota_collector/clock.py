"""Time is injected: everything that looks at a clock is given one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """What the collector asks of time."""

    def now_ns(self) -> int:
        """Unix time in nanoseconds. May jump, also backwards."""

    def monotonic(self) -> float:
        """Seconds since some start; never goes back."""

    def boot(self) -> str | None:
        """Which start ``monotonic`` counts from: equal in two processes whose times can be compared. None: unknown."""


class SystemClock:
    """The clock of this machine."""

    def now_ns(self) -> int:
        """Unix time in nanoseconds."""
        return time.time_ns()

    def monotonic(self) -> float:
        """Seconds since the machine started."""
        return time.monotonic()

    def boot(self) -> str | None:
        """Which start of the machine that was, as Linux names it."""
        try:
            return _BOOT.read_text().strip()
        except OSError:
            return None


class ManualClock:
    """A clock that stands still until it is told to move. For tests and replays."""

    def __init__(self, now_ns: int = 1_700_000_000_000_000_000) -> None:
        self._now_ns = now_ns
        self._elapsed_ns = 0

    def now_ns(self) -> int:
        """What the wall clock was set to."""
        return self._now_ns

    def monotonic(self) -> float:
        """Seconds that were advanced."""
        return self._elapsed_ns / 1e9

    def boot(self) -> str | None:
        """This very clock."""
        return f"manual clock {id(self)}"

    def advance(self, seconds: float) -> None:
        """Moves both clocks forward."""
        self._now_ns += round(seconds * 1e9)
        self._elapsed_ns += round(seconds * 1e9)

    def set_ns(self, now_ns: int) -> None:
        """Makes the wall clock jump; monotonic time does not notice."""
        self._now_ns = now_ns
