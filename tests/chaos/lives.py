"""Campaigns: one life of a collector after the other, each with a fault in it, and an oracle that looks at what is left."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from chaos import faults
from chaos.faults import KILL, TARGETS, Fault, FaultyCollector
from chaos.kept import Kept
from chaos.oracle import Oracle
from chaos.scenarios import SCENARIOS, Died, Scenario, begin, clear, end

_SETTLE_EVERY = 5  # lives in which something happened: then a life in which nothing does, and the oracle looks
_HOME_LIVES = 25  # in one home
_PART = 50  # faults of a scenario before the next one has its turn


class Campaign:
    """Faults, one a life, in homes in ``folder``. ``struck``: how many happened; ``reopened``: the seconds that starts took."""

    def __init__(self, folder: Path, scenario: Scenario, seed: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._scenario, self._seed = folder, scenario, seed
        self._log = folder / "strace.log"
        self._since: list[Fault] = []
        self._lives = 0
        self.struck = 0
        self.acknowledged = 0
        self.reopened: list[float] = []
        self.problems: list[str] = []
        self._new_home()

    def _new_home(self) -> None:
        self.close()
        clear(self._folder / "home")
        self.collector = FaultyCollector(self._folder / "home", self._folder / "stderr", self._log)
        self._oracle = Oracle(self._seed * 1_000_003 + self._lives)

    def points(self, does: str) -> Iterator[Fault]:
        """Every call that an undisturbed life of the scenario makes, in each part of the collector."""
        for target in TARGETS:
            self._scenario.prepare(self.collector, self._oracle)
            self.collector.listen_in(target, self._scenario.once_ready)
            self._live()
            for call, times in sorted(faults.counted(self._log).items()):
                yield from (Fault(target, call, nth, does) for nth in range(1, times + 1))
            self._settle()

    def strike(self, fault: Fault) -> None:
        """One life with this fault; now and then, and always when homes are fresh, one without, which tells what was lost."""
        self._scenario.prepare(self.collector, self._oracle)
        self.collector.inject(fault, self._scenario.once_ready)
        self._since.append(fault)
        self._live(None if fault.does == KILL else fault)
        self.struck += self.collector.struck()
        if self._scenario.is_fresh or len(self._since) >= _SETTLE_EVERY:
            self.settle()

    def _live(self, recovers: Fault | None = None) -> None:
        self._lives += 1
        with contextlib.suppress(Died):
            self._scenario.play(self.collector, self._oracle)
            if recovers and self.collector.process.poll() is None:
                self.problems += [f"{recovers}, and the same life went on: {each}" for each in self._recovered()]
        end(self.collector)
        self.collector.leave_alone()

    def _recovered(self) -> Sequence[str]:
        """What is wrong although the collector had the time to recover by itself."""
        try:
            self._oracle.settle(self.collector)
        except (httpx.TransportError, AssertionError) as error:
            if self.collector.died():
                return []  # it ended, for its supervisor to start it again: the next life tells
            return [f"it does not recover: {type(error).__name__} {error}; it said: {self.collector.stderr[-1000:]}"]
        problems, self._oracle.problems = self._oracle.problems, []
        return problems

    def settle(self) -> None:
        """A life without faults, in which the oracle looks."""
        faults_before, self._since = self._since, []
        problems = self._settle()
        self.problems += [f"{self._scenario.name}, seed {self._seed}, after {_told(faults_before)}: {each}" for each in problems]
        if problems or self._scenario.is_fresh or self._lives >= _HOME_LIVES:
            if problems:  # for whoever looks into it
                (self._folder / "home").rename(self._folder / f"home.lost-{time.time_ns()}")
            self._lives = 0
            self._new_home()

    def _settle(self) -> Sequence[str]:
        began = time.monotonic()
        try:
            begin(self.collector)
            self.reopened.append(time.monotonic() - began)
            self._oracle.settle(self.collector)
        except (Died, AssertionError) as error:
            said = self.collector.stderr[-1000:]
            return [*self._oracle.problems, f"it does not live any more: {type(error).__name__} {error}; it said: {said}"]
        finally:
            end(self.collector)
        self.acknowledged += self._oracle.counts["acknowledged"]
        self._oracle.counts.clear()
        problems, self._oracle.problems = self._oracle.problems, []
        return problems

    def close(self) -> None:
        """Leave no process behind."""
        if hasattr(self, "collector"):
            self.collector.close()
            self._oracle.close()


def _told(many: Sequence[Fault]) -> str:
    return ", ".join(map(str, many)) or "nothing"


def crusade(folder: Path, does: Sequence[str], wanted: int, kept: Kept, what: str, seed: int) -> Crusade:
    """Have ``wanted`` faults happen, those of earlier parts of the campaign included; how far it is is told and kept.

    Args:
        folder: for homes.
        does: what the faults do.
        wanted: how many.
        kept: keeps it.
        what: they are called.
        seed: of the first part; another one goes on where it was.
    """
    earlier = sum(part["points_struck"] for part in kept.earlier)
    workers = int(os.environ.get("ROTA_WORKERS", "2"))

    def tell(crusade: Crusade) -> None:
        line = f"{what}: {earlier + crusade.struck} of {wanted}, {len(crusade.problems)} problems"
        kept.keep({**crusade.told(), "points_in_all": earlier + crusade.struck, "workers": workers}, line)

    first = max([seed, *(part.get("seeds", {"last": seed})["last"] + 1 for part in kept.earlier)])
    found = Crusade(folder, does, wanted - earlier, workers, tell, first)
    found.run()
    return found


class Crusade:
    """Campaigns of one kind of fault, at every point of every scenario in turns, until enough of them happened."""

    def __init__(
        self, folder: Path, does: Sequence[str], wanted: int, workers: int, tell: Callable[[Crusade], None], seed: int
    ) -> None:
        self._folder, self._does, self._wanted, self._workers, self._tell = folder, does, wanted, workers, tell
        self._lock = threading.Lock()
        self._units = ((seed, scenario) for seed in itertools.count(seed) for scenario in SCENARIOS.values())
        self._seeds = {"first": seed, "last": seed}
        self._began = time.monotonic()
        self.lives = self.struck = self.acknowledged = 0
        self.by_scenario: Counter[str] = Counter()
        self.points: dict[str, int] = {}
        self.reopened: list[float] = []
        self.problems: list[str] = []

    def run(self) -> None:
        """Until ``wanted`` faults happened, each worker in homes of its own."""
        with ThreadPoolExecutor(self._workers) as workers:
            for done in [workers.submit(self._work) for _ in range(self._workers)]:
                done.result()

    def told(self) -> dict[str, Any]:
        """What came of it so far."""
        starts = sorted(self.reopened) or [0.0]
        return {
            "seeds": self._seeds, "points_wanted": self._wanted, "points_struck": self.struck, "lives": self.lives,
            "calls_of_a_life": self.points, "by_scenario": dict(self.by_scenario), "requests_acknowledged": self.acknowledged,
            "seconds": round(time.monotonic() - self._began),
            "starts": len(self.reopened),
            "reopened_seconds": {"median": round(starts[len(starts) // 2], 2), "longest": round(starts[-1], 2)},
            "problems": self.problems,
        }  # fmt: skip

    def _work(self) -> None:
        while self.struck < self._wanted:
            with self._lock:
                seed, scenario = next(self._units)
                self._seeds["last"] = seed
            campaign = Campaign(self._folder / f"{scenario.name}-{seed}", scenario, seed)
            try:
                for fault in self._faults(campaign, scenario, seed):
                    self._strike(campaign, scenario, fault)
                    if self.struck >= self._wanted:
                        break
                campaign.settle()
                self._take(campaign)
            finally:
                campaign.close()

    def _faults(self, campaign: Campaign, scenario: Scenario, seed: int) -> Sequence[Fault]:
        """A part of all, another one for each seed, in an order without order: the lives of a home meet all kinds of faults."""
        found = [point for does in self._does for point in campaign.points(does)]
        found.sort(key=lambda point: hashlib.sha256(str(point).encode()).digest())  # each stays about where it is
        with self._lock:
            self.points[scenario.name] = len(found)
        first = (seed - 1) * _PART % max(1, len(found))
        return found[first : first + _PART]

    def _strike(self, campaign: Campaign, scenario: Scenario, fault: Fault) -> None:
        before = campaign.struck
        campaign.strike(fault)
        with self._lock:
            self.lives += 1
            self.struck += campaign.struck - before
            self.by_scenario[scenario.name] += campaign.struck - before
        self._take(campaign)

    def _take(self, campaign: Campaign) -> None:
        with self._lock:
            self.problems += campaign.problems
            self.reopened += campaign.reopened
            self.acknowledged += campaign.acknowledged
            campaign.problems, campaign.reopened, campaign.acknowledged = [], [], 0
            self._tell(self)
