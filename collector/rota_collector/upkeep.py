"""``python -m rota_collector.upkeep``: what is done to a home as a whole, behind ``rota collector backup|restore|…``.

A backup is laid out like a home: the latest verified copy, control state as it is now, and the journal since. So it needs
nothing of a running collector but that the journal stays, and a collector starts on it as after a crash.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rota_collector import _files, home
from rota_collector.clock import SystemClock
from rota_collector.config import Config
from rota_collector.errors import CollectorError, HomeLocked, StoreError
from rota_collector.journal import Journal
from rota_collector.store import copies, database
from rota_collector.store.clone import NEVER, clone
from rota_collector.store.telemetry import Telemetry
from rota_collector.watch.retention import segments

JOURNAL, COPIES = "journal", "copies"
_BATCH_BYTES = 32 << 20
_SAID_SECONDS = 1.0  # between two words on how far it is


def main(asked: dict[str, Any]) -> int:
    """Do one thing; 1 when it cannot be done, with the reason on stderr."""
    do: dict[str, Callable[[Path], str]] = {"rebuild": rebuild, "vacuum": vacuum}
    try:
        directory = Config.read().home
        if asked["do"] in do:
            said = do[asked["do"]](directory)
        else:
            said = {"backup": backup, "restore": restore}[asked["do"]](directory, Path(asked["directory"]).absolute())
    except (CollectorError, OSError) as error:
        sys.stderr.write(f"rota: {error}\n")
        return 1
    print(said)  # noqa: T201 (the answer)
    return 0


# -- backup and restore ---------------------------------------------------------------------------------------------------


def backup(directory: Path, target: Path) -> str:
    """Everything acknowledged until now into ``target``, which appears whole; a collector may run. Raises StoreError."""
    if target.exists():
        raise StoreError(f"{target} exists: name a directory that does not")
    if not (directory / copies.CONTROL).exists():
        raise StoreError(f"there is nothing to back up in {directory}: no collector ever ran there. Is ROTA_HOME right?")
    beside = target.with_name(target.name + ".new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o700, parents=True)
    with home.holding_journal(directory):
        first = _copy_stores(directory, beside)
        _copy_journal(directory / JOURNAL, beside / JOURNAL, first)
    _files.sync_directory(beside)
    beside.rename(target)
    _files.sync_directory(target.parent)
    return f"backed up {directory} to {target}: {_size(target)} bytes, with the journal from offset {first} on"


def _copy_stores(directory: Path, target: Path) -> int:
    """Copy control state and the latest copy; from where on the journal is needed for the rest."""
    copies.copy_control(directory / copies.CONTROL, target / copies.CONTROL)  # before the journal, which then goes further
    control = copies.control_offset(target / copies.CONTROL)
    copy = copies.latest(directory / COPIES)
    if copy is None:
        return 0
    (target / COPIES / copy.directory.name).mkdir(parents=True, mode=0o700)
    for file in copy.directory.iterdir():
        clone(file, target / COPIES / copy.directory.name / file.name)
    return min(control, copy.offset)


def _copy_journal(journal: Path, target: Path, first: int) -> None:
    target.mkdir(mode=0o700)
    for segment in segments(journal):
        if segment.end > first:
            clone(_files.segment_path(journal, segment.first), _files.segment_path(target, segment.first))
    _files.sync_directory(target)


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def restore(directory: Path, source: Path) -> str:
    """Make ``directory`` what was backed up to ``source``; what was there is kept beside. Raises HomeLocked, StoreError."""
    if not (source / copies.CONTROL).exists() or not (source / JOURNAL).is_dir():
        raise StoreError(f"{source} is no backup: `rota collector backup DIR` makes one")
    fd = home.lock(directory)
    try:
        incoming = directory / "restoring"
        shutil.rmtree(incoming, ignore_errors=True)
        _clone_tree(source, incoming)
        aside = _set_aside(directory)
        for part in sorted(incoming.iterdir()):
            part.rename(directory / part.name)
        incoming.rmdir()
        _files.sync_directory(directory)
    finally:
        os.close(fd)
    kept = f"; what was there before is in {aside}" if aside else ""
    return f"restored {source} to {directory}{kept}. Start the collector: it applies the rest of the journal"


def _clone_tree(source: Path, target: Path) -> None:
    target.mkdir(mode=0o700)
    for part in source.iterdir():
        if part.is_dir():
            _clone_tree(part, target / part.name)
        else:
            clone(part, target / part.name)
    _files.sync_directory(target)


def _set_aside(directory: Path) -> Path | None:
    """Move what a collector left; None: there was nothing."""
    ours = [*directory.glob(f"{copies.TELEMETRY}*"), *directory.glob(f"{copies.CONTROL}*")]
    ours += [directory / name for name in (JOURNAL, COPIES) if (directory / name).exists()]
    if not ours:
        return None
    aside = directory / f"before-restore-{time.time_ns()}"
    aside.mkdir(mode=0o700)
    for part in ours:
        part.rename(aside / part.name)
    return aside


# -- telemetry, made again ------------------------------------------------------------------------------------------------


def rebuild(directory: Path) -> str:
    """Make telemetry again from the journal, and from the last copy where the journal begins later. Nothing alerts again, as
    control state stays as it is. Raises HomeLocked, StoreError.
    """
    fd = home.lock(directory)
    try:
        beside = _begin_again(directory)
        journal = Journal(directory / JOURNAL, clock=SystemClock())
        try:
            count = _fill(beside, journal)
        finally:
            journal.close()
        database.replace(directory / copies.TELEMETRY, beside)
        beside.parent.rmdir()
    finally:
        os.close(fd)
    skipped = sum(journal.damage.values())
    damaged = f"; {skipped} bytes of the journal are damaged, and were skipped" if skipped else ""
    return f"rebuilt {directory / copies.TELEMETRY} from {count} requests in the journal{damaged}"


def _begin_again(directory: Path) -> Path:
    """A new database, or the last copy, in a directory of its own."""
    beside = directory / "rebuilding" / copies.TELEMETRY
    shutil.rmtree(beside.parent, ignore_errors=True)
    beside.parent.mkdir(mode=0o700)
    there = segments(directory / JOURNAL)
    if there and there[0].first > 0:
        copy = copies.latest(directory / COPIES)
        if copy is None or copy.telemetry_offset < there[0].first:
            raise StoreError(f"the journal begins at {there[0].first}, and no copy holds what came before: nothing was changed")
        clone(copy.directory / copies.TELEMETRY, beside)
    return beside


def _fill(path: Path, journal: Journal) -> int:
    """Apply all of the journal; how many requests that were."""
    telemetry = Telemetry.open(path)
    count, begun, said_at = 0, telemetry.offset(), time.monotonic()
    try:
        while records := journal.read(telemetry.offset(), _BATCH_BYTES):
            telemetry.apply(records)
            count += len(records)
            if time.monotonic() - said_at > _SAID_SECONDS:
                said_at = time.monotonic()
                share = (telemetry.offset() - begun) / max(1, journal.durable_end - begun)
                sys.stderr.write(f"rebuilding telemetry: {share:.0%}\n")
    finally:
        telemetry.close()
    return count


def vacuum(directory: Path) -> str:
    """Write telemetry anew without what it has forgotten; a running collector is asked to. Raises StoreError."""
    try:
        fd = home.lock(directory)
    except HomeLocked:
        (directory / home.VACUUM).touch(mode=0o600)
        return "asked the running collector: it writes telemetry.duckdb anew in the background, and says so"
    try:
        before = _checkpointed(directory / copies.TELEMETRY)
        copies.run_aside("compact", [directory / copies.TELEMETRY, database.compacted(directory / copies.TELEMETRY)], NEVER)
        Telemetry.open(directory / copies.TELEMETRY).close()  # takes it
    finally:
        os.close(fd)
    return f"{directory / copies.TELEMETRY}: {before} bytes before, {(directory / copies.TELEMETRY).stat().st_size} now"


def _checkpointed(path: Path) -> int:
    if not path.exists():
        raise StoreError(f"there is no {path}: no collector ever ran there. Is ROTA_HOME right?")
    Telemetry.open(path).close()
    return path.stat().st_size


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
