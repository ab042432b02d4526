"""Verified copies of both stores: what allows the journal to forget, and what a broken store begins again from.

``copies/OFFSET/`` holds ``telemetry.duckdb``, ``control.sqlite`` and ``copy.json``. It gets that name when all of it is on
disk and has been read back, so that a directory that is there is a good one.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rota_collector import _files
from rota_collector.errors import CopyFailed
from rota_collector.store.clone import NEVER, Pace, clone

if TYPE_CHECKING:
    from rota_collector.store.telemetry import Telemetry

TELEMETRY, CONTROL = "telemetry.duckdb", "control.sqlite"
_ABOUT = "copy.json"
_POLL_SECONDS = 0.2
_PAGES = 256  # of SQLite, in one step: 1 MiB


class Copy(NamedTuple):
    """A verified copy, and up to where it holds the journal."""

    directory: Path
    telemetry_offset: int
    control_offset: int

    @property
    def offset(self) -> int:
        """Everything before it is in both stores."""
        return min(self.telemetry_offset, self.control_offset)


def latest(copies: Path) -> Copy | None:
    """The copy that holds most of the journal; None: there is none."""
    found = sorted(path for path in copies.glob("*") if path.name.isdecimal() and path.is_dir())
    if not found:
        return None
    about = json.loads((found[-1] / _ABOUT).read_text(encoding="utf-8"))
    return Copy(found[-1], about["telemetry_offset"], about["control_offset"])


def begin_control(home: Path) -> Path | None:
    """Where there is no control store, begin with the one of the latest copy, without which the journal may be too short: the
    copy; None: there is a store, or no copy.
    """
    path, copy = home / CONTROL, latest(home / "copies")
    if path.exists() or copy is None:
        return None
    for left in ("-wal", "-shm"):  # of a file that was moved away: they would be read as if they were of this one
        path.with_name(path.name + left).unlink(missing_ok=True)
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    clone(copy.directory / CONTROL, beside)
    beside.rename(path)
    _files.sync_directory(home)
    return copy.directory / CONTROL


def make(home: Path, telemetry: Telemetry, stopping: threading.Event, reserve: int = 0) -> Copy:
    """Copy both stores while they are used; read the copy back. ``reserve`` bytes of the disk stay free. Raises CopyFailed."""
    copies = home / "copies"
    with contextlib.suppress(FileExistsError):
        copies.mkdir(mode=0o700)
    for unfinished in copies.glob("*.new"):
        shutil.rmtree(unfinished)
    beside = copies / "copy.new"
    try:
        beside.mkdir(mode=0o700)
        _refuse_without_room(home, reserve)
        copy = _fill(beside, telemetry, home / CONTROL, stopping)
        named = copies / f"{copy.telemetry_offset:020d}"
        if not named.exists():
            beside.rename(named)
        _files.sync_directory(copies)
    except OSError as error:
        raise CopyFailed(f"cannot make a copy in {copies}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return copy._replace(directory=named)


def remove_older(home: Path) -> None:
    """Remove all but the latest copy."""
    copy = latest(home / "copies")
    for older in copy.directory.parent.iterdir() if copy else ():
        if older.name.isdecimal() and copy and older.name < copy.directory.name:
            shutil.rmtree(older)


def _refuse_without_room(home: Path, reserve: int) -> None:
    needed, free = sum((home / name).stat().st_size for name in (TELEMETRY, CONTROL)), shutil.disk_usage(home).free
    if needed + reserve > free:
        raise CopyFailed(
            f"no room for a copy of the stores in {home}: it takes {needed} bytes, and of {free} that are free {reserve} are "
            "reserved (ROTA_DISK_RESERVE). The journal is kept until there is one"
        )


def _fill(directory: Path, telemetry: Telemetry, control: Path, stopping: threading.Event) -> Copy:
    with telemetry.frozen() as frozen:
        clone(frozen.path, directory / TELEMETRY, stopping)
    copy_control(control, directory / CONTROL, stopping)
    found = _read_back(directory / TELEMETRY, stopping)
    if found != {"offset": frozen.offset, "rows": frozen.rows}:
        raise CopyFailed(f"the copy of {frozen.path} holds {found}, and not {frozen.rows} up to {frozen.offset}: it is not used")
    copy = Copy(directory, frozen.offset, control_offset(directory / CONTROL))
    about = {"telemetry_offset": copy.telemetry_offset, "control_offset": copy.control_offset, "rows": frozen.rows}
    with (directory / _ABOUT).open("w", encoding="utf-8") as file:
        json.dump(about, file)
        file.flush()
        _files.sync(file.fileno())
    _files.sync_directory(directory)
    return copy


def copy_control(control: Path, target: Path, stopping: threading.Event = NEVER) -> None:
    """Copy the control store, whoever uses it meanwhile, and check the copy. Raises CopyFailed."""
    try:
        with contextlib.closing(sqlite3.connect(target, isolation_level=None)) as copy:
            copy.execute("PRAGMA journal_mode=OFF")
            copy.execute("PRAGMA synchronous=OFF")
            _copy_pages(control, copy, target, stopping)
            problems = [text for (text,) in copy.execute("PRAGMA integrity_check")]
    except sqlite3.Error as error:
        raise CopyFailed(f"cannot copy {control} to {target}: {error}") from error
    if problems != ["ok"]:
        raise CopyFailed(f"the copy of {control} is damaged: {'; '.join(problems[:3])}. Is {control} itself?")
    with target.open("rb") as file:
        _files.sync(file.fileno())


def _copy_pages(control: Path, copy: sqlite3.Connection, target: Path, stopping: threading.Event) -> None:
    with contextlib.closing(sqlite3.connect(control, isolation_level=None)) as original, target.open("rb") as written:
        # SQLite begins anew whenever somebody wrote between two steps, unless the connection sees the same all the time.
        original.execute("BEGIN")
        original.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        pace = Pace(written.fileno(), stopping)
        original.backup(copy, pages=_PAGES, progress=lambda *_: pace.keep())


def control_offset(path: Path) -> int:
    """How far the journal has been applied to a control store that nobody uses."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT offset FROM cursor").fetchone()[0])


def _read_back(path: Path, stopping: threading.Event) -> Any:
    """What a reader in another process finds: it is slow, on purpose, and takes a core from nobody."""
    return json.loads(run_aside("verify", [path], stopping))


def run_aside(module: str, paths: Sequence[Path], stopping: threading.Event) -> str:
    """Run a module of this package in a process of its own; what it prints. Raises CopyFailed."""
    command = [sys.executable, "-P", "-m", f"rota_collector.store.{module}", *map(str, paths)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not stopping.is_set():
        stopping.wait(_POLL_SECONDS)
    if process.poll() is None:
        process.kill()
    said, complaint = process.communicate()
    if stopping.is_set():
        raise CopyFailed("the copy was given up: the collector is stopping")
    if process.returncode != 0:
        why = complaint.strip().splitlines()[-1:] or [f"status {process.returncode}"]
        raise CopyFailed(f"cannot {module} {paths[0]}: {why[0]}")
    return said
