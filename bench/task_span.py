"""What a decorated empty function costs over the same function undecorated: rota spooled, the peers to a closed endpoint."""

from __future__ import annotations

import json
import statistics
import subprocess

from bench import environments, processes, servers
from bench.figures import Figure, share
from bench.startup import PROGRAMS, peer_settings

_ROUNDS, _BATCHES, _CALLS = 5, 30, 1000
_PLAIN = "undecorated call"


def measure(effort: float) -> list[Figure]:
    """All of them once a round, in turn; a round's value is the median of its batches."""
    contestants = {"rota": ("rota", environments.rota())}
    contestants |= {name: (shown, environments.peer(name)) for name, shown in environments.PEERS.items()}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    with processes.scratch() as work, servers.reserved() as closed:
        for _ in range(share(_ROUNDS, effort)):
            for name, (_, python) in contestants.items():
                settings = spooling() if name == "rota" else peer_settings(name, closed)
                taken[name].append(_microseconds(python, name, processes.environment(work, **settings), share(_BATCHES, effort)))
    return [_figure(name, shown, taken[name]) for name, (shown, _) in contestants.items()]


def spooling() -> dict[str, str]:
    """What an agent or a detached shipper carries costs the script the same: a line in a file."""
    return {"ROTA_AGENT": "off", "ROTA_DETACH": "off", "ROTA_ENDPOINT": "https://collector.invalid"}


def _microseconds(python: str, name: str, settings: dict[str, str], batches: int) -> tuple[float, float]:
    command = [python, str(PROGRAMS / f"{name}_spans.py"), str(batches), str(_CALLS)]
    done = subprocess.run(command, env=settings, capture_output=True, check=True, timeout=processes.PATIENCE_SECONDS)
    found = json.loads(done.stdout)
    return statistics.median(found["plain"]) / 1000, statistics.median(found["traced"]) / 1000


def _figure(name: str, shown: str, pairs: list[tuple[float, float]]) -> Figure:
    plain, traced = zip(*pairs, strict=True)
    is_rota = name == "rota"
    note = "in the spool" if is_rota else f"{environments.version_of(name)}, endpoint closed"
    return Figure("task span", shown, "µs", traced, _PLAIN, plain, budget="task_span" if is_rota else None, note=note)
