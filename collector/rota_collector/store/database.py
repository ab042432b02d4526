"""Opening a DuckDB file: made beside and renamed, locked down, and never in the way of a restart."""

from __future__ import annotations

import os
import time
from pathlib import Path

import duckdb

from rota_collector import _files
from rota_collector.errors import StoreError, StoreLocked

# Of a new file: what compresses best is not written for old DuckDBs.
_STORAGE: dict[str, str | bool | int | float | list[str]] = {"storage_compatibility_version": "latest"}


def open_or_renew(
    path: Path, schema: str, memory_limit: str, threads: int | None
) -> tuple[duckdb.DuckDBPyConnection, Path | None]:
    """The open database, and where a file was moved that could not be opened.

    Raises ``StoreLocked`` when another process has it open, ``StoreError`` when it can be neither opened nor made.
    """
    config = _config(memory_limit, threads)
    try:
        if not path.exists():
            _create(path, schema)
        return duckdb.connect(path, config=config), None
    except (duckdb.Error, OSError) as error:
        if "lock on file" in str(error):
            raise StoreLocked(f"another process has {path} open; stop it, or set another ROTA_HOME") from error
        if isinstance(error, OSError) or not path.exists() or not os.access(path, os.R_OK | os.W_OK):
            raise StoreError(f"cannot open {path}: {error}") from error
    aside = _set_aside(path)
    try:
        _create(path, schema)
        return duckdb.connect(path, config=config), aside
    except (duckdb.Error, OSError) as error:
        raise StoreError(f"cannot make {path} anew: {error}; the old file is {aside}") from error


def _config(memory_limit: str, threads: int | None) -> dict[str, str | bool | int | float | list[str]]:
    """Locked down: SQL from users runs in this database. It reads no file and no variable of ours, and changes no setting."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "enable_external_access": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
        "python_enable_replacements": "false",
        "memory_limit": memory_limit,
        "checkpoint_threshold": "128MB",  # with less, row groups are written again and again before they are full
        "lock_configuration": "true",
    }
    if threads:
        config["threads"] = threads
    return config


def _create(path: Path, schema: str) -> None:
    """A kill during the creation of a database leaves a file that nothing opens; so it gets its name when it is whole."""
    beside = path.with_name(path.name + ".new")
    for leftover in (beside, _wal(beside)):
        leftover.unlink(missing_ok=True)
    with duckdb.connect(beside, config=_STORAGE) as connection:
        connection.execute(schema)
    with beside.open("rb") as file:
        os.fsync(file.fileno())
    beside.rename(path)
    _files.sync_directory(path.parent)


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
