"""Requests of one event each on 32 kept connections, OTLP as JSON and pings: how many a second are on disk, and how soon."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from bench import processes, servers
from bench.figures import Figure, share
from bench.startup import PROGRAMS

CONNECTIONS = 32
_ROUNDS, _REQUESTS = 5, 20_000
EMPTY = "the same HTTP server, empty"


def measure(effort: float) -> list[Figure]:
    """The collector and an empty server in turn, under the same client."""
    count = share(_REQUESTS, effort, least=200)
    ours, pings, floor = [], [], []
    with processes.scratch() as work, servers.collector(work / "server") as collector, servers.nothing() as port:
        path = str(collector.ask("/api/v1/keys", {"scope": "ping", "workflow": "bench.pings"})["path"])
        for _ in range(share(_ROUNDS, effort) + 1):
            floor.append(load(port, "events", count, CONNECTIONS))
            ours.append(load(collector.port, "events", count, CONNECTIONS))
            pings.append(load(collector.port, path, count, CONNECTIONS))
    # The first round is the warm-up.
    return [*_figures("", ours[1:], floor[1:], count, "small."), *_figures("pings: ", pings[1:], floor[1:], count, None)]


def load(port: int, kind: str, requests: int, connections: int) -> dict[str, Any]:
    """What the client, a process of its own, says about so many requests. Raises CalledProcessError unless all were 200."""
    command = [sys.executable, str(PROGRAMS / "load.py"), str(port), kind, str(requests), str(connections)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=300)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _figures(
    what: str, ours: list[dict[str, Any]], floor: list[dict[str, Any]], count: int, budget: str | None
) -> list[Figure]:  # fmt: skip
    def rates(runs: list[dict[str, Any]]) -> tuple[float, ...]:
        return tuple(count / run["seconds"] for run in runs)

    def times(runs: list[dict[str, Any]], which: str) -> tuple[float, ...]:
        return tuple(run[which] for run in runs)

    busy = max(run["cpu_seconds"] / run["seconds"] for run in ours)
    note = f"{count:,} requests a round, {CONNECTIONS} clients; the client used at most {busy:.0%} of a core"
    rate, p99 = (f"{budget}rate", f"{budget}p99") if budget else (None, None)
    return [
        Figure(f"{what}acknowledged", "rota", "/s", rates(ours), EMPTY, rates(floor), "ratio", rate, False, note),
        Figure(f"{what}p50", "rota", "ms", times(ours, "p50_ms"), EMPTY, times(floor, "p50_ms"), "ratio", None, False),
        Figure(f"{what}p99", "rota", "ms", times(ours, "p99_ms"), EMPTY, times(floor, "p99_ms"), "ratio", p99, False),
    ]
