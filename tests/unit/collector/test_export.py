"""What an answer of an OTLP backend means."""

from __future__ import annotations

import pytest

from rota_collector.clock import ManualClock
from rota_collector.domain.export import NO_ANSWER, Verdict, verdict, wait_seconds

NOW = ManualClock().now_ns()  # 2023-11-14T22:13:20Z


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((200, 202), Verdict.TAKEN),
        ((NO_ANSWER, 429, 502, 503, 504), Verdict.LATER),
        ((301, 307, 401, 403, 404, 407), Verdict.LATER),
        ((400, 405, 408, 413, 415, 422, 500, 501), Verdict.REFUSED),
    ],
)
def test_the_status_decides(statuses: tuple[int, ...], expected: Verdict) -> None:
    """OTLP's retryable codes are retried, as is what speaks of the target's set-up; all else is not sent again."""
    assert {verdict(status) for status in statuses} == {expected}


def test_waits_grow_and_end_at_a_minute() -> None:
    """Without a Retry-After waits double from a second to a minute, half of it by chance."""
    assert [wait_seconds(tries, "", NOW, 1.0) for tries in (1, 2, 3, 7, 100)] == [1, 2, 4, 60, 60]
    assert wait_seconds(3, "", NOW, 0.0) == 2


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0),
        ("99999999999999999999", 600),
        ("soon", 1),
        ("-3", 1),
    ],
)
def test_retry_after_is_obeyed(asked: str, seconds: float) -> None:
    """Retry-After is seconds or a date, ten minutes at most; what is neither counts as none."""
    assert wait_seconds(1, asked, NOW, 1.0) == pytest.approx(seconds)
