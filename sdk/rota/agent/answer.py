"""What can become of a request, whichever way it went."""

from __future__ import annotations

import enum

from rota.errors import CollectorError


class Answer(enum.Enum):
    """What the server made of a request that it read."""

    ACCEPTED = 1
    REFUSED = 2  # for its content: sending the same again is pointless


class Unavailable(CollectorError):
    """Not delivered now; ``retry_after_seconds`` is what the server asked for (0: nothing)."""

    def __init__(self, text: str, retry_after_seconds: float = 0.0) -> None:
        super().__init__(text)
        self.retry_after_seconds = retry_after_seconds


class NotRota(Unavailable):
    """The server answered, and not as a rota collector."""
