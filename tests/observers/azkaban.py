"""Azkaban: a stand-in of its web server, in which a test plays the jobs; `rota observe` looks on from a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from orchestrators import SOURCES
from standins.azkaban import Azkaban, Flow, serve

from observers.system import System

OBSERVE = [sys.executable, "-m", "rota", "observe", "azkaban", "--once", "--tz", "Europe/Berlin"]
PART = ([], {"extract": []})
JOBS: dict[str, dict[str, Any]] = {"fan_out": {"a": PART, "b": PART, "c": PART, "load": ["a", "b", "c"]}}


def play(scenario: str, flow: Flow) -> list[Any]:
    """What happens, step by step; the observer looks after each of them."""
    last = "FAILED" if scenario == "failure" else "SUCCEEDED"
    load = [lambda: flow.start("load"), lambda: flow.finish("load", last)]
    if scenario == "fan_out":
        parts = [flow.flows[part] for part in "abc"]
        return [
            lambda: [part.start("extract") for part in parts],
            lambda: [part.finish("extract", "SUCCEEDED") for part in parts],
            *load,
        ]
    begin, end = (lambda: flow.start("extract")), (lambda: flow.finish("extract", "SUCCEEDED"))
    failed = lambda: flow.finish("extract", "FAILED")  # noqa: E731
    ways = {"cancel": [begin, flow.kill], "upstream": [begin, failed], "retry": [begin, failed, begin, end, *load]}
    return ways.get(scenario, [begin, end] if scenario == "skip" else [begin, end, *load])


def run(scenario: str, folder: Path, environment: dict[str, str]) -> None:
    """A flow of that name, and an observer that looks again and again, and is a new process each time."""
    azkaban = Azkaban()
    azkaban.projects["etl"] = {scenario: JOBS.get(scenario, {"extract": [], "load": ["extract"]})}
    azkaban.crons["etl", "schedule"] = "0 0 2 ? * *"
    with serve(azkaban) as url:
        _, flow = azkaban.submit("etl", scenario)
        flow.retries["extract"] = 1 if scenario == "retry" else 0
        if scenario == "skip":
            flow.nodes["load"]["status"] = "DISABLED"
        where = environment | {"PYTHONPATH": SOURCES, "AZKABAN_URL": url, "AZKABAN_PASSWORD": "geheim"}
        for step in play(scenario, flow):
            step()
            subprocess.run(OBSERVE, env=where, check=True, timeout=60)


SYSTEMS = {
    "azkaban": System(
        run,
        except_for={
            "killed": "an executor that dies leaves its executions to Azkaban, which says EXECUTION_STOPPED: see its tests"
        },
        instead={
            "failure": {"error": {}},  # Azkaban tells that a job failed; why, only its log says
            "skip": {"run": ["running", "succeeded"]},  # a job is disabled, the flow is not skipped
        },
        tells_schedules=True,
    ),
}
