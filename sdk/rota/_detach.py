"""The detached shipper: ``rota agent --once``, started at exit when nothing slow may happen in the script itself."""

from __future__ import annotations

import os
import sys
import time

from rota import _config
from rota._spool import lock_is_free

FAILED_SECONDS = 30  # after a shipper failed, nobody starts another for so long
REFUSED_SECONDS = 3600  # where nobody listens, one an hour keeps the spool within its bounds


def start_shipper(spool_path: str, failed_seconds: float = FAILED_SECONDS) -> None:
    """Start ``rota agent --once``, detached, unless one works on this home (it will find our files) or failed within that time.

    Every descriptor of ours is closed in it: an inherited one would keep cron's lock, or a pipe somebody reads, open.
    """
    if not _config.detach_allowed() or not hasattr(os, "posix_spawn") or not sys.executable:
        return
    try:
        if abs(time.time() - os.stat(spool_path + "/once.failed").st_mtime) < failed_seconds:
            return
    except OSError:
        pass
    if not lock_is_free(spool_path + "/once.lock", os.O_RDWR | os.O_CREAT):
        return
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    code = "import sys; sys.path.append(%r); from rota.cli import main; sys.exit(main(['agent', '--once']))" % root
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    closed = [(os.POSIX_SPAWN_CLOSE, fd) for fd in _inheritable_descriptors()]
    environment = {k: v for k, v in os.environ.items() if k not in ("TRACEPARENT", "TRACESTATE", "BAGGAGE")}
    environment["ROTA_DISABLED"] = "1"
    command = [sys.executable, "-I", "-c", code]
    os.posix_spawn(command[0], command, environment, file_actions=null + closed, setsid=True, setsigmask=())


def _inheritable_descriptors() -> list[int]:
    listed = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else map(str, range(256))
    return [int(name) for name in listed if int(name) > 2 and _is_inheritable(int(name))]


def _is_inheritable(fd: int) -> bool:
    try:
        return os.get_inheritable(fd)
    except OSError:  # closed meanwhile: it was the listing's own
        return False
