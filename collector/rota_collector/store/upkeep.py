"""What keeps a telemetry database small and safe while it is used: checkpoints, moments that can be copied, forgetting."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import duckdb

from rota_collector.store.batch import LOGS, METRICS, RUN_EVENTS, SPANS, TABLES, Table
from rota_collector.store.readings import Readings
from rota_collector.store.sql import queries

_SQL = queries("telemetry.sql")
_CHECKPOINT_BYTES = 128 << 20  # of write-ahead log; with less, row groups are written again and again before they are full
_STEP_NS = 3_600 * 10**9  # of time, that is forgotten in one transaction

# What was told and decided about runs is kept with the runs: whose name it is, and which rows of its table.
FORGETTABLE: dict[str, tuple[tuple[Table, str], ...]] = {
    "spans": ((SPANS, "true"),),
    "logs": ((LOGS, "event_name IS NULL OR event_name NOT IN ({told})"),),
    "metrics": ((METRICS, "true"),),
    "runs": ((RUN_EVENTS, "true"), (LOGS, "event_name IN ({told})")),
}
_TOLD = "'rota.run.state', 'rota.slot.verdict', 'rota.incident', 'rota.gate.decision'"


class Frozen(NamedTuple):
    """A database file that does not change, and what is in it."""

    path: Path
    offset: int
    rows: dict[str, int]


class Size(NamedTuple):
    """Bytes of a database file, and how many of them hold nothing."""

    total: int
    free: int


class Upkeep(Readings):
    """The database of ``connection``. Whoever writes takes its turn."""

    _offset: int

    def __init__(self, connection: duckdb.DuckDBPyConnection, memory: int) -> None:
        super().__init__(connection, memory)
        self._writer = connection.cursor()
        self._turn = threading.RLock()
        self._is_frozen = False
        self._path = Path(self._writer.execute(_SQL["path"]).fetchall()[0][0])

    @contextlib.contextmanager
    def frozen(self) -> Iterator[Frozen]:
        """The file as it is now, for as long as this lasts: what is written meanwhile goes to the write-ahead log, or to
        places of the file that nothing in it speaks of.
        """
        with self._turn:
            self._writer.execute("CHECKPOINT")
            frozen = Frozen(self._path, self._offset, self._counts())
            self._is_frozen = True
        try:
            yield frozen
        finally:
            self._is_frozen = False

    def checkpoint(self) -> None:
        """Bring the write-ahead log into the file when it has grown large. Only here, so that a frozen file stays as it is."""
        log = self._path.with_name(self._path.name + ".wal")
        with self._turn:
            if not self._is_frozen and log.exists() and log.stat().st_size > _CHECKPOINT_BYTES:
                self._writer.execute("CHECKPOINT")

    def oldest(self, what: str) -> int | None:
        """When the first of the rows happened (Unix ns); None: there are none."""
        times = [self._oldest(table, rows) for table, rows in FORGETTABLE[what]]
        return min((time for time in times if time is not None), default=None)

    def forget(self, what: str, before_ns: int, stopping: threading.Event) -> int:
        """Delete the rows from before it, an hour in a transaction; how many. Applying goes on in between."""
        deleted = 0
        for table, rows in FORGETTABLE[what]:
            while (oldest := self._oldest(table, rows)) is not None and oldest < before_ns and not stopping.is_set():
                deleted += self._delete(table, rows, min(before_ns, oldest + _STEP_NS))
        return deleted

    def size(self) -> Size:
        """Of the file, as of the last checkpoint."""
        block, total, free = self._rows("database_size", [])[0]
        return Size(block * total, block * free)

    def _oldest(self, table: Table, rows: str) -> int | None:
        words = {"table": table.name, "time": table.time, "rows": rows.format(told=_TOLD)}
        with self.reader() as cursor:
            found: int | None = cursor.execute(_SQL["oldest"].format(**words)).fetchall()[0][0]
            return found

    def _delete(self, table: Table, rows: str, before_ns: int) -> int:
        words = {"table": table.name, "time": table.time, "rows": rows.format(told=_TOLD), "before_ns": before_ns}
        with self._turn:
            deleted = int(self._writer.execute(_SQL["delete_before"].format(**words)).fetchall()[0][0])
            self.checkpoint()
        return deleted

    def _counts(self) -> dict[str, int]:
        return {table.name: self._writer.execute(_SQL["count"].format(table=table.name)).fetchall()[0][0] for table in TABLES}
