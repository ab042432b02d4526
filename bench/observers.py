"""What an observer costs inside the system that it observes, a task; and how soon a state that is told there is seen here.

The programs are those of the observers' contract, with the scenario ``many``; once with rota's line, once without.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

from bench import environments, processes, servers
from bench.figures import Figure, in_turn, share
from bench.startup import PROGRAMS

FLOWS = environments.TOP / "tests" / "contract" / "observers" / "programs"
_ROUNDS, _STATES, _PATIENCE_SECONDS = 7, 200, 600
_TASKS = {"luigi": 500, "airflow": 30, "celery": 200, "dagster": 100, "dbt": 100}


def measure(effort: float) -> list[Figure]:
    """Each system in turn with itself; then the way of a state."""
    rounds = share(_ROUNDS, effort, least=3)
    with (
        processes.scratch() as work, servers.collector(work / "server") as collector,
        servers.agent(work / "home", collector.url) as socket,
    ):  # fmt: skip
        settings = processes.environment(work / "home", ROTA_ENDPOINT=collector.url, ROTA_AGENT=socket)
        costs = [_costs(system, tasks, settings, work, rounds) for system, tasks in _TASKS.items()]
        return [*(each for some in costs for each in some), _lag(settings, collector, share(_STATES, effort, least=50))]


def _costs(system: str, tasks: int, settings: dict[str, str], work: Path, rounds: int) -> list[Figure]:
    """Inside the system: what is told stays in the spool. And with an agent and a collector beside it, on the same cores."""
    python = environments.observed(system)
    paths = ":".join(str(environments.TOP / folder) for folder in ("sdk", "integrations"))
    told = settings | {"PYTHONPATH": paths, "TASKS": str(tasks), "OBSERVED": "yes"}
    number = iter(range(1_000_000))

    def run(where: dict[str, str]) -> float:
        """Milliseconds a task; a folder of its own each time, or there is nothing to do."""
        command = [python, str(FLOWS / f"{system}_flow.py"), "many", str(work / f"{system}{next(number)}")]
        done = subprocess.run(command, env=where, capture_output=True, text=True, check=True, timeout=_PATIENCE_SECONDS)
        (seconds,) = (line for line in done.stdout.splitlines() if line.replace(".", "").isdigit())  # Celery has a word more
        return float(seconds) * 1000 / tasks

    spooled = told | {"ROTA_AGENT": "off", "ROTA_DETACH": "off", "ROTA_ENDPOINT": "http://127.0.0.1:1"}
    inside, shipped, plain = in_turn(rounds, lambda: run(spooled), lambda: run(told), lambda: run(told | {"OBSERVED": "no"}))
    what, base = f"a task of {system}, observed", "without the observer"
    note = f"{tasks} tasks that do nothing in one run; "
    stays, leaves = note + "what is told stays in the spool", note + "agent and collector share the cores with it"
    return [
        Figure(what, "rota", "ms", inside, base, plain, "ratio", budget="observer", note=stays),
        Figure(what + ", and shipped", "rota", "ms", shipped, base, plain, "ratio", note=leaves),
    ]


def _lag(settings: dict[str, str], collector: servers.Collector, states: int) -> Figure:
    """From the call that tells a state to the tail that shows it."""
    seen: dict[str, float] = {}
    listening = threading.Event()
    threading.Thread(target=_listen, args=(collector.url, seen, listening), daemon=True).start()
    listening.wait(servers.READY_SECONDS)
    command = [environments.rota(), str(PROGRAMS / "rota_foreign.py"), str(states)]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=True, timeout=_PATIENCE_SECONDS)
    told = {run_id: float(at) for run_id, at in map(str.split, done.stdout.splitlines())}
    give_up_at = time.monotonic() + servers.READY_SECONDS
    while len(told.keys() & seen.keys()) < states and time.monotonic() < give_up_at:
        time.sleep(0.05)
    lags = sorted((seen[run_id] - at) * 1000 for run_id, at in told.items())
    p99 = lags[min(len(lags) - 1, len(lags) * 99 // 100)]
    asked_at = time.perf_counter()
    urllib.request.urlopen(collector.url + "/readyz", timeout=servers.READY_SECONDS).close()
    asking = (time.perf_counter() - asked_at) * 1000
    p50 = lags[len(lags) // 2]
    note = (
        f"{states} runs, one each 20 ms, told as the end of a run is; p50 {p50:.0f} ms; a system that is polled: its --every more"
    )
    return Figure(
        "a state told there, seen here, p99", "rota", "ms", (p99,), "a request to that collector", (asking,),
        budget="observer.lag", is_goal_compared=False, note=note,
    )  # fmt: skip


def _listen(url: str, seen: dict[str, float], listening: threading.Event) -> None:
    with urllib.request.urlopen(url + "/api/v1/tail?kinds=runs", timeout=_PATIENCE_SECONDS) as answer:
        listening.set()
        for line in answer:
            if line.startswith(b"data: {"):
                seen.setdefault(json.loads(line[6:]).get("id", ""), time.time())
