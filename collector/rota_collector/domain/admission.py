"""Who of those who wait is next. Pure.

The line is in the order (higher priority, then who asked first). Who does not fit holds up those behind it: of lower priority for
as long as it waits, of the same priority after a minute, so that a large one costs nobody much and still gets its turn. Only the
scopes that it lacks are held up: what it has room in anyway is free for others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from rota_collector.domain.reach import EVERYTHING, Reach

PASSED_NS = 60 * 10**9  # how long others of its priority may pass one that does not fit

Place = tuple[int, int, str]


class Question(NamedTuple):
    """What a run, or a task of it, asks before it begins. ``slot_ns`` is Unix ns; ``task`` None: the run itself asks.

    ``local``: what its host found of gates that are looked at there, by their place in the policy. ``reach``: the workflows that
    the key is for that it came with.
    """

    workflow: str
    run_id: str
    attempt: int = 1
    task: str | None = None
    host: str | None = None
    slot_ns: int | None = None
    priority: int = 0
    local: Mapping[int, Mapping[str, Any]] = {}
    facts: Mapping[str, Any] = {}
    reach: Reach = EVERYTHING


class Need(NamedTuple):
    """What is taken of a scope when the answer is go: a lease, or a mark, which counts for its time and is nobody's to hold."""

    scope: str
    limit: int
    weight: int
    lasts_ns: int
    is_mark: bool = False


class Claim(NamedTuple):
    """One who waits for room in ``scopes``. ``asked_ns``: when it first asked (Unix ns); ``stuck_ns``: since when it does not fit
    although there is some room; None: that was not seen yet. ``is_coming``: it is between two questions, and nobody may pass it.
    """

    ticket: str
    scopes: tuple[str, ...]
    priority: int
    asked_ns: int
    stuck_ns: int | None = None
    is_coming: bool = False

    @property
    def place(self) -> Place:
        """Where it stands: the smallest is next."""
        return (-self.priority, self.asked_ns, self.ticket)


def admitted(line: Iterable[Claim], lacking: Callable[[Claim], Collection[str]], now_ns: int) -> Iterator[Claim]:
    """Those of a ``line``, in its order, who may go now; their capacity is taken before the next one is asked for.

    ``lacking`` tells which of its scopes one does not fit in.
    """
    lowest: dict[str, int] = {}  # scope → the lowest priority that may take of it although somebody ahead lacks it
    for claim in line:
        lacks = lacking(claim)
        is_held_up = any(claim.priority < lowest.get(scope, claim.priority) for scope in claim.scopes)
        if not lacks and not is_held_up:
            yield claim
        for scope in lacks:
            lowest[scope] = max(lowest.get(scope, 0), _may_pass(claim, now_ns))


def _may_pass(claim: Claim, now_ns: int) -> int:
    """The lowest priority of those who may pass one who does not fit."""
    is_old = claim.stuck_ns is not None and now_ns - claim.stuck_ns >= PASSED_NS
    return claim.priority + 1 if is_old or claim.is_coming else claim.priority
