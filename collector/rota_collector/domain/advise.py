"""What another policy would have saved a workflow, told from its history with the runs that it tells it of. Pure.

Each piece of advice names failures that would not have been, and the smallest piece of a policy that it takes. Nothing is
advised on fewer than ``FEWEST`` of them, and what nothing tells is not counted.
"""

from __future__ import annotations

import datetime
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from rota_collector.domain.fleet import Fleet, Past, seconds

FEWEST = 3
_SHARE = 0.85  # of the failures of one kind that must fit an explanation
_RARE = 0.1  # how seldom a run may fail where the explanation does not hold
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_BREAKER_FAILURES = 3
_MOST_OPEN = 20  # runs of one workflow that go on at once
# (attempts, seconds before the second, factor): the first that saves nearly as much as the most patient one is advised
_PATIENCE = ((2, 60, 1), (3, 60, 2), (4, 120, 2), (5, 240, 2))
_ENOUGH = 0.9


class Advice(NamedTuple):
    """``policy``: what to add; ``saved``: runs that would not have failed, or not have been in vain; ``of``: all that failed."""

    level: str
    kind: str
    policy: dict[str, Any]
    saved: tuple[str, ...]
    of: int
    reason: str


def advise(workflow: str, fleet: Fleet, policy: Mapping[str, Any]) -> list[Advice]:
    """Advice for a workflow, that which saves most first. ``policy``: the one in force, which says what it has already."""
    runs = fleet.of(workflow)
    failed = [run for run in runs if run.failure is not None]
    found = [advice for look in _LOOKS for advice in look(runs, failed, fleet, policy)]
    return sorted(found, key=lambda advice: -len(advice.saved))


def upstreams(policy: Mapping[str, Any]) -> set[str]:
    """The workflows whose past advice for a policy rests on."""
    found = _needed(policy)
    for gate in policy.get("gates") or ():
        found |= {*([gate["workflow"]] if gate.get("workflow") else gate.get("all_of") or ())}
    return found


def _needed(policy: Mapping[str, Any]) -> set[str]:
    """The workflows that it says it needs, or comes after."""
    after = ((policy.get("schedule") or {}).get("after") or {}).get("workflow")
    return {*((policy.get("expect") or {}).get("upstream") or ()), *([after] if after else ())}


# -- retry -------------------------------------------------------------------------------------------------------------------


def _retry(runs: Sequence[Past], failed: Sequence[Past], fleet: Fleet, policy: Mapping[str, Any]) -> Iterator[Advice]:
    """Failures whose cause had passed before the last attempt would have begun."""
    if policy.get("retry") or not runs:
        return
    explained = {run_id for look in (_upstream, _concurrency, _window) for advice in look(runs, failed, fleet, policy)
                 for run_id in advice.saved}  # fmt: skip
    open_ones = [run for run in failed if run.run_id not in explained]
    by_patience = [(patience, [run for run in open_ones if fleet.passed(run, horizon_ns(*patience))]) for patience in _PATIENCE]
    most = max(len(saved) for _, saved in by_patience)
    if most < FEWEST:
        return
    (attempts, wait, backoff), saved = next(each for each in by_patience if len(each[1]) >= _ENOUGH * most)
    terms = {"attempts": attempts, "wait": f"{wait}s", **({"backoff": backoff} if backoff != 1 else {})}
    reason = (
        f"retry {attempts - 1}×{wait} s would have saved {len(saved)} of {len(failed)} failures: their cause passed by itself"
    )
    yield Advice("retry", "retry", {"retry": terms}, _ids(saved), len(failed), reason)


def horizon_ns(attempts: int, wait_seconds: float, backoff: float) -> int:
    """When the last attempt begins, counted from the end of the first, where attempts fail at once."""
    return seconds(sum(wait_seconds * backoff**n for n in range(attempts - 1)))


# -- gates -------------------------------------------------------------------------------------------------------------------


def _concurrency(runs: Sequence[Past], failed: Sequence[Past], _fleet: Fleet, policy: Mapping[str, Any]) -> Iterator[Advice]:
    """Failures of runs that began while another one was going on, of a kind that is rare among those that did not."""
    if _has_gate(policy, "concurrency"):
        return
    overlapping, latest_end = set(), 0
    for run in runs:
        if run.started_ns < latest_end:
            overlapping.add(run.run_id)
        latest_end = max(latest_end, run.ended_ns)
    saved = _fitting(runs, failed, overlapping)
    if len(saved) >= FEWEST:
        reason = (
            f"{len(saved)} of {len(failed)} failures were of runs that began while another was going on; alone they rarely fail"
        )
        gate = {"kind": "concurrency", "limit": 1}
        yield Advice("gate", "concurrency", {"gates": [gate]}, _ids(saved), len(failed), reason)


