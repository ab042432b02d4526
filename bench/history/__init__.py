"""``python -m bench.history HOME``: the home of a collector with months of plausible history, for screenshots, tests and demos.

Runs are made up; everything else is derived from what they say by the collector's own code, under a clock that is moved. The
same seed and the same time make the same runs and verdicts.

``cast`` says which workflows there are, ``course`` how their runs go, ``characters`` what is special about some; ``plan`` keeps
all of it in order. A ``run`` has ``tasks``, and tells of them (``telling``, with its log ``records``); ``extremes`` are two runs
on request. ``world`` is the collector that hears it.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from bench.history import course, extremes
from bench.history.cast import CAST, DEPENDENTS, NEVER_RAN, NIGHTLY, PAUSED, UNKNOWN, extras
from bench.history.plan import Plan
from bench.history.run import Run
from bench.history.world import World
from rota_collector.domain.incident import DOWNTIME, HOST_SILENT, Incident

__all__ = ["Story", "make"]

FEWEST_DAYS = 3


class Story(NamedTuple):
    """What there is to see. ``runs`` and ``incidents`` are ids, by what is special about each."""

    home: Path
    now_ns: int
    failed_run: str
    running_run: str
    missed_workflow: str
    dependents: tuple[str, ...]  # of that workflow; their incidents are suppressed
    unknown_workflow: str
    paused_workflow: str
    never_ran_workflow: str
    runs: dict[str, str]
    incidents: dict[str, str]
    large_run: str | None = None
    hostile_run: str | None = None


def make(
    home: Path, *, now_ns: int | None = None, days: int = 90, workflows: int = 60, seed: int = 7, large: bool = False,
    hostile: bool = False,
) -> Story:  # fmt: skip
    """Make the history of ``days`` days up to ``now_ns`` (Unix ns) in ``home``, which must hold no history yet.

    The hand-written workflows are always there; ``workflows`` says how many there are in all, if more. ``large`` adds a run of
    50,000 spans, ``hostile`` one whose texts are attacks.
    """
    if days < FEWEST_DAYS:
        raise ValueError(f"days={days}: the story needs {FEWEST_DAYS} at least")
    if (home / "journal").exists():
        raise FileExistsError(f"{home} holds a history already: name another folder")
    plan = Plan(time.time_ns() if now_ns is None else now_ns, days, str(seed))
    for workflow in [*CAST, *extras(workflows - len(CAST), seed)]:
        course.add(plan, workflow)
    large_run = course.add_whole(plan, extremes.large_run(plan.ago(0.02), plan.seed)) if large else None
    hostile_run = course.add_whole(plan, extremes.hostile_run(plan.ago(0.01), plan.seed)) if hostile else None
    with World(home, plan.began_ns) as world:
        for moment in plan.moments():
            world.at(moment, plan.arriving(moment), plan)
        world.finish()
        world.deliver_alerts(plan.now_ns)
        return _story(world, plan, large_run, hostile_run)


def _story(world: World, plan: Plan, large_run: Run | None, hostile_run: Run | None) -> Story:
    """What there is to see, as the stores tell it; where several fit, one of a hand-written workflow."""
    cast = {each.name for each in CAST}
    found: dict[str, str] = {}
    for incident in sorted(world.incidents(), key=lambda each: each.workflow not in cast):
        name = _special(incident)
        if name is not None:
            found.setdefault(name, incident.id)
    runs = {name: run.run_id for name, run in plan.marks.items()}
    return Story(
        world.home, plan.now_ns, runs["failed"], runs["running"], NIGHTLY, DEPENDENTS, UNKNOWN, PAUSED, NEVER_RAN,
        runs, found, large_run.run_id if large_run else None, hostile_run.run_id if hostile_run else None,
    )  # fmt: skip


def _special(incident: Incident) -> str | None:
    """What an incident is an example of: its kind, when it is open and nobody cared yet."""
    if incident.kind in (HOST_SILENT, DOWNTIME):
        return incident.kind
    if incident.closed_ns is not None:
        return "closed_by_person" if incident.closed_by else None
    if incident.suppressed_by is not None:
        return "suppressed"
    if incident.acked_ns is not None:
        return "acknowledged"
    return "snoozed" if incident.snoozed_until_ns is not None else incident.kind
