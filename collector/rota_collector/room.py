"""Room for more in the journal: looked for before something is accepted, so that nobody runs into the end of the disk."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from rota_collector.clock import Clock
from rota_collector.domain.room import why_no_room

_LOOK_SECONDS = 0.1  # a disk does not fill faster than the reserve in that time


class Room:
    """``lag`` tells how many bytes of the journal the slowest store does not have yet. Any thread may ask."""

    def __init__(self, directory: Path, reserve: int, most_lag: int, lag: Callable[[], int], clock: Clock) -> None:
        self._directory, self._reserve, self._most_lag, self._lag, self._clock = directory, reserve, most_lag, lag, clock
        self._looks_at = float("-inf")
        self._why: str | None = None

    def why_none(self) -> str | None:
        """Why nothing more can be kept; None: it can. As it was at most a moment ago."""
        now = self._clock.monotonic()
        if now >= self._looks_at:
            self._looks_at = now + _LOOK_SECONDS
            self._why = why_no_room(self._free(), self._reserve, self._lag(), self._most_lag)
        return self._why

    def _free(self) -> int:
        found = os.statvfs(self._directory)
        return found.f_bavail * found.f_frsize
