"""The control database as a process opens it that only reads, and only a little: without SQLAlchemy, its memory and its start."""

from __future__ import annotations

import sqlite3
from pathlib import Path

_BUSY_SECONDS = 1.0


def connect(path: Path) -> sqlite3.Connection:
    """A connection that writes nothing, to a file that is there, for any thread. Raises sqlite3.Error."""
    # Not mode=ro: who comes first, or alone, has to make the file that readers and writers of a WAL share.
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, _BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=True)
    connection.execute("PRAGMA query_only=ON")
    return connection
