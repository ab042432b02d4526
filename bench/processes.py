"""Start what is measured, with a clean environment, and time it from outside: from the spawn to the end of the process."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.environments import CACHE

PATIENCE_SECONDS = 40  # the slowest peer waits some 11 s for a silent endpoint
_NULL = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder on the disk that holds the cache (``/tmp`` may be memory, where fsync is free), removed afterwards."""
    (CACHE / "work").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=CACHE / "work"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def environment(home: Path, **settings: str) -> dict[str, str]:
    """Nothing of this shell's but PATH; no ``PYTHONDONTWRITEBYTECODE``, so the first, unmeasured run leaves bytecode behind."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "ROTA_HOME": str(home), **settings}


def seconds(command: list[str], settings: dict[str, str]) -> float:
    """How long ``command`` takes. Raises RuntimeError when it fails, or takes longer than ``PATIENCE_SECONDS``."""
    began = time.perf_counter()
    pid = os.posix_spawn(command[0], command, settings, file_actions=_NULL)
    descriptor = os.pidfd_open(pid)
    waiter = select.poll()
    waiter.register(descriptor, select.POLLIN)
    is_over = waiter.poll(PATIENCE_SECONDS * 1000)
    taken = time.perf_counter() - began
    os.close(descriptor)
    if not is_over:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)}: wait status {status} after {taken:.1f} s. Run it by hand to see why.")
    return taken


def end_those_of(home: Path) -> int:
    """End what scripts with this home left running (detached shippers), so that it does not disturb the next sample."""
    wanted = b"ROTA_HOME=%s\0" % os.fsencode(home)
    found = [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if wanted in _environ(entry)]
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(found)


def _environ(entry: Path) -> bytes:
    try:
        return (entry / "environ").read_bytes() + b"\0"
    except OSError:
        return b""
