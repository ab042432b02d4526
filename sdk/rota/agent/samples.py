"""Samples on their way: kept in memory only and in bounds, for a later sample makes up for a lost one."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Callable, Sequence

from rota.agent.answer import Unavailable
from rota.agent.backoff import Backoff
from rota.agent.ship import Shipper

_MOST_BYTES = 1 << 20


class Samples:
    """A queue of OTLP-JSON lines of metrics from one thread to another; when it is full, the oldest go.

    Args:
        shipper: delivers lines.
        report: takes one line of text for people.
        clock: monotonic seconds.
    """

    def __init__(self, shipper: Shipper, report: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.dropped = 0  # lines
        self._shipper, self._report, self._clock = shipper, report, clock
        self._waiting: deque[bytes] = deque()
        self._mutex = threading.Lock()
        self._backoff, self._retry_at = Backoff(), 0.0

    def add(self, lines: Sequence[bytes]) -> None:
        """Queue lines, the older ones first."""
        with self._mutex:
            self._waiting.extend(lines)
            while sum(map(len, self._waiting)) > _MOST_BYTES:
                self._waiting.popleft()
                self.dropped += 1

    def ship(self) -> None:
        """Deliver what waits, unless it failed just now. Never raises for a server's sake: states and spans matter more."""
        while self._clock() >= self._retry_at:
            with self._mutex:
                line = self._waiting[0] if self._waiting else None
            if line is None:
                return
            try:
                self._ship_one(line)
            except Unavailable as error:
                self._report("%s. The latest samples are kept" % error)
                self._retry_at = self._clock() + self._backoff.next_seconds(error.retry_after_seconds)

    def _ship_one(self, line: bytes) -> None:
        """A line a request: sent again, it is the same to a byte, and a collector that had it drops it."""
        if self._shipper.ship("metrics", [line]):
            self.dropped += 1
            self._report("the server refuses samples")
        self._backoff.reset()
        with self._mutex:
            if self._waiting and self._waiting[0] is line:  # else it was dropped meanwhile
                self._waiting.popleft()
