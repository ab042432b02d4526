"""Time for what is held and waited for. A wall clock may be set, by seconds or by years: no lease must end or last for that.

Leases are kept with wall times, as people and a collector started anew read them. While one runs, the time that counts goes on
with the clock that nobody sets; when the wall clock is found to have been set, all that is held and waited for is moved along.
"""

from __future__ import annotations

from sqlalchemy import Connection

from rota_collector.clock import Clock
from rota_collector.store import anchor

STEP_NS = 10**9  # less is not worth a transaction: it is a sixth of what a holder stops earlier than it must


class SteadyClock:
    """The wall clock, without the steps that nobody has followed yet; also those of the time in which no collector ran, unless
    the machine was started anew. ``connection``: a transaction in which what is known of that is written.
    """

    def __init__(self, clock: Clock, connection: Connection) -> None:
        self._clock, self._boot = clock, clock.boot()
        known_ns = anchor.ahead_ns(connection, self._boot) if self._boot is not None else None
        self._ahead_ns = self._now_ahead_ns() if known_ns is None else known_ns
        self.keep(connection, 0)

    def now_ns(self) -> int:
        """Unix time in nanoseconds. It goes back only by ``follow``."""
        return self._ahead_ns + round(self._clock.monotonic() * 1e9)

    def step_ns(self) -> int:
        """How far the wall clock was set; 0: not so far that it counts."""
        step_ns = self._now_ahead_ns() - self._ahead_ns
        return step_ns if abs(step_ns) >= STEP_NS else 0

    def keep(self, connection: Connection, step_ns: int) -> None:
        """All times that are kept are being moved by that much."""
        if self._boot is not None:
            anchor.keep(connection, self._boot, self._ahead_ns + step_ns)

    def follow(self, step_ns: int) -> None:
        """They were."""
        self._ahead_ns += step_ns

    def _now_ahead_ns(self) -> int:
        return self._clock.now_ns() - round(self._clock.monotonic() * 1e9)
