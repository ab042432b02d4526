"""Retries, whatever the policy says and however attempts fail."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rota.rules.retry import Again, Failure, Retry, decide

retries = st.builds(
    Retry,
    attempts=st.integers(1, 1000),
    wait_seconds=st.floats(0, 1e6),
    backoff=st.floats(1, 1000),
    jitter=st.floats(0, 1),
    max_wait_seconds=st.floats(0, 86_400),
    on=st.none(),
    not_on=st.just(()),
    timeout_seconds=st.none() | st.floats(0.001, 1e6),
)
chances = st.floats(0, 1, exclude_max=True)


@given(retries, st.integers(1, 1000), st.floats(0, 1e6), chances)
def test_a_wait_keeps_its_bounds(retry, attempt, elapsed, chance):
    """A wait is never negative, never above max_wait, and never reaches the timeout of all attempts."""
    found = decide(retry, attempt, Failure(1), elapsed, chance)
    if isinstance(found, Again):
        assert found.attempt == attempt + 1 <= retry.attempts
        assert 0 <= found.wait_seconds <= retry.max_wait_seconds
        assert retry.timeout_seconds is None or elapsed + found.wait_seconds < retry.timeout_seconds


@given(retries, st.integers(1, 998), chances)
def test_waits_never_shrink(retry, attempt, chance):
    """With the same luck, a later wait is at least as long as an earlier one."""
    untimed = retry._replace(attempts=1000, timeout_seconds=None)
    first, second = (decide(untimed, number, Failure(1), 0.0, chance) for number in (attempt, attempt + 1))
    assert isinstance(first, Again)
    assert isinstance(second, Again)
    assert first.wait_seconds <= second.wait_seconds


@given(retries, chances)
def test_it_comes_to_an_end(retry, chance):
    """A command that always fails is tried `attempts` times at most, and at least once."""
    attempt, elapsed = 1, 0.0
    while isinstance(found := decide(retry, attempt, Failure(1), elapsed, chance), Again):
        attempt, elapsed = found.attempt, elapsed + found.wait_seconds
    assert 1 <= attempt <= retry.attempts


@given(retries, st.integers(1, 1000), st.sampled_from(["SIGTERM", "SIGINT"]), chances)
def test_what_was_cancelled_stays_so(retry, attempt, name, chance):
    """Without conditions, nobody's TERM or INT is followed by another attempt."""
    assert not isinstance(decide(retry, attempt, Failure(143, name), 0.0, chance), Again)
