"""What `rota exec` costs a command that does nothing, over an interpreter that does nothing, and what it weighs meanwhile."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path

from bench import environments, processes, servers
from bench.figures import Figure, in_turn, share

_ROUNDS, _WEIGHINGS = 80, 10
_BASE = "python -c pass"
_RESIDENT = "awk '/^VmRSS/ {print $2}' /proc/$PPID/status"


def measure(effort: float) -> list[Figure]:
    """Delivered to a collector, told to an agent, to nobody; then resident memory."""
    python = environments.rota()
    rota = str(Path(python).with_name("rota"))
    with processes.scratch() as work, servers.collector(work / "server") as collector:
        home = work / "client"
        with servers.agent(home, collector.url) as socket:
            plain = processes.environment(home)
            direct = plain | {"ROTA_AGENT": "off", "ROTA_ENDPOINT": collector.url, "ROTA_WORKFLOW": "bench.exec.direct"}
            told = plain | {"ROTA_AGENT": socket, "ROTA_ENDPOINT": collector.url, "ROTA_WORKFLOW": "bench.exec.agent"}
            rounds = share(_ROUNDS, effort)
            times = _times(python, rota, rounds, plain, direct, told)
            for workflow in ("bench.exec.direct", "bench.exec.agent"):
                _has_all(collector, workflow, rounds + 1)
            return [*times, _weight(python, rota, share(_WEIGHINGS, effort), told)]


def _times(
    python: str, rota: str, rounds: int, plain: dict[str, str], direct: dict[str, str], told: dict[str, str]
) -> list[Figure]:  # fmt: skip
    with servers.reserved() as port:
        closed = plain | {"ROTA_AGENT": "off", "ROTA_DETACH": "off", "ROTA_ENDPOINT": f"http://127.0.0.1:{port}"}
        base, *found = in_turn(
            rounds,
            functools.partial(_milliseconds, [python, "-c", "pass"], plain),
            *(functools.partial(_milliseconds, [rota, "exec", "--", "true"], settings) for settings in (direct, told, closed)),
        )
    note = f"all {rounds + 1} runs arrived, start and end"
    shown = (("to a collector", note, "exec"), ("to an agent", note, "exec"), ("nobody listens", "", None))
    return [
        Figure(f"rota exec -- true, {where}", "rota", "ms", values, _BASE, base, budget=budget, note=said)
        for (where, said, budget), values in zip(shown, found, strict=True)
    ]


def _milliseconds(command: list[str], settings: dict[str, str]) -> float:
    return processes.seconds(command, settings) * 1000


def _has_all(collector: servers.Collector, workflow: str, runs: int) -> None:
    """A cost without a delivery would be no figure."""
    servers.wait_for(lambda: collector.succeeded(workflow) == runs, f"{workflow}: not all of {runs} runs arrived")


def _weight(python: str, rota: str, rounds: int, settings: dict[str, str]) -> Figure:
    idle = [python, "-c", f"import os; os.spawnlp(os.P_WAIT, 'sh', 'sh', '-c', {_RESIDENT!r})"]
    base, waiting = in_turn(
        rounds,
        functools.partial(_megabytes, idle, settings),
        functools.partial(_megabytes, [rota, "exec", "--", "sh", "-c", _RESIDENT], settings),
    )
    return Figure("resident while the command runs", "rota", "MB", waiting, "an interpreter that waits for it", base)


def _megabytes(command: list[str], settings: dict[str, str]) -> float:
    done = subprocess.run(command, env=settings, stdout=subprocess.PIPE, check=True, timeout=processes.PATIENCE_SECONDS)
    return int(os.fsdecode(done.stdout)) / 1000
