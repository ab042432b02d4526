"""How much longer a program takes with rota, cell by cell. Never asserted: told at the end of `make soak`, beside the budgets."""

from __future__ import annotations

import statistics
from collections import defaultdict

from bench.budgets import BUDGETS
from bench.figures import Figure, number
from chaos.cells import Cell

# A cell is more than one process, so that its delay may be several times the budget of one.
BUDGET_OF = {
    "agent": "startup.agent", "up": "startup.collector", "closed": "exit.closed", "silent": "exit.silent",
    "garbage": "exit.closed", "tls": "exit.tls", "dns": "exit.dns",
}  # fmt: skip


class Delays:
    """Collects pairs of times, in seconds."""

    def __init__(self) -> None:
        self.cells = 0
        self._milliseconds: defaultdict[str, list[float]] = defaultdict(list)

    def add(self, cell: Cell, with_rota: float, without: float) -> None:
        """One cell was run both ways."""
        self.cells += 1
        self._milliseconds[cell.collector].append((with_rota - without) * 1000)

    def figures(self) -> list[Figure]:
        """Median and 99th percentile for each collector that was met, in the order of the table."""
        return [figure for name in BUDGET_OF if name in self._milliseconds for figure in self._figures(name)]

    def _figures(self, name: str) -> list[Figure]:
        found = sorted(self._milliseconds[name])
        budget = BUDGETS[BUDGET_OF[name]]
        note = f"{len(found)} cells; the goal for one process is {budget.goal}"
        ranks = {"median": statistics.median(found), "p99": found[round(0.99 * (len(found) - 1))]}
        return [
            Figure(f"{name}, {rank}", "rota", "ms", (value,), "the program without rota", (0.0,), note=note)
            for rank, value in ranks.items()
        ]


def told(figures: list[Figure]) -> str:
    """A line for each, for a terminal."""
    return "\n".join(f"  {figure.name:16} {number(figure.judged, '+'):>7} ms   {figure.note}" for figure in figures)
