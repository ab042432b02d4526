"""What watching costs and how soon it tells: a tick over 100,000 schedules, and the way from a deadline to an alert."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from bench import processes, servers
from bench.figures import Figure, share
from bench.startup import PROGRAMS

SCHEDULES = 100_000
_ROUNDS, _LATE, _SPREAD_SECONDS = 3, 1000, 20.0
FLOOR = "SQLite writing as many rows"
BARE = "a bare POST to the receiver"


def measure(effort: float) -> list[Figure]:
    """Ticks on stores of their own; alerts from a real collector to a real receiver."""
    rounds, count = share(_ROUNDS, effort), share(_LATE, effort)
    ticks = [_program("schedules.py", SCHEDULES) for _ in range(rounds)]
    with processes.scratch() as work:
        late = []
        for number in range(rounds):
            with servers.collector(work / f"server{number}") as collector:
                late.append(_program("late.py", collector.port, count, _SPREAD_SECONDS * count / _LATE))
    floor = tuple(1000 * tick["floor_seconds"] for tick in ticks)
    memory = tuple(tick["memory_mb"] for tick in ticks)
    note = f"{SCHEDULES:,} different schedules in five zones, none of which ran: every due slot is missed"
    asked = f"{count:,} deadlines over {_SPREAD_SECONDS * count / _LATE:g} s"
    return [
        Figure(
            "a tick, 1 % due",
            "rota",
            "ms",
            _milliseconds(ticks, "one_percent_seconds"),
            FLOOR,
            floor,
            "ratio",
            "tick.some",
            False,
            note,
        ),
        Figure(
            "a tick, all due", "rota", "ms", _milliseconds(ticks, "all_seconds"), FLOOR, floor, "ratio", "tick.all", False, note
        ),
        Figure("resident memory", "rota", "MB", memory, "the goal", (300.0,) * rounds, "ratio", None, False, note),
        Figure(
            "verdict, p99",
            "rota",
            "s",
            _p99(late, "verdicts"),
            BARE,
            _p99(late, "bare"),
            "difference",
            "verdict.p99",
            False,
            asked,
        ),
        Figure(
            "alert, p99", "rota", "s", _p99(late, "alerts"), BARE, _p99(late, "bare"), "difference", "alert.p99", False, asked
        ),
        Figure(
            "alert, p50", "rota", "s", _p99(late, "alerts", 0.5), BARE, _p99(late, "bare", 0.5), "difference", None, False, asked
        ),
    ]


def _program(name: str, *arguments: object) -> dict[str, Any]:
    command = [sys.executable, str(PROGRAMS / name), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=900)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _milliseconds(ticks: list[dict[str, Any]], which: str) -> tuple[float, ...]:
    return tuple(1000 * tick[which] for tick in ticks)


def _p99(rounds: list[dict[str, Any]], which: str, share_of: float = 0.99) -> tuple[float, ...]:
    return tuple(sorted(values[which])[int(share_of * (len(values[which]) - 1))] for values in rounds)
