"""Retry budgets, whoever asks and whenever: there are never more retries than the budget has."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rota.rules.budget import Budget, Counted, allowed, granted, strictest

budgets = st.builds(Budget, st.just("api"), st.floats(0, 100), st.integers(0, 1000), st.floats(1, 1e6))
asked = st.lists(
    st.tuples(st.floats(0, 100), st.integers(0, 50), st.integers(1, 40)), max_size=60
)  # seconds after, firsts, wanted


@given(budgets, asked)
def test_never_more_than_the_budget(budget, questions):
    """At every moment, what was granted within the budget's time is at most what it allows beside the first attempts of it."""
    now, history = 0.0, list[tuple[float, int, int]]()
    for after, firsts, wanted in questions:
        now += after
        kept = [each for each in history if each[0] > now - budget.within_seconds]
        counted = Counted(firsts + sum(each[1] for each in kept), sum(each[2] for each in kept))
        found = granted(budget, counted, wanted)
        assert 0 <= found <= wanted
        assert found == 0 or counted.retries + found <= allowed(budget, counted.firsts)
        history.append((now, firsts, found))


@given(budgets, st.integers(0, 10_000), st.integers(0, 10_000), st.integers(1, 40))
def test_what_is_left_is_given(budget, firsts, retries, wanted):
    """Somebody is refused only when nothing is left."""
    assert (granted(budget, Counted(firsts, retries), wanted) == 0) == (retries >= allowed(budget, firsts))


@given(st.lists(budgets, min_size=1, max_size=5), st.integers(0, 10_000))
def test_the_strictest_allows_no_more_than_any(several, firsts):
    """Where several policies name a budget, none of them is given more than its own says."""
    assert allowed(strictest(several), firsts) <= min(allowed(each, firsts) for each in several)
