"""Which levels of a workflow report anything: infrastructure, code, data, the systems it works with. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

# level → what people call a signal → the counts that it is known by
LEVELS: dict[str, dict[str, tuple[str, ...]]] = {
    "infrastructure": {
        "host": ("hosts",),
        "exit status": ("exit_codes",),
        "signal": ("signals",),
        "CPU": ("cpu", "metric process.cpu.time", "metric process.cpu.utilization"),
        "memory": ("memory", "metric process.memory.usage"),
        "disk": ("metric process.disk.io",),
    },
    "code": {"tasks": ("tasks",), "exceptions": ("exceptions", "stacks"), "output": ("output",), "logging": ("logging",)},
    "data": {"datasets": ("datasets",), "numbers": ("facts", "recorded")},
    "systems": {"databases": ("databases",), "HTTP": ("http",), "calls": ("systems",)},
}
_FAILING = {"code": "failed_tasks", "systems": "failed_systems"}


class Lamp(NamedTuple):
    """What a level reports; ``is_failing``: it said of the last run that something went wrong there."""

    level: str
    signals: list[str]
    is_failing: bool


def lamps(counts: Mapping[str, int]) -> list[Lamp]:
    """The four lamps, from how many signals of each kind the last runs reported."""
    return [
        Lamp(
            level,
            [name for name, kinds in signals.items() if any(counts.get(kind) for kind in kinds)],
            counts.get(_FAILING.get(level, ""), 0) > 0,
        )
        for level, signals in LEVELS.items()
    ]
