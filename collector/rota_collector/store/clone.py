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
_STEP = 1 << 20  # on its way to the disk before the next: a journal there must not wait for gigabytes that nobody waits for
_NEVER = threading.Event()


def clone(source: Path, target: Path, stopping: threading.Event = _NEVER) -> None:
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
    """In small steps, half of the time idle. A sync after each would be in the journal's way; one at the end has little to do."""
    done = 0
    while data := os.read(original, _STEP):
        begun = time.monotonic()
        written = 0
        while written < len(data):
            written += os.write(copy, data[written:])
        if sys.platform == "linux":
            os.posix_fadvise(copy, done, len(data), os.POSIX_FADV_DONTNEED)  # begins to write it out, and does not wait
        done += len(data)
        if stopping.wait(time.monotonic() - begun):
            raise CopyFailed("the copy was given up: the collector is stopping")
