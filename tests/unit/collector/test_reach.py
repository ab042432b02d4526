"""How far a key reaches, what is shared with it, and how often it may ask."""

from __future__ import annotations

import itertools
import sqlite3
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.rules.policy import PolicyError, validate
from rota.rules.sharing import covers, shares
from rota_collector.clock import ManualClock
from rota_collector.domain.rate import Rates
from rota_collector.domain.reach import EVERYTHING, Reach

NAMES = ["".join(letters) for size in range(5) for letters in itertools.product("ab.", repeat=size)]
PATTERNS = st.text("ab.*?", min_size=1, max_size=5)


@given(PATTERNS, PATTERNS)
def test_a_pattern_that_covers_another_matches_all_that_it_does(wide: str, narrow: str) -> None:
    """Never the other way round: what is shared with some is not shared with all."""
    if covers(wide, narrow):
        assert all(fnmatchcase(name, wide) for name in NAMES if fnmatchcase(name, narrow))


@pytest.mark.parametrize(
    ("wide", "narrow", "does"),
    [
        ("a.*", "a.*", True), ("a.*", "a.b", True), ("a.*", "a.b.*", True), ("*", "a.*", True), ("a.b", "a.*", False),
        ("a?", "a*", False), ("a.*", "*", False), ("*a*", "[a]x", False), ("[a]x", "[a]x", True), ("a?", "ab", True),
    ],
)  # fmt: skip
def test_which_pattern_covers_which(wide: str, narrow: str, does: bool) -> None:
    """As the page on keys says it."""
    assert covers(wide, narrow) is does


@given(PATTERNS, st.sampled_from(NAMES))
def test_the_database_matches_as_we_do(pattern: str, name: str) -> None:
    """A list is narrowed by SQL, a single thing by us: both the same."""
    connection = sqlite3.connect(":memory:")
    (found,) = connection.execute("SELECT ? GLOB ?", (name, pattern)).fetchone()
    connection.close()
    assert bool(found) == Reach((pattern,)).allows(name)


def test_a_reach_is_of_patterns_and_names() -> None:
    """A name is meant letter by letter, whatever stands in it."""
    reach = Reach(("a.*",), ("b[1]",))
    assert [reach.allows(name) for name in ("a.x", "b[1]", "b1", "c")] == [True, True, False, False]
    assert [reach.covers(pattern) for pattern in ("a.x.*", "b[1]", "*", "b*")] == [True, True, False, False]
    assert [reach.touches(pattern) for pattern in ("*", "a.x", "b[[]1]", "c.*")] == [True, True, False, False]
    assert EVERYTHING.is_everything
    assert not reach.is_everything


@pytest.mark.parametrize("act", ["read", "gate", "trigger"])
def test_a_policy_shares_one_act_at_a_time(act: str) -> None:
    """And with keys whose patterns match, one of them at least."""
    policy = validate({"share": {act: "report.*"}})
    assert [shares(policy, each, ["x.*", "report.daily"]) for each in ("read", "gate", "trigger")] == [
        each == act for each in ("read", "gate", "trigger")
    ]
    assert not shares(policy, act, ["*"])
    assert not shares({}, act, ["report.*"])


def test_a_share_that_is_none_is_refused() -> None:
    """It names the nearest key."""
    with pytest.raises(PolicyError, match=r"share\.raed: unknown key.*share\.read"):
        validate({"share": {"raed": ["a.*"]}})


def test_a_bucket_lets_through_what_it_holds_and_fills_again() -> None:
    """Ten seconds' worth at once, then as fast as it fills; each key has its own; it is said when to come again."""
    clock = ManualClock()
    rates = Rates(2.0, clock.monotonic)
    assert [rates.wait_seconds("k") for _ in range(21)] == [0] * 20 + [1]
    assert rates.wait_seconds("other") == 0
    clock.advance(1.0)
    assert [rates.wait_seconds("k") for _ in range(3)] == [0, 0, 1]
    clock.advance(3600.0)
    assert sum(rates.wait_seconds("k") == 0 for _ in range(100)) == 20


def test_a_slow_rate_says_how_slow() -> None:
    """One request in a minute: the wait is what is left of it."""
    clock = ManualClock()
    rates = Rates(1 / 60, clock.monotonic)
    assert [rates.wait_seconds("k") for _ in range(2)] == [0, 60]
    clock.advance(45.0)
    assert rates.wait_seconds("k") == 15


def test_without_a_rate_nothing_is_counted() -> None:
    """The clock is not even looked at."""
    assert Rates(None, lambda: 1 / 0).wait_seconds("k") == 0
