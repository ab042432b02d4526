"""The collector's home directory: one collector at a time works in it, and says there how to reach it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from rota_collector.errors import HomeLocked, StartError

LOCK, ADDRESSES, IN_USE, VACUUM = "collector.lock", "collector.json", "journal.in-use", "vacuum.wanted"


def refuse_if_taken(home: Path) -> None:
    """Raises HomeLocked when a collector runs in ``home``. Creates nothing."""
    try:
        fd = os.open(home / LOCK, os.O_RDWR)
    except OSError:
        return  # no such home or lock yet; one that cannot be written is reported when it is locked
    try:
        _lock(fd, home)
    finally:
        os.close(fd)


def lock(home: Path) -> int:
    """Make ``home`` this process's own until the returned descriptor is closed or the process ends. Raises StartError."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(home / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StartError(
            f"cannot use {home} as home: {error.strerror}. Make it writable, or name another directory: ROTA_HOME=/path"
        ) from error
    try:
        _lock(fd, home)
    except HomeLocked:
        os.close(fd)
        raise
    os.ftruncate(fd, 0)
    os.pwrite(fd, str(os.getpid()).encode(), 0)
    return fd


def _lock(fd: int, home: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(fd, 20, 0).decode(errors="replace") or "unknown"
        raise HomeLocked(
            f"a collector already runs in {home} (pid {pid}). Stop it, or give this one a home and ports of its own: "
            "ROTA_HOME, ROTA_HTTP, ROTA_GRPC"
        ) from None


@contextlib.contextmanager
def holding_journal(home: Path, *, to_delete: bool = False) -> Iterator[bool]:
    """While this lasts no segment and no copy goes that is there now (``to_delete``: nobody else holds them; False when
    somebody does).
    """
    fd = os.open(home / IN_USE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB if to_delete else fcntl.LOCK_SH)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(fd)


def publish(home: Path, http: str, grpc: str | None) -> None:
    """Write where this collector listens, for those who started it on a free port. The file appears whole."""
    part = home / (ADDRESSES + ".part")
    part.write_text(json.dumps({"http": http, "grpc": grpc, "pid": os.getpid()}) + "\n", encoding="utf-8")
    part.replace(home / ADDRESSES)


def withdraw(home: Path) -> None:
    """Remove what ``publish`` wrote."""
    (home / ADDRESSES).unlink(missing_ok=True)
