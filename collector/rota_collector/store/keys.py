"""Keys, as every process of the collector asks for them: kept as hashes, known in memory, and never older than the file.

A key that one process makes or revokes, another may be asked for a moment later. So each look asks for a number that grows
with every change, and reads the keys anew when it grew. The number is in the file; who makes the changes may tell it, which
costs no query. This module asks SQLite itself and imports nothing heavy: whoever only receives needs no more than the file.
Changes are made in ``key_changes``.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from rota_collector.clock import Clock
from rota_collector.domain.reach import EVERYTHING, Reach
from rota_collector.errors import StoreError
from rota_collector.store.direct import connect

PING, INGEST, READ, OPERATE, ADMIN = SCOPES = ("ping", "ingest", "read", "operate", "admin")
GUARDED = (INGEST, READ, OPERATE, ADMIN)  # as soon as there is a key of one of these, they are asked for
_INCLUDES = {
    PING: {PING}, INGEST: {INGEST}, READ: {READ}, OPERATE: {INGEST, READ, OPERATE}, ADMIN: {INGEST, READ, OPERATE, ADMIN},
}  # fmt: skip
_SHORT_ID = 8

_NUMBER = "SELECT number FROM key_changes"
_UNREVOKED = """
    SELECT id, hash, scope, name, workflow, pattern, created_ns, expires_ns, revoked_ns FROM keys WHERE revoked_ns IS NULL"""


class Key(NamedTuple):
    """A key, without the key itself. Times are Unix ns.

    ``workflow``: it is bound to this one; ``pattern``: it is for those that match, one pattern a line; neither: for all.
    """

    id: str
    hash: str
    scope: str
    name: str
    workflow: str | None
    pattern: str | None
    created_ns: int
    expires_ns: int | None
    revoked_ns: int | None

    @property
    def short(self) -> str:
        """What to call a key that has no name."""
        return f"{self.scope} {self.id[:_SHORT_ID]}"

    @property
    def shown(self) -> str:
        """What to call it."""
        return self.name or self.short

    @property
    def patterns(self) -> tuple[str, ...]:
        """The patterns of those that it is for; none: it has no such limit."""
        return tuple(self.pattern.split("\n")) if self.pattern else ()

    @property
    def reach(self) -> Reach:
        """The workflows that it is for."""
        if self.workflow is not None:
            return Reach(names=(self.workflow,))
        return Reach(self.patterns) if self.pattern else EVERYTHING

    def allows(self, workflow: str) -> bool:
        """Whether it is for this workflow."""
        if self.workflow is not None:
            return workflow == self.workflow
        return not self.pattern or any(fnmatchcase(workflow, each) for each in self.patterns)

    def may(self, needed: str) -> bool:
        """Whether its scope includes ``needed``."""
        return includes(self.scope, needed)

    def is_over(self, now_ns: int) -> bool:
        """Whether it was revoked, or its time is up."""
        return self.revoked_ns is not None or (self.expires_ns is not None and self.expires_ns <= now_ns)


class Keys:
    """The keys in the control database at ``path``, which need not be there yet. Any thread. Asking raises StoreError.

    ``told`` is the number of the last change as ``KeyChanges`` tells it; 0: it does not, and the file is asked.
    """

    def __init__(self, path: Path, clock: Clock, told: Callable[[], int] = lambda: 0) -> None:
        self._path, self._clock, self._told = path, clock, told
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._number: int | None = None  # of the change that what follows is as of
        self._by_hash: dict[str, Key] = {}
        self._is_open = True

    @property
    def is_open(self) -> bool:
        """There is no key but for pings, so that nobody can be asked for one. That a key expires opens nothing."""
        with self._lock:
            self._renew()
            return self._is_open

    def find(self, plain: str) -> Key | None:
        """The key that is spelled so, if it is valid.

        It is looked up by its hash: how long that takes says nothing of the key, which nobody can guess bit by bit then.
        """
        with self._lock:
            self._renew()
            key = self._by_hash.get(hash_of(plain))
        return None if key is None or key.is_over(self._clock.now_ns()) else key

    def ping_key(self, plain: str) -> Key | None:
        """The same, if it may ping."""
        key = self.find(plain)
        return key if key is not None and key.scope == PING else None

    def valid(self) -> list[Key]:
        """All keys that are valid."""
        now_ns = self._clock.now_ns()
        with self._lock:
            self._renew()
            return [key for key in self._by_hash.values() if not key.is_over(now_ns)]

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _renew(self) -> None:
        """Have what is remembered be as of now."""
        if self._number is not None and self._told() == self._number:
            return
        try:
            if self._connection is None:
                if not self._path.exists():
                    return
                self._connection = connect(self._path)
            number = self._read_number(self._connection)
            if number is None or number != self._number:
                self._by_hash = {key.hash: key for key in _unrevoked(self._connection)}
                self._is_open = not any(key.scope in GUARDED for key in self._by_hash.values())
                self._number = number
        except sqlite3.Error as error:
            raise StoreError(f"cannot look up keys in {self._path}: {error}. Nobody is let in until that works") from error

    def _read_number(self, connection: sqlite3.Connection) -> int | None:
        try:
            row = connection.execute(_NUMBER).fetchone()
        except sqlite3.OperationalError as error:
            if _is_missing(error, "key_changes"):
                return None
            raise
        return None if row is None else int(row[0])


def _unrevoked(connection: sqlite3.Connection) -> list[Key]:
    try:
        return [Key._make(row) for row in connection.execute(_UNREVOKED)]
    except sqlite3.OperationalError as error:
        if _is_missing(error, "keys"):  # nobody made a table yet, let alone a key
            return []
        raise


def _is_missing(error: sqlite3.OperationalError, table: str) -> bool:
    return str(error) == f"no such table: {table}"


def includes(scope: str, needed: str) -> bool:
    """Whether a scope includes another: `operate` and `admin` all but pings, the others themselves only."""
    return needed in _INCLUDES[scope]


def hash_of(plain: str) -> str:
    """SHA-256 in hex; a random key of 128 bits and more needs no slow hash."""
    return hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest()
