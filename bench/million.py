"""A million tasks in one process: how long one blocks its caller, and whether memory stays flat, with and without an agent."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from bench import environments, processes, servers
from bench.figures import Figure, share
from bench.startup import PROGRAMS

_TASKS, _ROUNDS = 1_000_000, 3
_PLAIN = "the same loop, not observed"


def measure(effort: float) -> list[Figure]:
    """Not observed, spooled, and followed by an agent that ships to a collector, in turn."""
    tasks = share(_TASKS, effort, least=10_000)
    python = environments.rota()
    plain, spooled, shipped = [], [], []
    with processes.scratch() as work, servers.collector(work / "server") as collector:
        for number in range(share(_ROUNDS, effort)):
            away = processes.environment(
                work / f"away{number}", ROTA_AGENT="off", ROTA_DETACH="off", ROTA_ENDPOINT="http://127.0.0.1:1"
            )
            home = work / f"agent{number}"
            with servers.agent(home, collector.url) as socket:
                told = processes.environment(home, ROTA_AGENT=socket, ROTA_ENDPOINT=collector.url)
                plain.append(_run(python, tasks, "bare", away))
                spooled.append(_run(python, tasks, "watched", away))
                shipped.append(_run(python, tasks, "watched", told))
    note = f"{tasks:,} tasks, each with a fact"
    return [
        *_figures("collector closed", plain, spooled, note),
        *_figures("followed by an agent", plain, shipped, f"{note}; agent and collector share the two cores"),
    ]


def _figures(how: str, plain: list[dict[str, Any]], watched: list[dict[str, Any]], note: str) -> list[Figure]:
    def figure(what: str, key: str, unit: str, per: float, budget: str | None = None) -> Figure:
        values, base = (tuple(found[key] / per for found in taken) for taken in (watched, plain))
        return Figure(f"{what}, {how}", "rota", unit, values, _PLAIN, base, budget=budget, note=note)

    return [
        figure("a task, p50", "p50", "µs", 1000),
        figure("a task, p99", "p99", "ms", 1e6, "million.p99"),
        figure("a task, p99.9", "p999", "ms", 1e6),
        figure("the longest task", "most", "ms", 1e6),
        figure("memory from the first tenth to the end", "grown_kb", "MB", 1000, "million.memory"),
    ]


def _run(python: str, tasks: int, mode: str, settings: dict[str, str]) -> dict[str, Any]:
    Path(settings["ROTA_HOME"]).mkdir(exist_ok=True)
    command = [python, str(PROGRAMS / "rota_million.py"), str(tasks), mode]
    done = subprocess.run(command, env=settings, capture_output=True, check=True, timeout=600)
    found = json.loads(done.stdout)
    return {**found, "grown_kb": found["end_kb"] - found["warm_kb"]}
