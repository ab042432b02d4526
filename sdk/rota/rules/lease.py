"""Capacity: what a scope has left, from the grants that were given of it and a time. Pure.

A lease is a grant that expires. Nobody has to give it back, so a holder that died frees its part by itself. What is judged here
is the store's word, by the store's clock; a holder stops earlier by its own, so that the two never differ to its favour.
"""

from __future__ import annotations

from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable

TTL_SECONDS = 60.0  # how long a grant holds unless it is renewed


class Grant(NamedTuple):
    """What was given of a scope. Times are Unix ns by the store's clock; ``released_ns`` None: not given back."""

    weight: int
    expires_ns: int
    released_ns: int | None = None

    def is_live(self, now_ns: int) -> bool:
        """Whether it counts at this time. At the moment at which it expires it does no more."""
        return self.released_ns is None and now_ns < self.expires_ns


def used(grants: Iterable[Grant], now_ns: int) -> int:
    """How much of the scope is taken."""
    return sum(grant.weight for grant in grants if grant.is_live(now_ns))


def missing(limit: int, taken: int, weight: int = 1) -> int:
    """How much is missing for one more of this weight; 0: it is granted. A weight above the limit never fits."""
    return max(0, taken + weight - limit)


def frees_ns(grants: Iterable[Grant], now_ns: int) -> int | None:
    """When the first of the live grants expires (Unix ns), unless it is renewed; None: nothing is taken."""
    return min((grant.expires_ns for grant in grants if grant.is_live(now_ns)), default=None)
