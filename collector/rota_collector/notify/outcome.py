"""What became of a message that was to be sent."""

from __future__ import annotations

from typing import NamedTuple

SENT, LATER, NEVER, INTERRUPTED = "sent", "later", "never", "interrupted"
_TRY_AGAIN_STATUSES = (408, 425, 429)


class Outcome(NamedTuple):
    """What became of it, and why, in words that hold no secrets."""

    kind: str  # sent; later: try again; never: trying again is of no use; interrupted: it was another one's fault
    said: str = ""
    retry_after: float | None = None  # seconds, when the receiver named them


def of_status(status: int, said: str, retry_after: float | None = None) -> Outcome:
    """What an HTTP status means for the message."""
    if 200 <= status < 300:
        return Outcome(SENT, said)
    is_final = 400 <= status < 500 and status not in _TRY_AGAIN_STATUSES
    return Outcome(NEVER if is_final else LATER, said, retry_after)
