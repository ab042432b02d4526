"""The processes of this machine as ``/proc`` shows them, and which of them belong together. Elsewhere than on Linux: none."""

from __future__ import annotations

import os
from typing import Iterable, Mapping, NamedTuple

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Fields of /proc/<pid>/stat, counted from after the name in brackets (proc_pid_stat(5) counts from 1, two before it).
_PARENT, _USER, _SYSTEM, _WAITED_USER, _WAITED_SYSTEM, _THREADS, _STARTED, _RESIDENT = 1, 11, 12, 13, 14, 17, 19, 21


class Process(NamedTuple):
    """One process. CPU time is its own and that of the children that it has waited for; ``started`` (ticks since boot) tells
    it from another that has its number later.
    """

    pid: int
    parent_pid: int
    started: int
    user_seconds: float
    system_seconds: float
    resident_bytes: int
    threads: int


def all_processes(root: str = "/proc") -> dict[int, Process]:
    """Every process by its number, in one pass. Those that end meanwhile are left out."""
    try:
        pids = [int(name) for name in os.listdir(root) if name.isdigit()]
    except OSError:
        return {}
    found = (_process(root, pid) for pid in pids)
    return {process.pid: process for process in found if process is not None}


def families(processes: Mapping[int, Process], roots: Mapping[int, Iterable[Process]]) -> dict[int, list[Process]]:
    """Root pid -> it and all that descend from it.

    Args:
        processes: as of ``all_processes``.
        roots: whose families; with each, who belonged to it before. Those stay in it when the process between has ended.
    """
    children: dict[int, list[int]] = {}
    for process in processes.values():
        children.setdefault(process.parent_pid, []).append(process.pid)
    return {root: _family(processes, children, root, before) for root, before in roots.items()}


def disk_bytes(pid: int, root: str = "/proc") -> tuple[int, int] | None:
    """(read, written) bytes of a process and the children it has waited for, from and to disks; None: not ours to know."""
    try:
        with open("%s/%d/io" % (root, pid), "rb") as file:
            pairs = dict(line.split(b": ") for line in file)
        return int(pairs[b"read_bytes"]), int(pairs[b"write_bytes"])
    except (OSError, ValueError, KeyError):
        return None


def usable_cpus(pid: int) -> int:
    """How many CPUs a process may use."""
    try:
        return len(os.sched_getaffinity(pid))
    except (OSError, AttributeError):
        return os.cpu_count() or 1


def _process(root: str, pid: int) -> Process | None:
    try:
        fd = os.open("%s/%d/stat" % (root, pid), os.O_RDONLY | os.O_CLOEXEC)
        try:
            fields = os.read(fd, 4096).rpartition(b")")[2].split()  # the name may hold spaces and brackets
        finally:
            os.close(fd)
        ticks = [int(fields[index]) for index in (_USER, _SYSTEM, _WAITED_USER, _WAITED_SYSTEM)]
        return Process(
            pid,
            int(fields[_PARENT]),
            int(fields[_STARTED]),
            (ticks[0] + ticks[2]) / _TICKS_A_SECOND,
            (ticks[1] + ticks[3]) / _TICKS_A_SECOND,
            int(fields[_RESIDENT]) * _PAGE_BYTES,
            int(fields[_THREADS]),
        )
    except (OSError, ValueError, IndexError):
        return None


def _family(
    processes: Mapping[int, Process], children: Mapping[int, list[int]], root: int, before: Iterable[Process]
) -> list[Process]:
    kept = [old.pid for old in before if old.pid in processes and processes[old.pid].started == old.started]
    waiting = [root, *kept]
    found: dict[int, Process] = {}
    while waiting:
        pid = waiting.pop()
        if pid in processes and pid not in found:
            found[pid] = processes[pid]
            waiting += children.get(pid, ())
    return list(found.values())
