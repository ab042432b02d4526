"""Opening a DuckDB file: made beside and renamed, locked down, and never in the way of a restart."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb

from rota_collector import _files
from rota_collector.errors import StoreError, StoreLocked, StoreNewer
from rota_collector.store import copies, migrations
from rota_collector.store.clone import clone
from rota_collector.store.sql import queries

_SQL = queries("telemetry.sql")

# Of a new file: what compresses best is not written for old DuckDBs.
STORAGE: dict[str, str | bool | int | float | list[str]] = {"storage_compatibility_version": "latest"}


def open_or_renew(path: Path, schema: str, memory: int, threads: int | None) -> tuple[duckdb.DuckDBPyConnection, Path | None]:
    """The open database, which takes ``memory`` bytes at most, and where a file was moved that could not be opened.

    Raises ``StoreLocked`` when another process has it open, ``StoreNewer`` when a newer DuckDB wrote it, ``StoreError`` when
    it can be neither opened nor made.
    """
    config = _config(memory, threads)
    try:
        _take_compacted(path)
        if not path.exists():
            _begin(path, schema)
        return _opened(path, config), None
    except (duckdb.Error, OSError) as error:
        if "lock on file" in str(error):
            raise StoreLocked(f"another process has {path} open; stop it, or set another ROTA_HOME") from error
        if "database file with version number" in str(error):  # nothing is wrong with it
            raise StoreNewer(f"{path} was written by a newer DuckDB; install that version of rota again: {error}") from error
        if isinstance(error, OSError) or not path.exists() or not os.access(path, os.R_OK | os.W_OK):
            raise StoreError(f"cannot open {path}: {error}") from error
    aside = _set_aside(path)
    try:
        _begin(path, schema)
        return _opened(path, config), aside
    except (duckdb.Error, OSError) as error:
        raise StoreError(f"cannot make {path} anew: {error}; the old file is {aside}") from error


@contextlib.contextmanager
def making(path: Path, config: Mapping[str, Any]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A new database, which is whole and on disk behind the block.

    DuckDB moves what its write-ahead log has into the file when it closes it, and says nothing when that fails. So it is asked
    to before. Raises duckdb.Error, OSError.
    """
    with duckdb.connect(path, config=dict(config)) as connection:
        yield connection
        connection.execute("CHECKPOINT")
    if _wal(path).exists():
        raise OSError(f"{path} is not whole: {_wal(path).name} has the rest of it")
    with path.open("rb") as file:
        os.fsync(file.fileno())


def migrate(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Bring an open telemetry database to the newest schema, in one transaction. Raises StoreNewer when it is beyond that."""
    missing = migrations.due("telemetry", _version(connection), path)
    if not missing:
        return
    connection.begin()
    try:
        for step in missing:
            connection.execute(step.statements)
        connection.execute(_SQL["note_version"].format(version=missing[-1].version))
        connection.commit()
    except duckdb.Error:
        connection.rollback()
        raise


def _opened(path: Path, config: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
    """Raises duckdb.Error, also for a file without tables: there is nothing in it that could be brought up to date."""
    connection = duckdb.connect(path, config=dict(config))
    if not connection.execute(_SQL["has_tables"]).fetchall()[0][0]:
        connection.close()
        raise duckdb.CatalogException(f"{path} has no tables")
    return connection


def _version(connection: duckdb.DuckDBPyConnection) -> int:
    if not connection.execute(_SQL["has_version"]).fetchall()[0][0]:
        return 1
    return int(connection.execute(_SQL["version"]).fetchall()[0][0])


def _config(memory: int, threads: int | None) -> dict[str, str | bool | int | float | list[str]]:
    """Locked down: SQL from users runs in this database. It reads no file and no variable of ours, and changes no setting."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "enable_external_access": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
        "python_enable_replacements": "false",
        "memory_limit": f"{memory}B",
        "max_temp_directory_size": "1GB",  # of queries that spill; the disk is the journal's
        "checkpoint_threshold": "1TB",  # never by itself: see store.upkeep
        "lock_configuration": "true",
    }
    if threads:
        config["threads"] = threads
    return config


def remove(path: Path) -> None:
    """A database file and its write-ahead log, the log first: without it a file is as it was, and whole."""
    for file in (_wal(path), path):
        file.unlink(missing_ok=True)


def replace(path: Path, beside: Path) -> None:
    """Put a database that is whole and closed in the place of another."""
    _wal(path).unlink(missing_ok=True)
    beside.rename(path)
    _files.sync_directory(path.parent)


def compacted(path: Path) -> Path:
    """Where a database written anew waits to take the place of ``path``, at the next start."""
    return path.with_name(path.name + ".compacted")


def _take_compacted(path: Path) -> None:
    if not compacted(path).exists():
        return
    if path.exists():
        _refuse_if_open(path)
    replace(path, compacted(path))


def _refuse_if_open(path: Path) -> None:
    with path.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as DuckDB does
        except OSError as error:
            raise StoreLocked(f"another process has {path} open; stop it, or set another ROTA_HOME") from error


def _begin(path: Path, schema: str) -> None:
    """From the last verified copy; where there is none, or it is broken too, with nothing."""
    copy = copies.latest(path.parent / "copies")
    if copy is not None:
        beside = path.with_name(path.name + ".new")
        remove(beside)
        clone(copy.directory / copies.TELEMETRY, beside)
        try:
            duckdb.connect(beside, read_only=True).close()
            replace(path, beside)
        except duckdb.Error:
            remove(beside)
        else:
            return
    _create(path, schema)


def _create(path: Path, schema: str) -> None:
    """A kill during the creation of a database leaves a file that nothing opens; so it gets its name when it is whole."""
    beside = path.with_name(path.name + ".new")
    remove(beside)
    with making(beside, STORAGE) as connection:
        connection.execute(schema)
        connection.execute(_SQL["note_version"].format(version=migrations.newest("telemetry")))
    replace(path, beside)


def _set_aside(path: Path) -> Path:
    aside = path.with_name(f"{path.name}.bad-{time.time_ns()}")
    wal = _wal(path)
    if wal.exists():
        wal.rename(_wal(aside))
    path.rename(aside)
    _files.sync_directory(path.parent)
    return aside


def _wal(path: Path) -> Path:
    return path.with_name(path.name + ".wal")
