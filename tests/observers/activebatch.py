"""ActiveBatch: a stand-in of its REST API, in which a test plays the jobs; `rota observe` looks on from a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrators import SOURCES
from standins.activebatch import ActiveBatch, serve

from observers.system import System

OBSERVE = [sys.executable, "-m", "rota", "observe", "activebatch", "--once", "--scheduler", "scheduler", "--object", "/ETL"]


def play(scenario: str, activebatch: ActiveBatch) -> list[Callable[[], Any]]:
    """What happens, step by step; the observer looks after each of them."""
    becomes, jobs = activebatch.becomes, dict[str, dict[str, Any]]()
    plan = activebatch.trigger("/ETL/" + scenario, "plan")

    def starts(*names: str) -> Callable[[], None]:
        def step() -> None:
            if plan["state"] != "executing":
                becomes(plan, "executing")
            for name in names:
                jobs[name] = jobs.get(name) or activebatch.trigger(f"/ETL/{scenario}/{name}", batch=plan["batchId"])
                becomes(jobs[name], "executing")

        return step

    def ends(state: str, *names: str, exit_code: int = 0) -> Callable[[], Any]:
        return lambda: [becomes(jobs[name], state, exit_code=exit_code) for name in names]

    def skips() -> None:
        becomes(activebatch.trigger(f"/ETL/{scenario}/load", batch=plan["batchId"]), "notRun")

    extract = ["a/extract", "b/extract", "c/extract"] if scenario == "fan_out" else ["extract"]
    steps = [starts(*extract)]
    if scenario == "retry":
        steps += [lambda: becomes(jobs["extract"], "waiting", "waitingRestart", 1), lambda: activebatch.restart(jobs["extract"])]
    if scenario == "cancel":
        return [*steps, lambda: [ends("aborted", "extract")(), becomes(plan, "aborted")]]
    steps.append(ends("succeeded", *extract))
    if scenario == "failure":
        return [*steps, starts("load"), lambda: [ends("failed", "load", exit_code=1)(), becomes(plan, "failed")]]
    steps += [skips] if scenario == "skip" else [starts("load"), ends("succeeded", "load")]
    return [*steps, lambda: becomes(plan, "succeeded")]


def run(scenario: str, folder: Path, environment: dict[str, str]) -> None:
    """A plan of that name, and an observer that looks again and again, and is a new process each time."""
    activebatch = ActiveBatch()
    with serve(activebatch) as url:
        who = {"ACTIVEBATCH_URL": url, "ACTIVEBATCH_USER": "rota", "ACTIVEBATCH_PASSWORD": "geheim"}
        for step in play(scenario, activebatch):
            step()
            subprocess.run(OBSERVE, env=environment | {"PYTHONPATH": SOURCES, **who}, check=True, timeout=60)


SYSTEMS = {
    "activebatch": System(
        run,
        except_for={
            "upstream": "what becomes of an instance whose constraint cannot be met any more is not publicly documented",
            "killed": "an agent that dies leaves its jobs to ActiveBatch, which says Orphaned: see its tests",
            "schedule": "its schedules are objects that its publicly known API does not tell",
        },
        instead={
            "failure": {"error": {"load": "exit:1: "}},  # of what a job wrote nothing is told, of its exit status all
            "skip": {"run": ["running", "succeeded"]},  # a job is not run, its plan is
        },
    ),
}
