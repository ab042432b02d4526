"""A year of many workflows with injected troubles, each with its true cause: what ``advise`` says is checked against it.

Services have outages, some for minutes, some for hours; code has bugs until somebody mends them; inputs are bad for a day; runs
fail by chance; some cannot stand a second one beside them; some need another workflow; some have no input on some days. Messages
are what such failures say; many say the same, and a quarter of the workflows say nothing but `exit 1`, whatever happened.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from rota_collector.domain.advise import Advice, advise, horizon_ns
from rota_collector.domain.fleet import Fleet, Past, key_of

SECOND, MINUTE, HOUR, DAY = 10**9, 60 * 10**9, 3600 * 10**9, 86_400 * 10**9
BEGIN = 1_767_571_200 * SECOND  # Monday, 5 January 2026, 00:00 UTC
_BUGS = ("KeyError", "TypeError", "AttributeError", "IndexError")


class Trouble(NamedTuple):
    """Why a run failed; ``until_ns``: when a new attempt would have been well again, None: never on that day."""

    cause: str  # flake, outage, bug, data, overlap, upstream, closed
    until_ns: int | None


class Workflow(NamedTuple):
    """One of the fleet, with what may go wrong with it."""

    name: str
    every_ns: int
    offset_ns: int
    seconds: float
    service: str
    flake: float
    cannot_overlap: bool
    slow: float  # how often a run takes so long that the next one begins beside it
    upstream: str | None
    closed_on: tuple[int, ...]  # days of the week
    bugs: list[tuple[int, int]]
    bad_days: frozenset[int]
    is_mute: bool

    @property
    def policy(self) -> dict[str, Any]:
        """What it says of itself: what it needs is known, the rest is not."""
        return {"expect": {"upstream": [self.upstream]}} if self.upstream else {}


class Year(NamedTuple):
    """All that ran, and the truth about what failed."""

    workflows: dict[str, Workflow]
    past: list[Past]
    truth: dict[str, Trouble]


def simulate(seed: int, count: int = 500, days: int = 364) -> Year:
    """The same for the same seed."""
    chance = random.Random(seed)
    services = {f"db-{number}": list(_outages(chance, days)) for number in range(max(3, count // 25))}
    workflows = _fleet(chance, count, days, list(services))
    year = Year({each.name: each for each in workflows}, [], {})
    ended: dict[str, list[tuple[int, bool]]] = {}
    for each in sorted(workflows, key=lambda each: each.upstream is not None):
        ended[each.name] = list(_run_all(each, chance, days, services, ended, year))
    return year


def _outages(chance: random.Random, days: int) -> Iterator[tuple[int, int]]:
    """(from, until) of a service: about two a month, half of them shorter than four minutes, some of hours."""
    at = BEGIN
    while at < BEGIN + days * DAY:
        at += round(chance.expovariate(1 / 14) * DAY)
        length = round(chance.lognormvariate(0, 1.6) * 4 * MINUTE)
        yield at, at + length


def _fleet(chance: random.Random, count: int, days: int, services: list[str]) -> list[Workflow]:
    made: list[Workflow] = []
    for number in range(count):
        every = chance.choices((DAY, 4 * HOUR, HOUR), (70, 24, 6))[0]
        needed = [each.name for each in made if each.every_ns == DAY and each.upstream is None]
        is_daily = every == DAY
        made.append(
            Workflow(
                name=f"w{number:03}", every_ns=every, offset_ns=chance.randrange(every // 3), seconds=chance.lognormvariate(4, 1),
                service=chance.choice(services), flake=chance.choice((0.0, 0.002, 0.01, 0.03)),
                cannot_overlap=chance.random() < 0.15, slow=chance.choice((0.0, 0.0, 0.02, 0.05)),
                upstream=chance.choice(needed) if is_daily and needed and chance.random() < 0.3 else None,
                closed_on=chance.choice(((5, 6), (6,))) if is_daily and chance.random() < 0.06 else (),
                bugs=[(at, at + round(chance.uniform(0.2, 5) * DAY)) for at in _some(chance, 1.2, days)],
                bad_days=frozenset(at // DAY for at in _some(chance, 2.5, days)), is_mute=chance.random() < 0.25,
            )
        )  # fmt: skip
    return made


def _some(chance: random.Random, mean: float, days: int) -> list[int]:
    """Moments of the year, that many on average."""
    many = chance.choices(range(6), [mean**n / (1, 1, 2, 6, 24, 120)[n] for n in range(6)])[0]
    return [BEGIN + chance.randrange(days * DAY) for _ in range(many)]


def _run_all(
    one: Workflow, chance: random.Random, days: int, services: dict[str, list[tuple[int, int]]],
    ended: dict[str, list[tuple[int, bool]]], year: Year,
) -> Iterator[tuple[int, bool]]:  # fmt: skip
    """Its runs; (end, whether it was well) of each."""
    busy_until = 0
    for number in range(days * DAY // one.every_ns):
        start = BEGIN + one.offset_ns + number * one.every_ns + chance.randrange(30) * SECOND
        length = round(one.seconds * chance.uniform(0.8, 1.3) * SECOND)
        if chance.random() < one.slow:
            length = round(one.every_ns * chance.uniform(1.02, 1.3))
        trouble = _trouble(one, chance, start, busy_until, services, ended.get(one.upstream or "", []))
        busy_until = max(busy_until, start + length if trouble is None else 0)
        end = start + (length if trouble is None else min(length, chance.randrange(1, 40) * SECOND))
        run_id = f"{one.name}-{number}"
        failure = message = None
        if trouble is not None:
            year.truth[run_id] = trouble
            kind, message = _words(one, chance, trouble.cause)
            failure = key_of("failed", kind, message, 1)
        year.past.append(Past(run_id, one.name, start, end, failure, message or ""))
        yield end, trouble is None


def _trouble(
    one: Workflow, chance: random.Random, at: int, busy_until: int, services: dict[str, list[tuple[int, int]]],
    upstream: list[tuple[int, bool]],
) -> Trouble | None:  # fmt: skip
    outages = services[one.service]
    place = bisect_right(outages, (at, 1 << 62)) - 1
    if one.closed_on and (at // DAY + 3) % 7 in one.closed_on:
        return Trouble("closed", None)
    if one.upstream and not _was_well(upstream, at):
        return Trouble("upstream", next((end for end, well in upstream if end > at and well), None))
    if place >= 0 and at < outages[place][1]:
        return Trouble("outage", outages[place][1])
    if bug := next((bug for bug in one.bugs if bug[0] <= at < bug[1]), None):
        return Trouble("bug", bug[1])
    if at // DAY in one.bad_days:
        return Trouble("data", (at // DAY + 1) * DAY)
    if one.cannot_overlap and at < busy_until:
        return Trouble("overlap", busy_until)
    return Trouble("flake", at) if chance.random() < one.flake else None


def _was_well(upstream: list[tuple[int, bool]], at: int) -> bool:
    place = bisect_right(upstream, (at, True)) - 1
    return place >= 0 and upstream[place][1] and at - upstream[place][0] < DAY + HOUR


def _words(one: Workflow, chance: random.Random, cause: str) -> tuple[str | None, str | None]:
    if one.is_mute:
        return None, None
    number = chance.randrange(10_000)
    return {
        "flake": ("ReadTimeout", f"read timed out after {number} ms"),
        "outage": ("ConnectionError", f"connect to {one.service.replace('-', '_')}.internal failed: timed out after {number} ms"),
        "bug": (_BUGS[len(one.name) * int(one.name[1:]) % 4], f"'field_{number}'"),
        "data": ("ValueError", f"bad row {number} in /data/{one.name}.csv"),
        "overlap": ("OperationalError", "database is locked"),
        "upstream": ("FileNotFoundError", f"/data/{one.upstream}/{number}.parquet"),
        "closed": ("HTTPError", f"404 no feed for day {number}"),
    }[cause]


# -- what was advised, and what is true ------------------------------------------------------------------------------------


class Score(NamedTuple):
    """Failures that advice says it would have saved, by kind of advice."""

    right: Counter[str]
    wrong: Counter[str]
    missed: Counter[str]

    @property
    def precision(self) -> float:
        """The share of what was said that is true."""
        return self.right.total() / max(1, self.right.total() + self.wrong.total())

    @property
    def recall(self) -> float:
        """The share of what is true that was said."""
        return self.right.total() / max(1, self.right.total() + self.missed.total())


def score(year: Year, since_ns: int) -> Score:
    """Every piece of advice for every workflow against the truth, for failures from then on."""
    fleet, found = Fleet(year.past), Score(Counter(), Counter(), Counter())
    for name, one in year.workflows.items():
        given = {advice.kind: advice for advice in advise(name, fleet, one.policy)}
        failed = [run for run in fleet.of(name) if run.failure is not None and run.started_ns >= since_ns]
        for kind, true in _truth(year, fleet, name, given).items():
            said = set(given[kind].saved) if kind in given else set()
            for run in failed:
                is_said, is_true = run.run_id in said, run.run_id in true
                if is_said or is_true:
                    (found.right if is_said and is_true else found.wrong if is_said else found.missed)[kind] += 1
    return found


def _truth(year: Year, fleet: Fleet, name: str, given: dict[str, Advice]) -> dict[str, set[str]]:
    """By kind of advice, the runs of a workflow that it would really have saved."""
    terms: dict[str, Any] = given["retry"].policy["retry"] if "retry" in given else {"attempts": 3, "wait": "60s", "backoff": 2}
    patience = horizon_ns(terms["attempts"], float(terms["wait"][:-1]), terms.get("backoff", 1))
    true: dict[str, set[str]] = {kind: set() for kind in ("retry", "concurrency", "upstream", "window", "breaker")}
    row, before = 0, None
    for run in fleet.of(name):
        trouble = year.truth.get(run.run_id)
        row = row + 1 if trouble and trouble.cause == before else 1
        before = trouble.cause if trouble else None
        if trouble is None:
            continue
        is_lasting = trouble.until_ns is None or trouble.until_ns // DAY > run.started_ns // DAY
        its = {
            "retry": trouble.until_ns is not None and trouble.until_ns <= run.ended_ns + patience,
            "concurrency": trouble.cause == "overlap",
            "upstream": trouble.cause == "upstream",
            # what waits for a workflow that is closed on some days fails on those days, too
            "window": trouble.cause == "closed" or (trouble.cause == "upstream" and is_lasting and "window" in given),
            "breaker": row > 3,
        }
        for kind, is_true in its.items():
            if is_true:
                true[kind].add(run.run_id)
    return true
