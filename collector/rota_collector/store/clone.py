"""Copies of large files, durable, and made so that others hardly notice."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sys
import threading
from pathlib import Path

from rota_collector.errors import CopyFailed

_FICLONE = 0x40049409  # the copy shares its blocks with the original, where the file system can do that (btrfs, XFS)
_STEP = 4 << 20  # then a sync: a journal on the same disk must not wait for gigabytes that nobody waits for
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
    while data := os.read(original, _STEP):
        if stopping.is_set():
            raise CopyFailed("the copy was given up: the collector is stopping")
        while data:
            data = data[os.write(copy, data) :]
        os.fsync(copy)
