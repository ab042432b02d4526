"""The ordinary course of a workflow: when it is due, how its runs go, what is heard of them, and when somebody has to look."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from bench.history.cast import Workflow
from bench.history.characters import SHAPES
from bench.history.plan import SILENT_HOST, Plan
from bench.history.run import DAY, HOUR, MINUTE, Line, Run, S
from bench.history.telling import beginning, ending
from rota.rules.durations import seconds
from rota_collector.domain.schedule import parse
from rota_collector.domain.slots import Limits


def add(plan: Plan, workflow: Workflow) -> None:
    """All that happens to a workflow."""
    began_ns = plan.began_ns if workflow.since_days is None else max(plan.began_ns, plan.ago(workflow.since_days))
    _store_policy(plan, workflow, began_ns)
    for host in workflow.hosts:
        chance = random.Random(f"{plan.seed}/{workflow.name}/{host}")
        dues = _dues(plan, workflow, began_ns)
        runs = list(_runs(plan, workflow, host, dues, chance))
        if workflow.name in SHAPES:
            runs = SHAPES[workflow.name](plan, runs)
        runs = [run for run in runs if _came_about(plan, run)]
        _look_at(plan, workflow, dues, runs)
        for run in runs:
            _tell(plan, run)
    plan.ends[workflow.name] = [run.ended_ns for run in runs if run.state == "succeeded" and run.ended_ns <= plan.now_ns]


def add_whole(plan: Plan, told: tuple[Run, list[Line]]) -> Run:
    """A run that says everything at its end."""
    run, lines = told
    plan.deliver(run.ended_ns, lambda: lines)
    return run


def _store_policy(plan: Plan, workflow: Workflow, began_ns: int) -> None:
    document = dict(workflow.policy or {})
    if workflow.schedule and not workflow.is_declared:
        document["schedule"] = {**workflow.schedule, **({"grace": workflow.grace} if workflow.grace else {})}
    if document:
        plan.put(began_ns, workflow.name, document, "jonas", "as agreed with the team")


def _dues(plan: Plan, workflow: Workflow, began_ns: int) -> list[int]:
    """When it should run, by now."""
    when = workflow.schedule
    if "after" in when:
        return [end for end in plan.ends[when["after"]["workflow"]] if end > began_ns]
    if "every" in when:
        period_ns = round(seconds(when["every"]) * S)
        return list(range(plan.now_ns - round(workflow.phase * S), began_ns + period_ns, -period_ns))[::-1]
    found: list[int] = []
    schedule, at = parse(when) if when else None, began_ns
    while schedule is not None and (at := schedule.next_after(at) or plan.now_ns) < plan.now_ns:
        found.append(at)
    return found


def _runs(plan: Plan, workflow: Workflow, host: str, dues: Sequence[int], chance: random.Random) -> Iterator[Run]:
    """A run for nearly every due time: now and then one is missing, late, or fails. The last days go well."""
    is_calm_from = min(plan.ago(1.5), dues[-3] if len(dues) > 3 else plan.now_ns)
    for i, due in enumerate(dues):
        gap_ns = due - dues[i - 1] if i else DAY
        roll, lag_ns = chance.random(), round(chance.lognormvariate(0.9, 0.7) * S)
        took_ns = round(workflow.median * chance.lognormvariate(0, workflow.spread) * _weekday(workflow, due) * S)
        fails = chance.random() < workflow.fails and due < is_calm_from
        if due < is_calm_from and "every" not in workflow.schedule and gap_ns >= HOUR:
            if roll < 0.0015:
                continue
            if roll < 0.005:
                lag_ns = _grace_ns(workflow, gap_ns) + round(chance.uniform(2, 9) * MINUTE)
        run = Run(workflow, host, due + lag_ns, took_ns, plan.seed, due, is_told_whole=_is_told_whole(plan, due, gap_ns))
        yield run.fail() if fails else run


def _is_told_whole(plan: Plan, due: int, gap_ns: int) -> bool:
    """Of runs that come often, the old ones are told by their states alone: it is their number that counts."""
    return due > plan.ago(14 if gap_ns > 5 * HOUR else 3 if gap_ns > HOUR // 2 else 0.5)


def _came_about(plan: Plan, run: Run) -> bool:
    """Whether the run was at all: not in the future, nor while its host was off, or under maintenance."""
    begins, ends = plan.silent
    if run.started_ns >= plan.now_ns:
        return False
    if run.host == SILENT_HOST and begins <= run.started_ns < ends:
        return False
    if run.host == SILENT_HOST and run.started_ns < begins < run.ended_ns:  # the host takes it along
        run.state, run.error, run.took_ns, run.told_ns = "crashed", "", begins - run.started_ns, ends
    return not (run.of.name.startswith("backup.") and plan.maintained[0] <= run.started_ns < plan.maintained[1])


def _look_at(plan: Plan, workflow: Workflow, dues: Sequence[int], runs: Sequence[Run]) -> None:
    """Look when something goes wrong, and when it is well again, so that incidents have their real times."""
    run_of, was_there = {run.due_ns: run for run in runs}, True
    lag_ns = 30 * S if "every" in workflow.schedule else S  # an interval counts from the last start, which lagged behind
    if runs:
        plan.look(runs[0].started_ns + S)  # what its code declares is in force from the first run on
    for i, due in enumerate(dues):
        run, deadline = run_of.get(due), due + _grace_ns(workflow, due - dues[i - 1] if i else DAY)
        if (run is None and was_there) or (run is not None and run.started_ns > deadline):
            plan.look(deadline + lag_ns)
        if run is not None and (not was_there or run.started_ns > deadline):
            plan.look(run.ended_ns + S)
        was_there = run is not None
    was_well = True
    for run in runs:
        is_well = run.state not in ("failed", "crashed")
        if not (is_well and was_well):
            plan.look((run.told_ns or run.ended_ns) + S)
        was_well = is_well


def _tell(plan: Plan, run: Run) -> None:
    """What reaches the collector of a run, and when."""
    plan.deliver(run.started_ns + 1, lambda: [beginning(run)])
    end_ns = min(run.told_ns or run.ended_ns, plan.now_ns)
    plan.deliver(end_ns, lambda: ending(run, plan.now_ns))


def _weekday(workflow: Workflow, at_ns: int) -> float:
    day = datetime.fromtimestamp(at_ns // S, UTC).weekday()
    return 1.0 if not workflow.is_weekly else (1.5, 1.0, 1.0, 1.0, 1.1, 0.6, 0.5)[day]


def _grace_ns(workflow: Workflow, gap_ns: int) -> int:
    named = workflow.schedule.get("after", {}).get("within") or workflow.grace
    return Limits(None if named is None else round(seconds(named) * S), None, 0).grace_of(gap_ns)
