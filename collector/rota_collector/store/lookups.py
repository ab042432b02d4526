"""What receivers ask of control state, in a process that only reads it: light to import, and never in a writer's way."""

from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path
from typing import Any

from rota.rules.fold import Run
from rota_collector.errors import StoreError
from rota_collector.store.direct import connect

_OFFSET = "SELECT offset FROM cursor"
_KNOWN = "SELECT 1 FROM workflows WHERE name = ?"
_COLUMNS = ", ".join(Run._fields)
_RUN = f"SELECT {_COLUMNS} FROM runs WHERE run_id = ?"  # noqa: S608 (they are the fields of Run)
_RUNNING = f"""
    SELECT {_COLUMNS} FROM runs WHERE workflow = ? AND state = 'running' ORDER BY listed_ns DESC, run_id DESC LIMIT ?"""  # noqa: S608


class Lookups:
    """Reads the control database at ``path``, whose tables are there. Any thread. Asking raises StoreError."""

    def __init__(self, path: Path) -> None:
        self._path, self._turn = path, threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def offset(self) -> int:
        """The journal position (bytes) up to which every event is in this store."""
        return int(self._rows(_OFFSET)[0][0])

    def knows(self, workflow: str) -> bool:
        """Whether the workflow was ever seen, or has a policy."""
        return bool(self._rows(_KNOWN, workflow))

    def run(self, run_id: str) -> Run | None:
        """The run of this id, or None."""
        return next(map(_run, self._rows(_RUN, run_id)), None)

    def running(self, workflow: str, limit: int) -> list[Run]:
        """The runs of a workflow that run, the last started first."""
        return list(map(_run, self._rows(_RUNNING, workflow, limit)))

    def close(self) -> None:
        """Let go of the file."""
        with self._turn:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _rows(self, query: str, *values: object) -> list[Any]:
        try:
            with self._turn:
                self._connection = self._connection or connect(self._path)
                return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"cannot look up runs in {self._path}: {error}. Send it again when that works") from error


def _run(row: tuple[Any, ...]) -> Run:
    run = Run._make(row)
    return run._replace(tags=tuple(json.loads(run.tags)))  # type: ignore[arg-type]  # in the row it is still JSON text
