"""What a call costs that asks an agent for permission: an unmodified empty function under a policy, over a bare exchange."""

from __future__ import annotations

import json
import statistics
import subprocess
from pathlib import Path

from bench import environments, processes, servers
from bench.figures import Figure, share
from bench.startup import PROGRAMS

_ROUNDS, _CALLS = 5, 5000
_BARE = "a line there and back between two Pythons"
POLICY = {"version": 1, "tasks": {"permitted*": {"permit": True}, "observed": {}}}


def measure(effort: float) -> list[Figure]:
    """A round is a process, in which all take turns; its values are medians and p99 of single calls."""
    python = environments.rota()
    with processes.scratch() as work, servers.reserved() as closed:
        home = work / "home"
        (home / "policy").mkdir(parents=True)
        (home / "policy" / "rota_permitted.json").write_text(json.dumps(POLICY))
        with servers.agent(home, f"http://127.0.0.1:{closed}") as socket:
            settings = processes.environment(home, ROTA_AGENT=socket, ROTA_DETACH="off")
            taken = [_microseconds(python, settings, work, share(_CALLS, effort)) for _ in range(share(_ROUNDS, effort))]
    what = ("permitted", "p99", "awaited", "asked", "bare")
    permitted, p99, awaited, asked, bare = (tuple(found[name] for found in taken) for name in what)
    note = "an unmodified empty function; its span included"
    each = f"{note}; nothing that the agent said stands"
    return [
        Figure("permitted call, p50", "rota", "µs", permitted, _BARE, bare, budget="permit", is_goal_compared=False, note=note),
        Figure("permitted call, p99", "rota", "µs", p99, _BARE, bare, note=note),
        Figure("permitted coroutine, p50", "rota", "µs", awaited, _BARE, bare, note=f"{note}; awaited on asyncio"),
        Figure("call that asks the agent, p50", "rota", "µs", asked, _BARE, bare, note=each),
    ]


def _microseconds(python: str, settings: dict[str, str], work: Path, calls: int) -> dict[str, float]:
    command = [python, str(PROGRAMS / "rota_permitted.py"), str(calls), str(work / "echo.sock")]
    done = subprocess.run(command, env=settings, capture_output=True, check=True, timeout=processes.PATIENCE_SECONDS)
    found = {name: sorted(values) for name, values in json.loads(done.stdout).items()}
    if found.pop("blind") != []:
        raise RuntimeError("nobody answered: the agent is not asked, or the policy is not found")
    at_p99 = found["permitted"][len(found["permitted"]) * 99 // 100]
    return {"p99": at_p99 / 1000, **{name: statistics.median(values) / 1000 for name, values in found.items()}}
