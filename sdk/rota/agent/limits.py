"""Keeps a spool within its bounds while nobody takes what is in it: oldest spans first, run states last, all counted.

Only ``left/`` and ``bad/`` are looked at: a process that lives bounds its own files.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from typing import Any, Callable, Dict, Iterable, Iterator, NamedTuple, Tuple

from rota import __version__, _config
from rota.agent.progress import Progress
from rota.agent.spool import Spool, signal_of
from rota.wire import events, names

BAD_BYTES = 64 << 20
_RANK = {"bad": 0, "traces": 1, "logs": 2}  # what goes first
_DISK_SHARE = 4  # the spool takes at most a quarter of what the disk has for it
_BLOCK = 512  # bytes of st_blocks: POSIX leaves it to the system, Linux and macOS say 512

Count = Dict[Tuple[str, str, str], int]  # (workflow, run id or "", attribute that counts) -> records


class Kept(NamedTuple):
    """One file: its kind (``bad``, ``traces``, ``logs``), when it was last written (Unix s), the bytes it takes on disk."""

    kind: str
    name: str
    written_at: float
    size: int


def surplus(files: Iterable[Kept], now: float, most_bytes: int, most_seconds: float) -> list[Kept]:
    """Which files have to go, in the order in which they go. Pure.

    Args:
        files: all there are.
        now: Unix time.
        most_bytes: what may stay in all.
        most_seconds: how old a file may become.
    """
    ordered = sorted(files, key=lambda file: (_RANK[file.kind], file.written_at, file.name))
    gone = [file for file in ordered if now - file.written_at > most_seconds]
    over = sum(file.size for file in ordered) - sum(file.size for file in gone) - most_bytes
    for file in ordered:
        if over <= 0:
            break
        if now - file.written_at <= most_seconds:
            gone.append(file)
            over -= file.size
    return gone


def trim(spool: Spool, progress: Progress, report: Callable[[str], None]) -> None:
    """Drop what is too old or too much, after writing down in the spool how many records of which workflow go.

    Args:
        spool: where.
        progress: how far each file was shipped: what was acknowledged is no loss.
        report: takes one line of text for people.
    """
    files = [*_files(spool.left, signal_of), *_files(spool.bad, lambda _: "bad")]
    going = surplus(files, time.time(), _most_bytes(spool, files), _config.spool_days() * 86400)
    if not going:
        return
    count: Count = {}
    for file in going:
        _add(count, spool, progress, file)
    if count:
        _write_down(spool, count)
    size = sum(file.size for file in going if _remove(spool, file))
    report(
        "the spool was full or too old: %d records dropped, %d KiB freed in %s"
        % (sum(count.values()), size >> 10, spool.directory)
    )


def trim_bad(spool: Spool) -> None:
    """Keep the newest of the lines that nobody takes; what was set aside was reported when it was."""
    files = list(_files(spool.bad, lambda _: "bad"))
    for file in surplus(files, time.time(), BAD_BYTES, _config.spool_days() * 86400):
        _remove(spool, file)


def _most_bytes(spool: Spool, files: list[Kept]) -> int:
    disk = os.statvfs(spool.directory)
    ours = sum(file.size for file in files)
    return min(int(_config.spool_megabytes() * (1 << 20)), (disk.f_bavail * disk.f_frsize + ours) // _DISK_SHARE)


def _files(directory: str, kind_of: Callable[[str], str]) -> Iterable[Kept]:
    try:
        entries = list(os.scandir(directory))
    except OSError:
        return
    for entry in entries:
        kind = kind_of(entry.name)
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        if kind:
            yield Kept(kind, entry.name, status.st_mtime, status.st_blocks * _BLOCK)


def _add(count: Count, spool: Spool, progress: Progress, file: Kept) -> None:
    """Count the records of a file that nobody acknowledged."""
    if file.kind == "bad":
        return
    try:
        for line in _unshipped(spool, file.name, lambda inode: progress.offset(file.name, inode)):
            _add_line(count, line)
    except FileNotFoundError:  # shipped meanwhile
        return


def _unshipped(spool: Spool, name: str, offset_of: Callable[[int], int]) -> Iterator[bytes]:
    chunk = spool.read(spool.left, name, offset_of)
    while chunk.next_offset > chunk.offset:
        yield from chunk.lines
        chunk = spool.read(spool.left, name, lambda _, offset=chunk.next_offset: offset)  # type: ignore[misc]


def _add_line(count: Count, line: bytes) -> None:
    try:
        request = json.loads(line)
        for group in request.get("resourceSpans", ()):
            for scoped in group["scopeSpans"]:
                _add_records(count, scoped, len(scoped["spans"]), names.DROPPED_SPANS)
        for group in request.get("resourceLogs", ()):
            for scoped in group["scopeLogs"]:
                _add_records(count, scoped, len(scoped["logRecords"]), names.DROPPED_EVENTS)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):  # damaged: it was no record any more
        return


def _add_records(count: Count, scoped: dict[str, Any], records: int, counted_by: str) -> None:
    """Spans by run, states by workflow: a line about each run would be as long as what it told."""
    pairs = {pair["key"]: pair["value"].get("stringValue", "") for pair in scoped.get("scope", {}).get("attributes", ())}
    run_id = pairs.get(names.RUN_ID, "") if counted_by == names.DROPPED_SPANS else ""
    key = (pairs.get(names.WORKFLOW, ""), run_id, counted_by)
    count[key] = count.get(key, 0) + records


def _write_down(spool: Spool, count: Count) -> None:
    at_ns = time.time_ns()
    resource = events.resource({names.SERVICE_NAME: "rota-agent", names.HOST_NAME: os.uname().nodename})
    records = [_record(at_ns, *key, records) for key, records in sorted(count.items())]
    line = events.logs_line(resource, events.scope(__version__, {}), records)
    name = "%d-%s.logs.jsonl" % (os.getpid(), os.urandom(8).hex())
    with open(os.path.join(spool.left, name), "xb") as file:
        file.write(line.encode("ascii"))
        file.flush()
        os.fsync(file.fileno())


def _record(at_ns: int, workflow: str, run_id: str, counted_by: str, records: int) -> str:
    what = "spans of this run" if run_id else "spans" if counted_by == names.DROPPED_SPANS else "run states"
    text = "%d %s were dropped: the spool was full, or they were too old" % (records, what)
    pairs = {
        names.EVENT_ID: str(uuid.uuid4()),
        names.WORKFLOW: workflow or None,
        names.RUN_ID: run_id or None,
        counted_by: records,
    }
    return events.log_message(at_ns, events.SEVERITY_WARN, "WARN", text, run_id.replace("-", ""), "", pairs)


def _remove(spool: Spool, file: Kept) -> bool:
    """Whether it was there, and nobody else has it."""
    directory = spool.bad if file.kind == "bad" else spool.left
    with spool.mutex:
        claim = spool.claim_held(directory, file.name)
        if claim is None:
            return False
        with claim:
            os.unlink(os.path.join(directory, file.name))
        return True
