"""What is to be done at which time. For one thread."""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

T = TypeVar("T", int, float)


class Alarms(Generic[T]):
    """Names with the time at which each is to be looked at; of several times for one name the earliest counts."""

    def __init__(self) -> None:
        self._heap: list[tuple[T, str]] = []
        self._times: dict[str, T] = {}

    def set(self, name: str, at: T) -> None:
        """Look at it by then."""
        before = self._times.get(name)
        if before is None or at < before:
            self._times[name] = at
            heapq.heappush(self._heap, (at, name))

    def due(self, now: T) -> list[str]:
        """Those whose time has come; they have no time any more."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            at, name = heapq.heappop(self._heap)
            if self._times.get(name) == at:
                del self._times[name]
                found.append(name)
        return found

    def next(self) -> T | None:
        """When the first of them is due; None: none will be."""
        return self._heap[0][0] if self._heap else None
