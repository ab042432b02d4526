"""How long to wait after a failure: longer each time, never in step with other hosts."""

from __future__ import annotations

import random

_FIRST_SECONDS, _LONGEST_SECONDS, _LONGEST_ASKED_SECONDS = 0.5, 30.0, 300.0


class Backoff:
    """Counts failures in a row."""

    def __init__(self) -> None:
        self.failures = 0

    def reset(self) -> None:
        """It worked."""
        self.failures = 0

    def next_seconds(self, asked_seconds: float = 0.0) -> float:
        """The wait after one more failure, with ±50 % of jitter on our own. What the server asked for is the least, up to a
        limit, and a quarter more at most: all that it turned away must not come back together.
        """
        self.failures += 1
        own = min(_LONGEST_SECONDS, _FIRST_SECONDS * 2.0 ** min(self.failures - 1, 16))
        asked = min(asked_seconds, _LONGEST_ASKED_SECONDS)
        return max(own * random.uniform(0.5, 1.5), asked * random.uniform(1.0, 1.25))
