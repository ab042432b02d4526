"""Locks of a home: whose turn it is to ship. Held by an open file, so that a killed holder lets go."""

from __future__ import annotations

import fcntl
import os

from rota.agent.spool import lock_holder

ONCE, RESIDENT = "once.lock", "agent.lock"


class Turn:
    """The exclusive lock on one file, from ``take`` or ``wait`` until ``give_back``.

    Where the file cannot be made (a home that cannot be written), everybody has the turn: sending twice does no harm.
    """

    def __init__(self, directory: str, name: str) -> None:
        self._path = os.path.join(directory, name)
        self._fd = -1

    def take(self) -> bool:
        """Whether we have it now; does not wait."""
        return self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB)

    def wait(self) -> None:
        """Have it, after everybody before us."""
        self._lock(fcntl.LOCK_EX)

    def is_taken(self) -> bool:
        """Whether another process has it. Asking takes nothing: another who asks, or who wants it, must not be told so of us."""
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            return lock_holder(fd) != 0
        finally:
            os.close(fd)

    def give_back(self) -> None:
        """Let the next one have it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _lock(self, operation: int) -> bool:
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:
            return True
        try:
            fcntl.lockf(self._fd, operation)
            return True
        except OSError:
            self.give_back()
            return False
