"""How often a key may ask: a token bucket for each. Pure; the clock is given."""

from __future__ import annotations

import math
from collections.abc import Callable

BURST_SECONDS = 10.0  # so much of the rate may be used at once


class Rates:
    """Buckets that fill at ``per_second``; None: there is no limit. ``clock``: monotonic seconds. Any thread.

    Two threads may take the same token now and then; nobody is harmed by one request more.
    """

    def __init__(self, per_second: float | None, clock: Callable[[], float]) -> None:
        self.per_second, self._clock = per_second, clock
        self._buckets: dict[str, tuple[float, float]] = {}  # key id → (tokens, when they were counted); as many as there are keys

    def wait_seconds(self, key: str) -> int:
        """0: go ahead; else in how many seconds to ask again."""
        if self.per_second is None:
            return 0
        now, most = self._clock(), max(1.0, self.per_second * BURST_SECONDS)
        tokens, counted_at = self._buckets.get(key, (most, now))
        tokens = min(most, tokens + (now - counted_at) * self.per_second)
        if tokens < 1.0:
            self._buckets[key] = tokens, now
            return max(1, math.ceil((1.0 - tokens) / self.per_second))
        self._buckets[key] = tokens - 1.0, now
        return 0


NO_LIMIT = Rates(None, lambda: 0.0)
