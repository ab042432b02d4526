"""How soon a rule acts: from the end of the task that tells the fact to the signal that ends the run."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from pathlib import Path

from bench import environments, processes, servers
from bench.figures import Figure, share
from bench.permission import put
from bench.startup import PROGRAMS

_ROUNDS = 20
_BASE = "a request to that collector"
POLICY = {"rules": [{"when": "task('extract').rows == 0", "do": "cancel('nothing to load')"}]}


def measure(effort: float) -> list[Figure]:
    """By an agent; and without one, where the run itself listens."""
    rounds = share(_ROUNDS, effort, least=5)
    with processes.scratch() as work, servers.collector(work / "server") as collector:
        put(collector, "/api/v1/workflows/ruled/policy", POLICY)
        with servers.agent(work / "home", collector.url) as socket:
            servers.wait_for((work / "home" / "policy" / "ruled.json").exists, "the policy did not come", collector.process)
            by_agent = _lags({"ROTA_AGENT": socket}, work, collector, rounds)
        alone = _lags({"ROTA_AGENT": "off", "ROTA_DETACH": "off"}, work, collector, rounds)
    note = f"{rounds} runs of a script; the rule looks at what one of its tasks told"
    return [
        Figure("a rule cancels a run, with an agent", "rota", "ms", *by_agent[:1], _BASE, *by_agent[1:], note=note),
        Figure("a rule cancels a run, without an agent", "rota", "ms", *alone[:1], _BASE, *alone[1:], note=note),
    ]


def _lags(
    settings: dict[str, str], work: Path, collector: servers.Collector, rounds: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:  # fmt: skip
    """Milliseconds from the task's end to the signal, of each run, and of a request right after."""
    python, environment = environments.rota(), processes.environment(work / "home", ROTA_ENDPOINT=collector.url, **settings)
    found, bare = [], []
    for _ in range(rounds):
        command = [python, str(PROGRAMS / "rota_ruled.py")]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=False, timeout=processes.PATIENCE_SECONDS)
        told, ended = map(float, done.stdout.split())
        found.append((ended - told) * 1000)
        asked_at = time.perf_counter()
        urllib.request.urlopen(collector.url + "/readyz", timeout=servers.READY_SECONDS).close()
        bare.append((time.perf_counter() - asked_at) * 1000)
    return tuple(found), tuple(bare)
