"""Resident memory that an observed script has more than a bare one, at the end of its work."""

from __future__ import annotations

import functools
import subprocess

from bench import environments, processes, servers
from bench.figures import Figure, in_turn, share
from bench.startup import BARE, PROGRAMS, peer_settings

_ROUNDS = 10


def measure(effort: float) -> list[Figure]:
    """rota, then the peers, each over the bare interpreter of its environment."""
    rounds = share(_ROUNDS, effort)
    figures = []
    with processes.scratch() as work, servers.nothing() as port:
        endpoint = {"ROTA_AGENT": "off", "ROTA_ENDPOINT": f"http://127.0.0.1:{port}"}
        figures.append(_added("rota", "rota", environments.rota(), rounds, processes.environment(work, **endpoint)))
        for name, shown in environments.PEERS.items():
            settings = processes.environment(work, **peer_settings(name, port))
            figures.append(_added(name, shown, environments.peer(name), rounds, settings))
    return figures


def _added(name: str, shown: str, python: str, rounds: int, settings: dict[str, str]) -> Figure:
    bare, observed = in_turn(
        rounds,
        functools.partial(_resident_megabytes, python, "bare", settings),
        functools.partial(_resident_megabytes, python, f"{name}_run", settings),
    )
    return Figure("resident memory", shown, "MB", observed, BARE, bare, budget="memory" if name == "rota" else None)


def _resident_megabytes(python: str, program: str, settings: dict[str, str]) -> float:
    command = [python, str(PROGRAMS / "resident.py"), str(PROGRAMS / f"{program}.py")]
    done = subprocess.run(command, env=settings, capture_output=True, check=True, timeout=processes.PATIENCE_SECONDS)
    return int(done.stdout) / 1000
