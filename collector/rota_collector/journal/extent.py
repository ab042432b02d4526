"""How far the journal is on disk. Only its writer knows; everybody else is told."""

from __future__ import annotations

import threading


class Extent:
    """The durable end of a journal, for the threads of the process that writes it."""

    def __init__(self) -> None:
        self._durable_end = 0
        self._closed = False
        self._moved = threading.Condition()

    @property
    def durable_end(self) -> int:
        """The offset after the last record that is on disk."""
        return self._durable_end

    def advance(self, end: int) -> None:
        """Everything before ``end`` is on disk."""
        with self._moved:
            self._durable_end = end
            self._moved.notify_all()

    def close(self) -> None:
        """It stays as it is: nobody need wait any longer."""
        with self._moved:
            self._closed = True
            self._moved.notify_all()

    def wait_beyond(self, offset: int, timeout_seconds: float) -> bool:
        """Blocks until the journal reaches beyond ``offset``; False after ``timeout_seconds``, or when it never will."""
        with self._moved:
            self._moved.wait_for(lambda: self.durable_end > offset or self._closed, timeout_seconds)
            return self.durable_end > offset
