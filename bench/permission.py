"""Permission of the collector: decisions a second, how soon one comes, and how soon all go who wait when there is room."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from typing import Any

from bench import processes, servers
from bench.figures import Figure, share
from bench.small_requests import EMPTY, load
from bench.startup import PROGRAMS

CLIENTS, WAITING = 32, 10_000
_ROUNDS, _QUESTIONS = 5, 5_000
FLOOR = "SQLite writing a row each"
POLICY = {"gates": [{"kind": "concurrency", "limit": 1, "scope": "bench"}]}


def measure(effort: float) -> list[Figure]:
    """Questions over HTTP, each granted a lease of a pool; then a waiting room full of runs, in a process of its own."""
    count, rounds = share(_QUESTIONS, effort, least=200), share(_ROUNDS, effort)
    many, one, many_empty, one_empty = [], [], [], []
    with processes.scratch() as work, servers.collector(work / "server") as collector, servers.nothing() as port:
        put(collector, "/api/v1/workflows/bench/policy", POLICY)
        put(collector, "/api/v1/pools/bench", {"limit": 1_000_000})
        for _ in range(rounds + 1):
            one_empty.append(load(port, "questions", count // 10, 1))
            one.append(load(collector.port, "questions", count // 10, 1))
        for _ in range(rounds + 1):  # afterwards, as the decisions of so many are still brought into the stores for a while
            many_empty.append(load(port, "questions", count, CLIENTS))
            many.append(load(collector.port, "questions", count, CLIENTS))
    woken = [_waking() for _ in range(rounds)]
    note = f"{count:,} questions a round, each granted a lease of a pool that is shared by all"
    late = sum(each["passed"] for each in woken)
    return [  # the first round is the warm-up
        Figure("decisions", "rota", "/s", _rates(many[1:], count), EMPTY, _rates(many_empty[1:], count), "ratio",
               "decisions.rate", False, f"{note}; {CLIENTS} clients"),
        Figure("a decision, p50", "rota", "ms", _times(one[1:], "p50_ms"), EMPTY, _times(one_empty[1:], "p50_ms"), "difference",
               "decisions.p50", False, "one client"),
        Figure("a decision, p99", "rota", "ms", _times(one[1:], "p99_ms"), EMPTY, _times(one_empty[1:], "p99_ms"), "difference",
               None, False, "one client"),
        Figure("waiting runs woken", "rota", "s", _times(woken, "seconds"), FLOOR, _times(woken, "floor_seconds"), "ratio",
               "waking", False, f"{WAITING:,} runs; {late:g} of them before one that had asked earlier"),
    ]  # fmt: skip


def put(collector: servers.Collector, path: str, body: dict[str, Any]) -> None:
    """PUT of JSON. Raises HTTPError when it is not taken."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(collector.url + path, json.dumps(body).encode(), headers, method="PUT")
    urllib.request.urlopen(request, timeout=servers.READY_SECONDS).close()


def _waking() -> dict[str, float]:
    command = [sys.executable, str(PROGRAMS / "waking.py"), str(WAITING)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=900)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _rates(runs: list[dict[str, Any]], count: int) -> tuple[float, ...]:
    return tuple(count / run["seconds"] for run in runs)


def _times(runs: list[dict[str, Any]], which: str) -> tuple[float, ...]:
    return tuple(run[which] for run in runs)
