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

_TAIL_SECONDS = 0.2
_TRIM_SECONDS = 60.0  # while nobody takes anything


class Worker(threading.Thread):
    """Carries all spools and samples, round by round, until stopped.

    Args:
        carrier: does it.
        spools: by path; the agent's other thread may add some.
        samples: what was measured, from the agent's other thread.
        report: takes one line of text for people.
    """

    def __init__(self, carrier: Carrier, spools: dict[str, Spool], samples: Samples, report: Callable[[str], None]) -> None:
        super().__init__(name="rota-agent-ship", daemon=True)  # a request that hangs must not keep the agent from stopping
        self._carrier, self._spools, self._samples, self._report = carrier, spools, samples, report
        self._stopping = threading.Event()
        self._backoff = Backoff()
        self._trim_at = 0.0
        self._failure = ""  # why the last round failed

    def run(self) -> None:
        """Rounds, each after a moment's wait, or a longer one while the collector does not take anything."""
        while not self._stopping.is_set():
            self._stopping.wait(self._round())
        if not self._backoff.failures:
            self._round()

    def stop(self, wait_seconds: float) -> None:
        """Send what is there, but not for longer than this."""
        self._stopping.set()
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
        try:
            was_busy = sum(self._carrier.round(spool, is_resident=True) for spool in list(self._spools.values()))
            self._samples.ship()
        except Unavailable as error:
            self._failure = str(error)
            self._report("%s. It stays in the spool" % error)
            self._trim()
            return self._backoff.next_seconds(error.retry_after_seconds)
        except Exception as error:  # a fault of ours must not end shipping for good
            self._failure = "a round failed: %s: %s" % (type(error).__name__, error)
            self._report(self._failure)
            return self._backoff.next_seconds()
        if self._backoff.failures:
            self._report("the collector takes it again")
        self._failure = ""
        self._backoff.reset()
        return 0.0 if was_busy else _TAIL_SECONDS

    def _trim(self) -> None:
        if time.monotonic() >= self._trim_at:
            self._trim_at = time.monotonic() + _TRIM_SECONDS
            for spool in list(self._spools.values()):
                self._carrier.trim(spool)
