"""What the answer of an OTLP backend means for what was sent to it. Pure.

The rules are those of the OTLP specification ("Failures", "Throttling"), which the official exporters follow, with one
exception: 401, 403, 404 and redirects speak of how the target is set up and not of what was sent: nothing is given up for them.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from enum import Enum
from http import HTTPStatus
from typing import NamedTuple

NO_ANSWER = 0  # as a status: no connection, or it broke
_AGAIN = (
    NO_ANSWER,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)
_SET_UP_WRONGLY = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED)
_FIRST_SECONDS, _LONGEST_SECONDS = 1.0, 60.0
_LONGEST_ASKED_SECONDS = 600.0  # what a Retry-After may ask for


class Answer(NamedTuple):
    """What came back. ``status`` is ``NO_ANSWER`` without one; ``rejected`` items of a request that was taken."""

    status: int
    message: str = ""
    retry_after: str = ""
    rejected: int = 0


class Verdict(Enum):
    """What to do now."""

    TAKEN = "go on"
    REFUSED = "sending the same again does not help"
    LATER = "send the same again"


def verdict(status: int) -> Verdict:
    """What an HTTP status says of the request."""
    if 200 <= status < 300:
        return Verdict.TAKEN
    if status in _AGAIN or status in _SET_UP_WRONGLY or 300 <= status < 400:
        return Verdict.LATER
    return Verdict.REFUSED


def wait_seconds(tries: int, retry_after: str, now_ns: int, jitter: float) -> float:
    """How long to wait after ``tries`` failures in a row (from 1). ``jitter``: 0–1, of which half of the wait is made."""
    asked = _asked_seconds(retry_after, now_ns)
    if asked is not None:
        return min(asked, _LONGEST_ASKED_SECONDS)
    longest = min(_FIRST_SECONDS * 2.0 ** min(tries - 1, 10), _LONGEST_SECONDS)
    return longest * (0.5 + 0.5 * jitter)


def _asked_seconds(retry_after: str, now_ns: int) -> float | None:
    """Retry-After: seconds, or a date."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - now_ns / 1e9)
    except (ValueError, TypeError, OverflowError):
        return None
