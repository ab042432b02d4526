"""How a process ended, seen from outside: no parenthood and no root needed.

A *pidfd* names one process for good (a pid is reused, a pidfd is not) and becomes readable when that process ends.
Linux 6.15 and later then tell the exit status through ``PIDFD_GET_INFO``, once the parent has reaped the process;
before that, ``/proc/<pid>/stat`` shows it, for as long as the process is a zombie. Elsewhere there is no witness:
``open_pidfd`` answers None and the module does nothing.
"""

from __future__ import annotations

import os
import signal
import struct
from typing import NamedTuple

from rota.rules import status

# struct pidfd_info of <linux/pidfd.h>, version 0 (64 bytes): mask, cgroup id, eleven ids, the exit code.
_PIDFD_INFO = struct.Struct("=QQ11Ii")
_PIDFD_GET_INFO = (3 << 30) | (_PIDFD_INFO.size << 16) | (0xFF << 8) | 11  # _IOWR(0xFF, 11, struct pidfd_info)
_PIDFD_INFO_EXIT = 1 << 3

_STATE_FIELD, _EXIT_CODE_FIELD = 0, 49  # of /proc/<pid>/stat, counted from after the name in brackets


class Ending(NamedTuple):
    """How a process ended: ``exit_code`` as a shell tells it (128+n on a signal), ``signal`` 0 when there was none.
    ``is_oom``: the kernel killed it for want of memory.
    """

    exit_code: int
    signal: int = 0
    is_oom: bool = False

    @property
    def signal_name(self) -> str:
        """``SIGKILL``, or ``SIG35`` where the number has no name; empty without a signal."""
        return status.signal_name(self.signal)


def ending(wait_status: int) -> Ending:
    """The ending that a status as of ``waitpid`` describes (whether a core was dumped is left out)."""
    number = wait_status & 0x7F
    if number:
        return Ending(128 + number, number)
    return Ending((wait_status >> 8) & 0xFF)


def open_pidfd(pid: int) -> int | None:
    """A descriptor for that process, or None: it is gone, or this system has no pidfd."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def wait_status(pidfd: int, pid: int) -> int | None:
    """The wait status of the ended process, or None while nobody tells (ask again: it may not have been reaped yet).

    Args:
        pidfd: the descriptor that became readable. Only this names the process.
        pid: its number, to find it in /proc while it is a zombie.
    """
    status = _reaped_status(pidfd)
    return status if status is not None else _zombie_status(pidfd, pid)


def _reaped_status(pidfd: int) -> int | None:
    import fcntl

    info = bytearray(_PIDFD_INFO.size)
    struct.pack_into("=Q", info, 0, _PIDFD_INFO_EXIT)
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, info)
    except OSError:  # an older kernel (ENOTTY), or reaped before anybody held a pidfd (ESRCH)
        return None
    fields = _PIDFD_INFO.unpack(info)
    return fields[-1] if fields[0] & _PIDFD_INFO_EXIT else None


def _zombie_status(pidfd: int, pid: int) -> int | None:
    try:
        with open("/proc/%d/stat" % pid, "rb") as stat:
            fields = stat.read().rpartition(b")")[2].split()
        is_shown = _is_shown(pid)
        signal.pidfd_send_signal(pidfd, 0)  # still unreaped, so the pid was still its own while we read
        return int(fields[_EXIT_CODE_FIELD]) if is_shown and fields[_STATE_FIELD] == b"Z" else None
    except (AttributeError, OSError, ValueError, IndexError):
        return None


def _is_shown(pid: int) -> bool:
    """Whether /proc shows us the status: from who may not trace that process (it has dropped root's rights, say), the kernel
    hides it as a 0, which would be a success. The namespaces' links are guarded alike and fail instead (proc_pid_stat(5)).
    """
    try:
        os.readlink("/proc/%d/ns/user" % pid)
    except OSError:
        return False
    return True
