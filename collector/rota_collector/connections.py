"""Who may stay when there are more connections than there is room for. Pure; the clock is passed in."""

from __future__ import annotations

import resource
from typing import Generic, TypeVar

_GRACE_SECONDS = 1.0  # everybody has that long to say what they want
_MOST_FILES = 1 << 16

C = TypeVar("C")


class Crowd(Generic[C]):
    """The open connections, at most ``most``. When one more comes, who has kept us waiting longest gives way to it.

    Slow clients are outnumbered so: they never finish a request, honest ones do in milliseconds. Who waits for our answer
    is never sent away.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._starting: dict[C, float] = {}  # they owe us the rest of a request; since when, the longest first
        self._idle: dict[C, None] = {}  # between two requests, the longest first
        self._served: set[C] = set()

    def __len__(self) -> int:
        return len(self._starting) + len(self._idle) + len(self._served)

    def starting(self, connection: C, now: float) -> None:
        """It is new, or has begun a request."""
        self.leave(connection)
        self._starting[connection] = now

    def served(self, connection: C) -> None:
        """Its request is here whole, and we owe the answer."""
        self.leave(connection)
        self._served.add(connection)

    def idle(self, connection: C) -> None:
        """Its answer is sent."""
        self.leave(connection)
        self._idle[connection] = None

    def leave(self, connection: C) -> None:
        """It is closed, or about to be something else."""
        self._starting.pop(connection, None)
        self._idle.pop(connection, None)
        self._served.discard(connection)

    def one_too_many(self, now: float) -> C | None:
        """Who has to go now: None when there is room, the newest when nobody can be asked to give way to it."""
        if len(self) <= self._most:
            return None
        slowest = next(iter(self._starting), None)
        if slowest is not None and now - self._starting[slowest] >= _GRACE_SECONDS:
            return slowest
        return next(iter(self._idle), None) or next(reversed(self._starting), None)


def room(wanted: int) -> int:
    """How many of ``wanted`` connections this process may have: half of its files, after asking for as many as it can get."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return min(wanted, max(soft, limit) // 2)
