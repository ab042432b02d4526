"""Fifty clients and a collector's waiting room, in worlds where messages are late, lost and repeated, clients stand still or die,
the collector is killed between its commit and its answer, and clocks are wrong or set.

Every history is linearizable; never do more believe that they hold something than there is of it; and nothing stays taken. A
seeded sample in `make test` (`ROTA_SEED` chooses another), `ROTA_HISTORIES` (10,000) of them in `make soak`.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chaos.doors import Grounds
from chaos.kept import Kept
from chaos.lease_campaign import CLIENTS, grounds, play

from rota.control import hold
from rota_collector.store import leases
from rota_collector.store.leases import Ledger
from rota_collector.watch import desk, steady

SEED = int(os.environ.get("ROTA_SEED", "1"))
SAMPLE, MOST = 8, 60
IN_MEMORY = Path("/dev/shm")


@pytest.fixture(scope="module")
def stage() -> Iterator[Grounds]:
    """Stores for many histories, on a file system in memory where there is one."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.exists() else None) as folder:
        made = grounds(Path(folder))
        yield made
        made.close()


def test_some_histories_are_linearizable(stage: Grounds) -> None:
    """And in all of them together everything happened that is to be withstood."""
    played = [play(stage, SEED * 1000 + number) for number in range(SAMPLE)]
    assert [problem for each in played for problem in each.problems] == []
    counts = sum((each.counts for each in played), Counter[str]())
    happened = ("acquire", "renew", "release", "refused", "kills of the collector", "steps of its clock")
    assert all(counts[what] for what in happened), counts


@pytest.mark.soak
def test_ten_thousand_histories_are_linearizable(stage: Grounds, pytestconfig: pytest.Config) -> None:
    """Likewise."""
    kept, wanted = Kept("leases", pytestconfig), int(os.environ.get("ROTA_HISTORIES", "10000"))
    counts, problems, began = Counter[str](), list[str](), time.monotonic()
    for number in range(1, wanted + 1):
        played = play(stage, SEED * 1_000_000 + number)
        counts += played.counts
        problems += played.problems
        if number % 100 == 0 or number == wanted:
            told = {"histories": number, "clients": CLIENTS, "seconds": round(time.monotonic() - began), "counts": dict(counts)}
            kept.keep({**told, "problems": problems[:100]}, f"leases: {number} histories, {len(problems)} problems")
    assert problems == []


def _without(query: str, condition: str) -> str:
    """The same parameters, one of which does not count any more."""
    assert query.count(condition) == 1
    return query.replace(condition, "? IS NOT NULL")


def _too_early(patch: pytest.MonkeyPatch) -> None:
    """Leases are counted for half of their time."""
    patch.setattr(leases, "_live", leases._live.replace("expires_ns > ?", "expires_ns - 30000000000 > ?"))


def _token_twice(patch: pytest.MonkeyPatch) -> None:
    """Each token is handed out again."""
    grant = Ledger._grant

    def twice(ledger, ticket, question, need):
        made = grant(ledger, ticket, question, need)
        ledger._scope(need.scope).token -= made.token % 2
        return made

    patch.setattr(Ledger, "_grant", twice)


def _one_too_many(patch: pytest.MonkeyPatch) -> None:
    """What a turn grants itself is forgotten in it."""
    patch.setattr(
        Ledger, "used", lambda ledger, scope: leases.read(ledger._connection, leases._live, (scope, ledger.now_ns))[0][0]
    )


def _answers_first(patch: pytest.MonkeyPatch) -> None:
    """Who asks is told before it is on disk."""

    def give(self, ask, permission):
        if desk._is_wanted(ask.answer):
            ask.answer.set_result(permission)

    patch.setattr(desk.Desk, "_give", give)


def _follows_the_wall(patch: pytest.MonkeyPatch) -> None:
    """A clock that is set ends leases, or lets them last."""
    patch.setattr(steady.SteadyClock, "step_ns", lambda _: 0)
    patch.setattr(steady.SteadyClock, "now_ns", lambda clock: clock._clock.now_ns())


BROKEN: dict[str, Callable[[pytest.MonkeyPatch], object]] = {
    "leases counted too short": _too_early,
    "a token twice": _token_twice,
    "one too many": _one_too_many,
    "a stale lease renewed": lambda patch: patch.setattr(leases, "_renew", _without(leases._renew, "expires_ns > ?")),
    "a stale lease released": lambda patch: patch.setattr(leases, "_release", _without(leases._release, "expires_ns > ?")),
    "any token renews": lambda patch: patch.setattr(leases, "_renew", _without(leases._renew, "token = ?")),
    "any token releases": lambda patch: patch.setattr(leases, "_release", _without(leases._release, "token = ?")),
    "told before it is on disk": _answers_first,
    "the wall clock counts": _follows_the_wall,
    "believed too long": lambda patch: patch.setattr(hold, "_MARGIN", 1.3),
}


SELDOM = "any token renews"  # found out only after many histories


@pytest.mark.parametrize(
    "breaks",
    [pytest.param(way, id=name, marks=[pytest.mark.soak] if name == SELDOM else []) for name, way in BROKEN.items()],
)
def test_a_broken_collector_is_found_out(stage: Grounds, monkeypatch: pytest.MonkeyPatch, breaks: Callable[..., object]) -> None:
    """The campaign can fail: each of these mistakes is seen within a few histories."""
    breaks(monkeypatch)
    assert any(play(stage, seed).problems for seed in range(MOST))
