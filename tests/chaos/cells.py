"""The matrix of ``matrix.toml``: its cells, a sample of them, and what the endings table promises for each."""

from __future__ import annotations

import itertools
import random
import tomllib
from pathlib import Path
from typing import NamedTuple

_MATRIX = tomllib.loads((Path(__file__).parent / "matrix.toml").read_text())
EXITS, PROCESSES, ALONGSIDE, COLLECTORS = (tuple(_MATRIX[name]) for name in ("exits", "processes", "alongside", "collectors"))

STATUS = {"0": 0, "1": 1, "77": 77, "255": 255, "uncaught": 1, "_exit": 7} | {
    name: -number for name, number in {"SIGTERM": 15, "SIGINT": 2, "SIGKILL": 9, "SIGSEGV": 11, "abort": 6}.items()
}  # as `subprocess` tells it
_TOLD_BY_ITSELF = ("0", "1", "77", "255", "uncaught", "SIGINT")
ENDING_CHILDREN = ("fork", "spawn", "forkserver", "subprocess")


class Cell(NamedTuple):
    """One combination; ``version`` is that of the interpreter (``3.12``)."""

    exit: str
    process: str
    alongside: str
    collector: str
    version: str

    def __str__(self) -> str:
        return "-".join(self)


class Promise(NamedTuple):
    """What has to be known of a run afterwards. ``exit_code`` None: it cannot be known."""

    state: str
    exit_code: int | None


def every(versions: list[str]) -> list[Cell]:
    """All cells, in order."""
    return [Cell(*values) for values in itertools.product(EXITS, PROCESSES, ALONGSIDE, COLLECTORS, versions)]


def sample(versions: list[str], seed: int) -> list[Cell]:
    """Every exit with half of the processes, and every process with half of the exits: as the white squares of a board, whose
    black ones are the next seed's. Of the other dimensions each value is dealt equally often.
    """
    chance = random.Random(seed)
    pairs = [(way, each) for i, way in enumerate(EXITS) for each in PROCESSES[(i + seed) % 2 :: 2]]
    dealt = [_dealt(values, len(pairs), chance) for values in (ALONGSIDE, COLLECTORS, versions)]
    return [Cell(*pair, *others) for pair, *others in zip(pairs, *dealt, strict=True)]


def _dealt(values: tuple[str, ...] | list[str], count: int, chance: random.Random) -> list[str]:
    found = list(itertools.islice(itertools.cycle(values), count))
    chance.shuffle(found)
    return found


def promise(cell: Cell, kernel_tells: bool) -> Promise:
    """The endings table of the design, for the process itself."""
    status = STATUS[cell.exit]
    exact = Promise(_state(status), status if status >= 0 else 128 - status)
    if cell.collector == "agent" and kernel_tells:
        return exact
    is_told = cell.exit in _TOLD_BY_ITSELF and cell.process != "exec"  # another program took its place and cannot tell
    return exact if is_told else Promise("crashed", None)


def _state(status: int) -> str:
    if status in (-15, -2):
        return "cancelled"
    return "crashed" if status < 0 else "failed" if status else "succeeded"
