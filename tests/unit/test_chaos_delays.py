"""The table of delays that `make soak` tells."""

from __future__ import annotations

from chaos.cells import Cell
from chaos.delays import Delays, told


def cell(collector: str) -> Cell:
    return Cell("0", "plain", "nothing", collector, "3.12")


def test_median_and_p99_of_each_collector_that_was_met():
    """Each is the time with rota less the time without; collectors come in the matrix's order, with the number of cells."""
    delays = Delays()
    delays.add(cell("dns"), 1.0, 1.5)
    for milliseconds in range(1, 202):
        delays.add(cell("closed"), 2 + milliseconds / 1000, 2.0)
    figures = delays.figures()
    assert delays.cells == 202
    assert [figure.name for figure in figures] == ["closed, median", "closed, p99", "dns, median", "dns, p99"]
    assert [round(figure.judged) for figure in figures] == [101, 199, -500, -500]
    assert "+101 ms   201 cells; the goal for one process is ≤ 5 ms" in told(figures)
