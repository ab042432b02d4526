"""Copies of large files, durable, and made so that others hardly notice."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sys
import threading
import time
from pathlib import Path

from rota_collector.errors import CopyFailed

_FICLONE = 0x40049409  # the copy shares its blocks with the original, where the file system can do that (btrfs, XFS)
_STEP = 1 << 20
NEVER = threading.Event()


def clone(source: Path, target: Path, stopping: threading.Event = NEVER) -> None:
    """Copy a file, durably, all but its name. Raises CopyFailed; ``stopping`` ends it early."""
    try:
        with source.open("rb") as original, target.open("wb") as copy:
            if not _share(original.fileno(), copy.fileno()):
                _copy(original.fileno(), copy.fileno(), stopping)
            os.fsync(copy.fileno())
    except OSError as error:
        with contextlib.suppress(OSError):
            target.unlink(missing_ok=True)
        raise CopyFailed(f"cannot copy {source} to {target}: {error.strerror or error}") from error


def _share(original: int, copy: int) -> bool:
    if sys.platform != "linux":
        return False
    try:
        fcntl.ioctl(copy, _FICLONE, original)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.EPERM):
            raise
        return False
    return True


def _copy(original: int, copy: int, stopping: threading.Event) -> None:
    pace = Pace(copy, stopping)
    while data := os.read(original, _STEP):
        written = 0
        while written < len(data):
            written += os.write(copy, data[written:])
        pace.keep()


class Pace:
    """Writes a large file in small steps, half of the time idle, so that a journal on the same disk is not kept waiting.

    A sync after each step would be in its way; one at the end has little to do. ``stopping`` ends it early.
    """

    def __init__(self, fd: int, stopping: threading.Event) -> None:
        self._fd, self._stopping, self._began = fd, stopping, time.monotonic()

    def keep(self) -> None:
        """A step was written. Raises CopyFailed when it is not to go on."""
        if sys.platform == "linux":
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)  # begins to write it out, and does not wait
        if self._stopping.wait(time.monotonic() - self._began):
            raise CopyFailed("the copy was given up: the collector is stopping")
        self._began = time.monotonic()
