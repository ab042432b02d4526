"""Times of other systems."""

from __future__ import annotations

from datetime import datetime


def ns(moment: datetime) -> int:
    """Unix time, to the microsecond."""
    return round(moment.timestamp() * 1e6) * 1000
