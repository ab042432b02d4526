"""What an observed call of a library costs: a statement of sqlite3 over the same unseen, and over its span."""

from __future__ import annotations

import json
import statistics
import subprocess

from bench import environments, processes
from bench.figures import Figure, share
from bench.startup import PROGRAMS
from bench.task_span import spooling

_ROUNDS, _BATCHES = 5, 300
_PLAIN = "the statement, unseen"


def measure(effort: float) -> list[Figure]:
    """A round is a process; its value the median of its batches, which take turns inside it."""
    python = environments.rota()
    with processes.scratch() as work:
        settings = processes.environment(work, **spooling())
        taken = [_microseconds(python, settings, share(_BATCHES, effort)) for _ in range(share(_ROUNDS, effort))]
    plain, full, shared, span = (tuple(found[what] for found in taken) for what in ("plain", "full", "shared", "span"))
    with_span = tuple(a + b for a, b in zip(plain, span, strict=True))
    note = "SELECT of one row from memory, executed and fetched"
    return [
        Figure("call over its span", "rota", "µs", full, "the statement and a task span", with_span, budget="call", note=note),
        Figure("call with a span", "rota", "µs", full, _PLAIN, plain, note=note),
        Figure("call that shares a span", "rota", "µs", shared, _PLAIN, plain, note="from the 101st of a kind in a task on"),
    ]


def _microseconds(python: str, settings: dict[str, str], batches: int) -> dict[str, float]:
    command = [python, str(PROGRAMS / "rota_calls.py"), str(batches)]
    done = subprocess.run(command, env=settings, capture_output=True, check=True, timeout=processes.PATIENCE_SECONDS)
    return {what: statistics.median(values) / 1000 for what, values in json.loads(done.stdout).items()}
