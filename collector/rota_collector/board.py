"""Numbers that the collector's two processes show each other.

A page of memory that both have mapped. Each cell has one writer, is eight aligned bytes, and so is written and read whole,
without a lock and without a message: what is asked at every request must cost nothing.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from enum import IntEnum

_BYTES = mmap.PAGESIZE


class Cell(IntEnum):
    """What a number means. The front writes the first ones, the keeper the others."""

    DURABLE_END = 0  # of the journal, in bytes
    STOPPING = 1  # 1: the front takes no more requests
    CONTROL_OFFSET = 8  # how far in the journal each store is
    TELEMETRY_OFFSET = 9
    ASKING = 10  # the number of the policies that ask; 0: nothing is asked of any run
    KEY_CHANGES = 11  # the number of the last one; 0: not told yet


class Board:
    """The page behind the descriptor ``fd``; without one, a new page, all zero. Numbers are 0 to 2**64 - 1."""

    def __init__(self, fd: int | None = None) -> None:
        self.fd = _new_page() if fd is None else fd
        self._cells = memoryview(mmap.mmap(self.fd, _BYTES)).cast("Q")

    def __getitem__(self, cell: Cell) -> int:
        return self._cells[cell]

    def __setitem__(self, cell: Cell, number: int) -> None:
        self._cells[cell] = number

    def lag_bytes(self) -> int:
        """How much of the journal the store that is furthest behind does not have yet."""
        return max(0, self[Cell.DURABLE_END] - min(self[Cell.CONTROL_OFFSET], self[Cell.TELEMETRY_OFFSET]))


def _new_page() -> int:
    with tempfile.TemporaryFile() as file:
        fd = os.dup(file.fileno())
    os.truncate(fd, _BYTES)
    return fd
