"""The system calls of the journal, by what they are for. Each raises ``OSError``."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rota_collector.errors import JournalError, JournalFailed, JournalFull, JournalLocked

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_IOV_MAX = 1024
_SUFFIX = ".journal"


def sync(fd: int) -> None:
    """Waits until the data of a file is on its disk."""
    if sys.platform == "darwin":
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # fsync alone leaves it in the drive's cache there
    else:
        os.fdatasync(fd)


def sync_directory(directory: Path) -> None:
    """Makes the names in a directory as durable as the files."""
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, buffers: Sequence[bytes | bytearray], position: int) -> None:
    """Writes all buffers at ``position``; an error may leave a part of them behind."""
    for i in range(0, len(buffers), _IOV_MAX):
        part = buffers[i : i + _IOV_MAX]
        wanted = sum(map(len, part))
        written = os.pwritev(fd, part, position)
        if written < wanted:  # a full disk takes what fits, and says so at the next write
            rest = memoryview(b"".join(part))[written:]
            while rest:
                rest = rest[os.pwrite(fd, rest, position + wanted - len(rest)) :]
        position += wanted


def lock_directory(directory: Path) -> int:
    """Makes the directory if need be and takes it for this process until the returned descriptor is closed."""
    if not directory.is_dir():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_directory(directory.parent)
    fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise JournalLocked(f"another collector writes the journal in {directory}; stop it, or set another ROTA_HOME") from None
    return fd


def segments(directory: Path) -> list[tuple[int, Path]]:
    """(first offset, path) of each segment, in order."""
    return sorted((int(path.stem), path) for path in directory.glob(f"*{_SUFFIX}") if path.stem.isdecimal())


def remove_unfinished(directory: Path) -> None:
    """Removes what an interrupted creation left. For the one who writes."""
    for unfinished in directory.glob(f"*{_SUFFIX}.new"):
        unfinished.unlink()


def create_segment(directory: Path, first: int) -> int:
    """An empty segment that is there under its name, durably; replaces one of the same name."""
    path = directory / f"{first:020d}{_SUFFIX}"
    beside = path.with_name(path.name + ".new")
    fd = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.rename(beside, path)
        sync_directory(directory)
    except OSError:
        os.close(fd)
        raise
    return fd


def cut_segment(path: Path, size: int, quarantine: Path) -> int:
    """Opens a segment for writing, cut to ``size`` and on disk; what was behind is kept in ``quarantine``."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        tail = os.pread(fd, max(0, os.fstat(fd).st_size - size), size)
        if tail:
            _keep(tail, quarantine)
            os.ftruncate(fd, size)
        os.fsync(fd)  # also when nothing was cut: what was read so far may have been in memory only
    except OSError:
        os.close(fd)
        raise
    return fd


def _keep(data: bytes, path: Path) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_all(fd, [data], 0)
        os.fsync(fd)
    finally:
        os.close(fd)
    sync_directory(path.parent)


def refusal(error: OSError, directory: Path) -> JournalError:
    """What an error of the journal in ``directory`` means to who wanted to append or read."""
    if error.errno in _NO_SPACE:
        return JournalFull(f"cannot write the journal in {directory}: {error.strerror}; free some space, it goes on by itself")
    return JournalFailed(f"cannot use the journal in {directory}: {error.strerror or error}; check the disk and its permissions")