def _upstream(runs: Sequence[Past], failed: Sequence[Past], fleet: Fleet, policy: Mapping[str, Any]) -> Iterator[Advice]:
    """Failures of runs that began although what they are said to need had failed, or had not come."""
    for upstream in sorted(_needed(policy)):
        theirs = fleet.of(upstream)
        if not theirs or _has_gate(policy, "upstream"):
            continue
        usual_ns = _usual_gap(theirs)
        saved = _fitting(runs, failed, {run.run_id for run in runs if not _is_fresh(theirs, run, usual_ns)})
        if len(saved) >= FEWEST:
            gate = {"kind": "upstream", "workflow": upstream, "fresh_within": f"{max(1, round(usual_ns / seconds(3600)))}h"}
            reason = f"{len(saved)} of {len(failed)} failures came when {upstream} had not succeeded before"
            yield Advice("gate", "upstream", {"gates": [gate]}, _ids(saved), len(failed), reason)


def _usual_gap(runs: Sequence[Past]) -> int:
    """A little more than the time between two starts, in ns."""
    gaps = sorted(after.started_ns - before.started_ns for before, after in pairwise(runs))
    return round(1.02 * gaps[len(gaps) // 2]) if gaps else seconds(86_400)


def _is_fresh(upstream: Sequence[Past], run: Past, within_ns: int) -> bool:
    """Whether the last run of ``upstream`` that had ended by then succeeded, lately enough."""
    begun = bisect_right(upstream, run.started_ns, key=lambda each: each.started_ns)
    last = next(
        (each for each in reversed(upstream[max(0, begun - _MOST_OPEN) : begun]) if each.ended_ns <= run.started_ns), None
    )
    return last is not None and last.failure is None and run.started_ns - last.ended_ns <= within_ns


def _window(runs: Sequence[Past], failed: Sequence[Past], _fleet: Fleet, policy: Mapping[str, Any]) -> Iterator[Advice]:
    """Failures on days of the week on which it nearly always fails, and hardly ever on others."""
    if _has_gate(policy, "window"):
        return
    zone = _zone((policy.get("schedule") or {}).get("tz"))
    by_day: dict[int, list[Past]] = defaultdict(list)
    for run in runs:
        by_day[_weekday(run, zone)].append(run)
    bad = {day for day, its in by_day.items() if len(its) >= FEWEST and _rate(its) >= _SHARE}
    others = [run for day, its in by_day.items() if day not in bad for run in its]
    if not bad or len(bad) > 3 or not others or _rate(others) > _RARE:
        return
    saved = [run for run in failed if _weekday(run, zone) in bad]
    days = ",".join(_DAYS[day] for day in sorted(bad))
    gate = {"kind": "window", "not": [days], "otherwise": "skip"}
    reason = f"{len(saved)} of {len(failed)} failures were on {days}, when it nearly always fails"
    yield Advice("gate", "window", {"gates": [gate]}, _ids(saved), len(failed), reason)


def _breaker(runs: Sequence[Past], failed: Sequence[Past], _fleet: Fleet, policy: Mapping[str, Any]) -> Iterator[Advice]:
    """Runs that failed although the ones before had failed in the same way: they were in vain."""
    if _has_gate(policy, "breaker"):
        return
    vain: list[Past] = []
    row, key = 0, None
    for run in runs:
        row, key = (row + 1 if run.failure == key else 1, run.failure) if run.failure is not None else (0, None)
        if row > _BREAKER_FAILURES:
            vain.append(run)
    if len(vain) >= 2 * FEWEST:
        gaps = _usual_gap(runs)
        gate = {"kind": "breaker", "failures": _BREAKER_FAILURES, "cool_down": f"{max(1, round(3 * gaps / seconds(60)))}m"}
        reason = f"{len(vain)} runs failed in the same way as the {_BREAKER_FAILURES} before them"
        yield Advice("gate", "breaker", {"gates": [gate]}, _ids(vain), len(failed), reason)


_LOOKS: tuple[Callable[[Sequence[Past], Sequence[Past], Fleet, Mapping[str, Any]], Iterator[Advice]], ...] = (
    _retry, _concurrency, _upstream, _window, _breaker,
)  # fmt: skip


def _fitting(runs: Sequence[Past], failed: Sequence[Past], suspected: set[str]) -> list[Past]:
    """Failures of kinds that come nearly only to the runs ``suspected``, if the others hardly ever fail like that."""
    by_kind: dict[str, list[Past]] = defaultdict(list)
    for run in failed:
        by_kind[str(run.failure)].append(run)
    elsewhere = len(runs) - len(suspected)
    saved: list[Past] = []
    for its in by_kind.values():
        inside = [run for run in its if run.run_id in suspected]
        outside = len(its) - len(inside)
        is_explained = len(inside) >= _SHARE * len(its) and outside <= _RARE * max(1, elsewhere)
        if is_explained and len(inside) >= 0.5 * len(suspected):
            saved += inside
    return saved


def _has_gate(policy: Mapping[str, Any], kind: str) -> bool:
    return any(gate.get("kind") == kind for gate in policy.get("gates") or ())


def _rate(runs: Sequence[Past]) -> float:
    return sum(run.failure is not None for run in runs) / len(runs) if runs else 0.0


def _zone(name: str | None) -> datetime.tzinfo:
    from zoneinfo import ZoneInfo

    return ZoneInfo(name) if name else datetime.UTC


def _weekday(run: Past, zone: datetime.tzinfo) -> int:
    return datetime.datetime.fromtimestamp(run.started_ns / 1e9, zone).weekday()


def _ids(runs: Sequence[Past]) -> tuple[str, ...]:
    return tuple(run.run_id for run in runs)
