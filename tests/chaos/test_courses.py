"""kill -9 of a job, its agent or the collector at every step of a run that is retried under a gate, with a run before it and one
behind it: each ends as it really did, told once, the one behind goes on, and nothing stays taken.

A seeded sample in `make test` (`ROTA_SEED` chooses another); every step in `make soak`.
"""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from chaos.course import CELLS, play
from chaos.kept import Kept

SEED = int(os.environ.get("ROTA_SEED", "1"))
SAMPLE, AT_ONCE = 2, 2


def _folder(tmp_path: Path, cell: tuple[str, str]) -> Path:
    """By number: the path of a socket must be short."""
    return tmp_path / str(CELLS.index(cell))


def test_kills_at_some_steps(tmp_path: Path) -> None:
    """Some of them."""
    cells = random.Random(SEED).sample([cell for cell in CELLS if cell[0] != "lease renewed"], SAMPLE)
    with ThreadPoolExecutor(AT_ONCE) as workers:
        found = workers.map(lambda cell: play(_folder(tmp_path, cell), *cell), cells)
        assert [problem for problems in found for problem in problems] == []


@pytest.mark.soak
def test_kills_at_every_step(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """All of them."""
    kept, problems = Kept("courses", pytestconfig), list[str]()
    with ThreadPoolExecutor(AT_ONCE) as workers:
        found = workers.map(lambda cell: play(_folder(tmp_path, cell), *cell), CELLS)
        for number, each in enumerate(found, 1):
            problems += each
            kept.keep(
                {"kills": number, "of": len(CELLS), "problems": problems}, f"courses: {number} kills, {len(problems)} problems"
            )
    assert problems == []
