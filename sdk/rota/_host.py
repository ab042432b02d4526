"""Where a run ran: the host, the cgroup with its limits, the container and the pod. Read once, when the run ends.

Best effort: what cannot be read, or does not tell for certain, is absent. Loaded by nobody before the end.
"""

from __future__ import annotations

import os
import stat

from rota.wire import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable

_MOUNTS_BYTES = 128 * 1024
_LEVELS = 12  # of cgroups, one inside the other
_HEX = frozenset("0123456789abcdef")
# What Docker, then podman and CRI-O, mount into a container from a folder of that name and the container's id. The latter share
# the files in /etc among the containers of a pod, under the id of its first one; Docker does so where they share a network.
_MOUNTED = {
    "containers": ("/etc/hostname", "/etc/resolv.conf", "/etc/hosts"),
    "overlay-containers": ("/run/.containerenv", "/run/secrets"),
}


def attributes(root: str = "") -> dict[str, object]:
    """What this process's system tells of itself; ``root`` is put before each path, for tests."""
    cgroups = read(root + "/proc/self/cgroup")
    group = unified_group(cgroups)
    container = container_id(cgroups)
    # Inside a cgroup namespace, the container looks like the root.
    mounts = read(root + "/proc/self/mountinfo", _MOUNTS_BYTES) if not container and group in ("", "/") else ""
    container = container or mounted_container_id(mounts)
    pod_uid, pod_container = mounted_pod(mounts)
    is_contained = bool(container or pod_uid)
    cpus, memory = limits(root + "/sys/fs/cgroup", group) if group else (None, None)
    return {
        # A container has none of its own: where the file is there, it is the image's, the same in every copy.
        names.HOST_ID: None if is_contained else machine_id(read(root + "/etc/machine-id")),
        names.CGROUP: "0::" + group if group else None,
        names.CONTAINER_ID: container or None,
        names.POD_UID: pod_uid or None,
        names.POD_CONTAINER: pod_container or None,
        names.CPU_LIMIT: cpus,
        names.MEMORY_LIMIT: memory,
    }


def read(path: str, limit: int = 16 * 1024, unchanged_since: int | None = None) -> str:
    """The first ``limit`` bytes of a regular file; empty when it cannot be read or changed after that Unix time in ns."""
    return read_bytes(path, limit, unchanged_since).decode("utf-8", "replace")


def read_bytes(path: str, limit: int, unchanged_since: int | None = None) -> bytes:
    """The same, as bytes. Never waits for the other end of a pipe."""
    pieces = []
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode) or (unchanged_since is not None and status.st_ctime_ns > unchanged_since):
                return b""
            while limit > 0:
                piece = os.read(fd, limit)
                if not piece:
                    break
                pieces.append(piece)
                limit -= len(piece)
        finally:
            os.close(fd)
    except (OSError, ValueError):  # ValueError: a zero byte in the path
        return b""
    return b"".join(pieces)


def machine_id(text: str) -> str | None:
    """Of the text of ``/etc/machine-id``, which may also say ``uninitialized``."""
    told = text.strip()
    return told if len(told) == 32 and _HEX.issuperset(told) else None


def unified_group(cgroups: str) -> str:
    """The path in the v2 hierarchy, of the text of ``/proc/<pid>/cgroup``; empty without one."""
    return next((line[3:] for line in cgroups.splitlines() if line.startswith("0::")), "")


def container_id(cgroups: str) -> str:
    """The innermost container that the text of ``/proc/<pid>/cgroup`` names, by its 64 hex digits; empty for none."""
    for line in cgroups.splitlines():
        for part in reversed(line.split(":", 2)[-1].split("/")):
            found = _id_in(part)
            if found:
                return found
    return ""


def mounted_container_id(mounts: str) -> str:
    """The same, from the text of ``/proc/<pid>/mountinfo``: whose files are mounted here."""
    for source, point in _mounts(mounts):
        parts = source.split("/")
        for folder, name in zip(parts, parts[1:]):
            if point in _MOUNTED.get(folder, ()) and _is_id(name):
                return name
    return ""


def mounted_pod(mounts: str) -> tuple[str, str]:
    """(uid of the Kubernetes pod, name of the container in it), from the same text; both may be empty."""
    for source, point in _mounts(mounts):
        parts = source.split("/")
        if point == "/dev/termination-log" and len(parts) > 5 and parts[-5] == "pods" and parts[-3] == "containers":
            return parts[-4], parts[-2]
    return "", ""


def limits(mounted: str, group: str) -> tuple[float | None, int | None]:
    """(CPUs, bytes of memory) that a v2 cgroup may use, by its own limits and those around it; None: no limit."""
    cpus: list[float] = []
    memory: list[int] = []
    path = group.rstrip("/")
    for _ in range(_LEVELS):
        quota, _, period = read("%s%s/cpu.max" % (mounted, path), 64).strip().partition(" ")
        if quota.isdigit() and period.isdigit() and int(period):
            cpus.append(int(quota) / int(period))
        most = read("%s%s/memory.max" % (mounted, path), 64).strip()
        if most.isdigit():
            memory.append(int(most))
        if not path:
            break
        path = path.rpartition("/")[0]
    return min(cpus, default=None), min(memory, default=None)


def is_remote(device: int, mounts: str) -> bool:
    """Whether a file on that device is on another machine, or behind another process: such a file may never answer.

    A device that the text of ``/proc/<pid>/mountinfo`` does not know is no remote one (btrfs numbers its subvolumes itself).
    """
    wanted = "%d:%d" % (os.major(device), os.minor(device))
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) > 4 and fields[2] == wanted:
            kind = line.partition(" - ")[2].partition(" ")[0]
            return kind.startswith(("nfs", "cifs", "smb", "fuse.", "9p", "ceph", "afs", "lustre", "gpfs", "beegfs", "autofs"))
    return False


def _mounts(mounts: str) -> Iterable[tuple[str, str]]:
    """(where in its file system, where here) of each mount."""
    for line in mounts.splitlines():
        fields = line.split(" ", 5)
        if len(fields) > 5:
            yield fields[3], fields[4]


def _id_in(part: str) -> str:
    """``docker-<id>.scope``, ``slice:cri-containerd:<id>``, ``<id>``. Not ``libpod-conmon-<id>``: the watcher outside."""
    if "conmon" in part:
        return ""
    name = part[:-6] if part.endswith(".scope") else part
    name = name[max(name.rfind("-"), name.rfind(":")) + 1 :]
    return name if _is_id(name) else ""


def _is_id(name: str) -> bool:
    return len(name) == 64 and _HEX.issuperset(name)
