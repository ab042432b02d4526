"""A proposed policy against the past: what it would have changed, by the same rules that decide. Pure.

The past stays as it was: a run that would have waited is not moved, and what it would have done to those after it is not guessed.
What a gate rests on that nobody kept (an answer of a probe, a person's approval) is said to be unknown.
"""

from __future__ import annotations

import datetime
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rota.rules import gates, retry
from rota.rules.gates import Gate
from rota_collector.domain.advise import horizon_ns
from rota_collector.domain.fleet import Fleet, Past

KEPT = ("concurrency", "rate", "upstream", "window", "breaker")  # kinds whose facts the past has


class Change(NamedTuple):
    """What one part of the policy would have done. ``answer``: wait, skip, deny, or ``retry`` and ``saved`` of a retry."""

    part: str  # retry, gates[0], …
    kind: str
    answer: str
    runs: tuple[str, ...]
    reason: str  # of the last of them


class Replayed(NamedTuple):
    """``unknown``: parts that cannot be told from the past, with why."""

    runs: int
    changes: list[Change]
    unknown: dict[str, str]


def replay(workflow: str, policy: Mapping[str, Any], fleet: Fleet) -> Replayed:
    """What a valid policy would have changed for the runs of a workflow."""
    runs = fleet.of(workflow)
    found = Replayed(len(runs), [*_retried(runs, policy, fleet)], {})
    for gate in gates.of(policy):
        if gate.kind in KEPT:
            changes, untold = _gated(gate, runs, policy, fleet)
            found.changes.extend(changes)
            if untold:
                found.unknown[f"gates[{gate.number}]"] = f"of {untold} runs: what came before the first known facts"
        else:
            found.unknown[f"gates[{gate.number}]"] = f"nobody kept what a {gate.kind} gate rests on"
    if any(terms and terms.get("permit") for terms in (policy.get("tasks") or {}).values()):
        found.unknown["tasks"] = "permission for functions is asked while they run"
    return found


def _retried(runs: Sequence[Past], policy: Mapping[str, Any], fleet: Fleet) -> Iterator[Change]:
    if not policy.get("retry"):
        return
    terms = retry.of({key: value for key, value in policy["retry"].items() if value is not None})
    tried = [run for run in runs if run.failure is not None and retry.is_retried(terms, _failure(run))]
    patience = min(horizon_ns(terms.attempts, terms.wait_seconds, terms.backoff), round((terms.timeout_seconds or 1e9) * 1e9))
    saved = [run for run in tried if fleet.passed(run, patience)]
    stays = sum(fleet.passed(run, patience) is False for run in tried)
    said = f"{len(tried)} failures tried again; {len(saved)} would have been saved, {stays} not, of the rest nothing tells"
    if tried:
        yield Change("retry", "retry", "retry", _ids(tried), said)
    if saved:
        yield Change("retry", "retry", "saved", _ids(saved), said)


def _failure(run: Past) -> retry.Failure:
    kind, _, rest = (run.failure or "").partition(": ")
    if kind.startswith("exit "):
        return retry.Failure(exit_code=int(kind[5:]))
    return retry.Failure(error_types=(kind,), message=run.message or rest)


# -- gates -------------------------------------------------------------------------------------------------------------------


def _gated(gate: Gate, runs: Sequence[Past], policy: Mapping[str, Any], fleet: Fleet) -> tuple[list[Change], int]:
    """(what a gate would have changed, of how many runs that is not known)."""
    facts = _FACTS[gate.kind](gate, runs, policy, fleet)
    by_answer: dict[str, list[tuple[Past, str]]] = {}
    untold = 0
    for number, run in enumerate(runs):
        known = facts(number, run)
        if known is None:
            untold += 1
            continue
        said = gates.decide(gate, known, run.started_ns)
        if said.answer != gates.GO:
            by_answer.setdefault(said.answer, []).append((run, said.reason))
    part = f"gates[{gate.number}]"
    changes = [
        Change(part, gate.kind, answer, _ids([run for run, _ in those]), those[-1][1]) for answer, those in by_answer.items()
    ]
    return changes, untold


_Facts = Callable[[int, Past], Mapping[str, Any] | None]  # None: they are not known


def _concurrency(_gate: Gate, _runs: Sequence[Past], _policy: Mapping[str, Any], _fleet: Fleet) -> _Facts:
    """Of this workflow alone: what else would have been in a pool is another policy's."""
    open_until: list[int] = []

    def facts(_number: int, run: Past) -> Mapping[str, Any]:
        open_until[:] = [end for end in open_until if end > run.started_ns]
        used = len(open_until)
        open_until.append(run.ended_ns)
        return {"used": used, "frees_seconds": None}

    return facts


def _rate(gate: Gate, runs: Sequence[Past], _policy: Mapping[str, Any], _fleet: Fleet) -> _Facts:
    starts = [run.started_ns for run in runs]
    most = int(gate.terms["limit"])
    return lambda number, _run: {"started_ns": starts[max(0, number - most) : number][::-1]}


def _upstream(gate: Gate, _runs: Sequence[Past], _policy: Mapping[str, Any], fleet: Fleet) -> _Facts:
    names = [gate.terms["workflow"]] if gate.terms.get("workflow") else list(gate.terms["all_of"])
    ended = {name: sorted(fleet.of(name), key=lambda run: run.ended_ns) for name in names}
    ends = {name: [run.ended_ns for run in theirs] for name, theirs in ended.items()}

    def last(name: str, at_ns: int) -> Mapping[str, Any] | None:
        place = bisect_left(ends[name], at_ns)
        if not place:
            return None  # what it did before the first end that was read, nobody knows
        run = ended[name][place - 1]
        return {"state": "succeeded" if run.failure is None else "failed", "ended_ns": run.ended_ns, "slot_ns": None}

    def facts(_number: int, run: Past) -> Mapping[str, Any] | None:
        found = {name: last(name, run.started_ns) for name in names}
        return None if None in found.values() else {"runs": found, "slot_ns": None}

    return facts


def _window(gate: Gate, _runs: Sequence[Past], policy: Mapping[str, Any], _fleet: Fleet) -> _Facts:
    from zoneinfo import ZoneInfo

    zone = ZoneInfo(gate.terms.get("tz") or (policy.get("schedule") or {}).get("tz") or "UTC")
    return lambda _number, run: {
        "local": datetime.datetime.fromtimestamp(run.started_ns / 1e9, zone).strftime("%Y-%m-%dT%H:%M:%S")
    }


def _breaker(_gate: Gate, runs: Sequence[Past], _policy: Mapping[str, Any], _fleet: Fleet) -> _Facts:
    """Ends of the failures in a row before each run, those that the breaker would have kept from running among them."""
    row: list[int] = []

    def facts(number: int, run: Past) -> Mapping[str, Any]:
        before = runs[number - 1] if number else None
        if before is not None and before.ended_ns <= run.started_ns:
            if before.failure is None:
                row.clear()
            else:
                row.insert(0, before.ended_ns)
        return {"failed_ns": list(row), "trial": None, "run_id": run.run_id}

    return facts


_FACTS: dict[str, Callable[[Gate, Sequence[Past], Mapping[str, Any], Fleet], _Facts]] = {
    "concurrency": _concurrency, "rate": _rate, "upstream": _upstream, "window": _window, "breaker": _breaker,
}  # fmt: skip


def _ids(runs: Sequence[Past]) -> tuple[str, ...]:
    return tuple(run.run_id for run in runs)
