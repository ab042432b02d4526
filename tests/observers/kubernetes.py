"""Kubernetes: a stand-in of its API, in which a test plays the pods; `rota observe` looks on from a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrators import SOURCES
from standins.kubernetes import Cluster, Played, serve

from observers.system import System

OBSERVE = [sys.executable, "-m", "rota", "observe", "kubernetes", "--once"]


def play(scenario: str, job: Played) -> list[Callable[[], Any]]:
    """What happens, step by step; the observer looks after each of them."""
    begin, end = (lambda: (job.pod(), job.begin("extract"))), (lambda: (job.end("extract"), job.begin("load")))
    last = lambda: job.end("load", 1 if scenario == "failure" else 0)  # noqa: E731
    if scenario == "fan_out":
        pods: list[Any] = []
        return [
            lambda: [job.begin("extract", pods.append(job.pod(index)) or pods[-1]) for index in range(3)],
            lambda: [(job.end("extract", pod=pod), job.begin("load", pod)) for pod in pods],
            lambda: [job.end("load", pod=pod) for pod in pods],
        ]
    failed = lambda: job.end("extract", 1)  # noqa: E731
    ways: dict[str, list[Callable[[], Any]]] = {
        "retry": [begin, failed, begin, end, last],
        "upstream": [begin, failed],
        "cancel": [begin, job.delete],
        "killed": [begin, lambda: job.end("extract", 137)],
    }
    return ways.get(scenario, [begin, end, last])


def run(scenario: str, folder: Path, environment: dict[str, str]) -> None:
    """A CronJob of that name, and an observer that is a new process each time it looks."""
    cluster = Cluster()
    with serve(cluster) as url:
        where = environment | {"PYTHONPATH": SOURCES}
        command = [*OBSERVE, "--server", url]
        subprocess.run(command, env=where, check=True, timeout=60)
        job = Played(cluster, scenario, backoff=1 if scenario == "retry" else 0, parts=3 if scenario == "fan_out" else 1)
        for step in play(scenario, job):
            step()
            subprocess.run(command, env=where, check=True, timeout=60)


def told(*states: str) -> dict[str, Any]:
    """A Job is seen before it begins."""
    return {"run": ["queued", "starting", "running", *states]}


SYSTEMS = {
    "kubernetes": System(
        run,
        except_for={"skip": "a Job is made to be run"},
        instead={
            **{scenario: told("succeeded") for scenario in ("success", "retry", "schedule")},
            "failure": told("failed") | {"error": {"load": "Error: exit code 1"}},  # why, the pod's log says
            "upstream": told("failed"),
            "cancel": told("cancelled"),
            "killed": told("crashed"),
            "fan_out": told("succeeded") | {"parts": {"extract": 3, "load": 3}},  # each pod does all steps
        },
        tells_schedules=True,
    ),
}
