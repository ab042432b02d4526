"""Capacity of a scope, as a table."""

from __future__ import annotations

import pytest

from rota.rules.lease import Grant, frees_ns, missing, used

NOW = 1_000


@pytest.mark.parametrize(
    ("limit", "taken", "weight", "lacking"),
    [
        (1, 0, 1, 0),  # the first one
        (1, 1, 1, 1),  # the second waits for the first
        (10, 7, 3, 0),  # up to the limit, exactly
        (10, 8, 3, 1),
        (10, 0, 10, 0),
        (2, 0, 5, 3),  # more than there is: never
        (3, 5, 1, 3),  # the limit was lowered below what is taken: it drains first
    ],
)
def test_what_is_missing(limit, taken, weight, lacking):
    """A grant fits when all weights together stay within the limit; otherwise so much is missing."""
    assert missing(limit, taken, weight) == lacking


def test_capacity_is_the_weight_of_unexpired_grants():
    """What expired, at this very moment too, or was released counts no more."""
    grants = [Grant(1, NOW + 1), Grant(2, NOW + 9), Grant(4, NOW), Grant(8, NOW - 1), Grant(16, NOW + 9, released_ns=NOW - 5)]
    assert used(grants, NOW) == 3


def test_the_first_live_grant_to_expire_frees_capacity():
    """Whoever waits looks again then; a scope of which nothing is taken frees nothing."""
    assert frees_ns([Grant(1, NOW + 7), Grant(1, NOW + 3), Grant(1, NOW - 1), Grant(1, NOW + 1, NOW)], NOW) == NOW + 3
    assert frees_ns([Grant(1, NOW)], NOW) is None
