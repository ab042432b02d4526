"""Kubernetes: a stand-in of its API, in which a test plays the pods; `rota observe` looks on from a process of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrators import SOURCES
from record_kubernetes import OBSERVE, RECORDED
from standins.kubernetes import Cluster, Played, serve
from standins.recorded import replaying

from observers.system import System


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


def run_recorded(scenario: str, folder: Path, environment: dict[str, str]) -> None:
    """As often as when it was recorded, an observer looks."""
    recorded = recording_of(scenario)
    with replaying(recorded["records"]) as url:
        command = [*OBSERVE, "--server", url, "--namespace", f"rota-{scenario}"]
        for _ in range(recorded["looks"]):
            subprocess.run(command, env=environment | {"PYTHONPATH": SOURCES}, check=True, timeout=60)


def recording_of(scenario: str) -> dict[str, Any]:
    """What ``record_kubernetes.py`` kept."""
    found: dict[str, Any] = json.loads((RECORDED / f"{scenario}.json").read_text())
    return found


def told(*states: str) -> dict[str, Any]:
    """A Job is seen before it begins."""
    return {"run": ["queued", "starting", "running", *states]}


def early(*states: str) -> dict[str, Any]:
    return {"run": ["queued", "starting", *states]}


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
    "kubernetes with a recorded cluster": System(  # 1.20: its Jobs do not say how many pods are ready
        run_recorded,
        except_for={"skip": "a Job is made to be run", "fan_out": "1.20 has no completion indexes"},
        instead={
            "success": early("succeeded"),
            "retry": told("succeeded"),  # but how many failed
            "failure": early("failed") | {"error": {"load": "Error: exit code 1"}},
            "upstream": early("failed"),
            "cancel": early("cancelled"),
            "killed": early("crashed"),
            "schedule": early("succeeded") | {"declares": {"cron": recording_of("schedule")["schedule"], "tz": "UTC"}},
        },
        tells_schedules=True,
    ),
}
