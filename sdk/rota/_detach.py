"""The detached shipper: ``rota agent --once``, started at exit when nothing slow may happen in the script itself."""

from __future__ import annotations

import os
import sys

from rota._spool import lock_is_free


def start_shipper(spool_path: str) -> None:
    """Start ``rota agent --once``, detached, unless one works on this home: it will find our files.

    Every descriptor of ours is closed in it: an inherited one would keep cron's lock, or a pipe somebody reads, open.
    """
    if not hasattr(os, "posix_spawn") or not sys.executable:
        return
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
