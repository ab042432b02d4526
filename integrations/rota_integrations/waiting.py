"""The wait between two looks: a signal ends it for good, and who rings ends it early."""

from __future__ import annotations

import queue
import signal
import threading
import time
from typing import Any

_LEAST_SECONDS = 0.2  # between two looks, however often it rings


class Waiting:
    """Waits, unless SIGTERM or SIGINT has come: the first one lets a look end, the next ends it as it would any process."""

    def __init__(self) -> None:
        # A lock would not do: a handler of signals runs in the midst of who holds it. This queue may be put into from there.
        self._woken: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_over = False
        self._before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            self._before.update({number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)})

    def ring(self) -> None:
        """End a ``listen``, that which is on or else the next one. From any thread."""
        if self._woken.empty():
            self._woken.put(None)

    def __call__(self, seconds: float) -> bool:
        """Wait so long, whoever rings. Whether it is over."""
        self._rest(seconds)
        return self._is_over

    def listen(self, seconds: float) -> bool:
        """Wait so long, or until somebody rings, or has rung since the last wait. Whether it is over."""
        give_up_at = time.monotonic() + seconds
        is_rung = self._rest(min(seconds, _LEAST_SECONDS))
        if not is_rung and not self._is_over:
            self._wakes(give_up_at)
        return self._is_over

    def _rest(self, seconds: float) -> bool:
        """Whether somebody rang."""
        give_up_at, is_rung = time.monotonic() + seconds, False
        while not self._is_over and self._wakes(give_up_at):
            is_rung = True
        return is_rung

    def _wakes(self, give_up_at: float) -> bool:
        try:
            self._woken.get(timeout=max(0.0, give_up_at - time.monotonic()))
        except queue.Empty:
            return False
        return True

    def _stop(self, number: int, _frame: object) -> None:
        self._is_over = True
        self._woken.put(None)
        signal.signal(number, self._before[number])
