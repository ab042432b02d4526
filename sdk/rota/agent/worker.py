"""The agent's second thread: ships. A slow endpoint holds up nobody but itself."""

from __future__ import annotations

import threading
import time
from typing import Callable

from rota.agent.answer import Unavailable
from rota.agent.backoff import Backoff
from rota.agent.carrier import Carrier
from rota.agent.samples import Samples
from rota.agent.spool import Spool

_TAIL_SECONDS = 0.7  # between two looks at the files of processes that run, when nobody wakes us
_TRIM_SECONDS = 60.0  # while nobody takes anything


class Worker(threading.Thread):
    """Carries all spools and samples, round by round, until stopped.

    Args:
        carrier: does it.
        spools: by path; the agent's other thread may add some.
        samples: what was measured, from the agent's other thread.
        report: takes one line of text for people.
        tail_seconds: how often to look whether files have grown.
    """

    def __init__(
        self, carrier: Carrier, spools: dict[str, Spool], samples: Samples, report: Callable[[str], None],
        tail_seconds: float = _TAIL_SECONDS,
    ) -> None:  # fmt: skip
        super().__init__(name="rota-agent-ship", daemon=True)  # a request that hangs must not keep the agent from stopping
        self._carrier, self._spools, self._samples, self._report = carrier, spools, samples, report
        self._tail_seconds = tail_seconds
        self._stopping, self._awake = threading.Event(), threading.Event()
        self._backoff = Backoff()
        self._trim_at = 0.0
        self._failure = ""  # why the last round failed

    def run(self) -> None:
        """Rounds, each when somebody wakes us or after a moment's wait; while the collector does not take anything, not before
        a longer one.
        """
        while not self._stopping.is_set():
            self._awake.clear()
            wait_seconds = self._round()
            if not self._stopping.is_set():
                (self._stopping if self._backoff.failures else self._awake).wait(wait_seconds)
        if not self._backoff.failures:
            self._round()

    def wake(self) -> None:
        """There is something to carry. Safe from any thread."""
        self._awake.set()

    def stop(self, wait_seconds: float) -> None:
        """Send what is there, but not for longer than this."""
        self._stopping.set()
        self._awake.set()
        self.join(wait_seconds)

    def status(self) -> dict[str, object]:
        """For people: what was delivered and when, what was not, and why not. Read from another thread, at any time."""
        return {
            "delivered_at": self._carrier.delivered_at,
            "delivered_lines": self._carrier.carried,
            "set_aside_lines": self._carrier.set_aside,
            "dropped_samples": self._samples.dropped,
            "failure": self._failure,
        }

    def _round(self) -> float:
        """One round; how long to wait before the next, in seconds."""
        faults: list[str] = []
        try:
            was_busy = sum(self._guarded(faults, self._carrier.round, spool, True) for spool in list(self._spools.values()))
            self._guarded(faults, self._samples.ship)
        except Unavailable as error:
            self._failure = str(error)
            self._report("%s. It stays in the spool" % error)
            self._trim(faults)
            return self._backoff.next_seconds(error.retry_after_seconds)
        if faults:
            self._failure = faults[-1]
            return self._backoff.next_seconds()
        if self._backoff.failures:
            self._report("the collector takes it again")
        self._failure = ""
        self._backoff.reset()
        return 0.0 if was_busy else self._tail_seconds

    def _trim(self, faults: list[str]) -> None:
        if time.monotonic() >= self._trim_at:
            self._trim_at = time.monotonic() + _TRIM_SECONDS
            for spool in list(self._spools.values()):
                self._guarded(faults, self._carrier.trim, spool)

    def _guarded(self, faults: list[str], do: Callable[..., object], *given: object) -> bool:
        """Whether it did something. A fault of ours must neither end shipping for good nor keep us from the other spools."""
        try:
            return bool(do(*given))
        except Unavailable:
            raise
        except Exception as error:
            faults.append("a round failed: %s: %s" % (type(error).__name__, error))
            self._report(faults[-1])
            return False
