"""The checker of lease histories: it takes what could have been, and nothing else."""

from __future__ import annotations

import pytest
from chaos.linear import TTL_NS, Grant, Op, stuck_at

S = 10**9
LIMITS = {"pool": 2, "other": 1}


def acquired(called: float, at: float, answered: float, *leases: tuple[str, int], scope: str = "pool", sure: bool = True) -> Op:
    """Who asked is granted (id, token) at that second."""
    grants = tuple(Grant(name, scope, 1, token, round(at * S) + TTL_NS) for name, token in leases)
    return Op("acquire", round(called * S), round(answered * S), grants, is_sure=sure)


def renewed(called: float, at: float, answered: float, lease: str, token: int) -> Op:
    """A lease holds for its whole time from that second on."""
    grant = Grant(lease, "pool", 1, token, round(at * S) + TTL_NS)
    return Op("renew", round(called * S), round(answered * S), (grant,), lease, token)


def said(kind: str, called: float, answered: float, lease: str, token: int, sure: bool = True) -> Op:
    """``release``, or ``refused``: renewed or released with no effect."""
    return Op(kind, round(called * S), round(answered * S), (), lease, token, sure)


A, B, C = ("a", 1), ("b", 2), ("c", 3)
TWO = [acquired(0, 1, 1, A), acquired(0, 1, 1, B)]

GOOD = {
    "nothing": [],
    "as many as there is room for": TWO,
    "one more when one was given back": [*TWO, said("release", 5, 6, *A), acquired(5, 6, 6, C)],
    "given back at the same time, in one order": [acquired(5, 5.5, 6, C), said("release", 5, 6, *A), *TWO],
    "one more when one has expired": [*TWO, acquired(50, 61, 61, C)],
    "refused after it expired": [*TWO, said("refused", 61, 61, *A)],
    "refused while it expires": [*TWO, said("refused", 59, 62, *A)],
    "refused with another token": [*TWO, said("refused", 5, 6, "a", 2)],
    "renewed": [*TWO, renewed(30, 31, 31, *A), said("refused", 62, 62, *B), said("release", 90, 90, *A)],
    "the same again to who asks again": [*TWO, acquired(20, 21, 21, A), said("release", 80, 80, *A)],
    "a lost grant, told later": [acquired(0, 2, 2, A, sure=False), acquired(3, 4, 4, B), acquired(5, 6, 6, A)],
    "a lost grant that never was": [acquired(0, 2, 2, A, sure=False), acquired(3, 4, 4, A), acquired(3, 4, 4, B)],
    "a lost release": [*TWO, said("release", 5, 6, *A, sure=False), acquired(7, 8, 8, C)],
}
BAD = {
    "one too many": [*TWO, acquired(1, 2, 2, C)],
    "one too many just before another expires": [*TWO, acquired(1, 60.9, 61, C)],
    "a token twice": [acquired(0, 1, 1, A), acquired(2, 3, 3, ("b", 1))],
    "a smaller token": [acquired(0, 1, 1, ("a", 5)), acquired(2, 3, 3, ("b", 4))],
    "a stale lease renewed": [*TWO, renewed(61, 62, 62, *A)],
    "a stale lease given back": [*TWO, said("release", 61, 62, *A)],
    "given back twice": [*TWO, said("release", 5, 6, *A), said("release", 7, 8, *A)],
    "another token given back": [*TWO, said("release", 5, 6, "a", 2)],
    "a live lease refused": [*TWO, said("refused", 5, 6, *A)],
    "a renewed lease refused": [*TWO, renewed(30, 31, 31, *A), said("refused", 80, 80, *A)],
    "longer than its time": [acquired(0, 2, 1, A)],
    "again, but over": [*TWO, said("release", 5, 6, *A), acquired(20, 21, 21, A)],
    "given back before it was granted": [said("release", 0, 1, *A), acquired(2, 3, 3, A)],
    "room from a release that was answered later": [*TWO, acquired(2, 3, 3, C), said("release", 4, 5, *A)],
    "room from a lost release that came later": [*TWO, acquired(2, 3, 3, C), said("release", 4, 5, *A, sure=False)],
}


@pytest.mark.parametrize("history", GOOD.values(), ids=list(GOOD))
def test_what_could_have_been_is_taken(history: list[Op]) -> None:
    """There is an order."""
    assert stuck_at(history, LIMITS) is None


@pytest.mark.parametrize("history", BAD.values(), ids=list(BAD))
def test_what_could_not_have_been_is_not(history: list[Op]) -> None:
    """There is none, and an operation is named that has no place in it."""
    assert stuck_at(history, LIMITS) in history


def test_all_of_several_scopes_or_nothing() -> None:
    """Who takes of two scopes counts in both."""
    both = (Grant("x", "pool", 1, 1, S + TTL_NS), Grant("y", "other", 1, 1, S + TTL_NS))
    taken = Op("acquire", 0, S, both)
    assert stuck_at([taken, acquired(1, 2, 2, B)], LIMITS) is None
    assert stuck_at([taken, acquired(1, 2, 2, B, scope="other")], LIMITS) is not None


def test_a_weight_counts() -> None:
    """Two of two are all."""
    heavy = Op("acquire", 0, S, (Grant("x", "pool", 2, 1, S + TTL_NS),))
    assert stuck_at([heavy, acquired(1, 2, 2, B)], LIMITS) is not None
