"""Whether the kernel killed a process for want of memory: the count of such kills that its control group keeps.

The count is the group's, not the process's. So it is read again and again while the process lives, and only a rise in the
last moments of a process that SIGKILL ended counts: a kill of a neighbour in the same group an hour ago does not.
"""

from __future__ import annotations

import os

_MOUNTS, _PROC = "/proc/self/mountinfo", "/proc"
# Of the group alone where the kernel tells that (since 5.3), else of the groups inside it too; version 1: of the group alone.
_FILES_2, _FILES_1 = ("memory.events.local", "memory.events"), ("memory.oom_control",)


class OomKills:
    """The kills in one control group. ``look`` now and then; ``has_risen`` compares with the look before the last."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._older = self._newer = count(path)

    def look(self) -> None:
        """Remember how many there are. A kill is counted before its victim is gone, so two looks back is the comparison."""
        self._older, self._newer = self._newer, count(self._path)

    def has_risen(self) -> bool:
        """Whether there are more than lately; False when the group is gone or does not tell."""
        now = count(self._path)
        return now is not None and self._older is not None and now > self._older


def oom_kills(pid: int, proc: str = _PROC, mounts: str = _MOUNTS) -> OomKills | None:
    """The kills in the group that a process is in; None where no group counts its memory."""
    for folder, files in _folders(pid, proc, mounts):
        for name in files:
            path = os.path.join(folder, name)
            if count(path) is not None:
                return OomKills(path)
    return None


def count(path: str) -> int | None:
    """``oom_kill`` in such a file; None when it is not there."""
    try:
        with open(path, "rb") as file:
            words = [line.split() for line in file]
    except OSError:
        return None
    found = [int(pair[1]) for pair in words if len(pair) == 2 and pair[0] == b"oom_kill" and pair[1].isdigit()]
    return found[0] if found else None


def _folders(pid: int, proc: str, mounts: str) -> list[tuple[str, tuple[str, ...]]]:
    """Where the group of a process may be, and what to read there."""
    try:
        with open("%s/%d/cgroup" % (proc, pid), encoding="utf-8", errors="surrogateescape") as file:
            groups = [line.rstrip("\n").split(":", 2) for line in file]
        with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
            mounted = [line.split() for line in file]
    except OSError:
        return []
    found: list[tuple[str, tuple[str, ...]]] = []
    for group in (group for group in groups if len(group) == 3):
        if group[:2] == ["0", ""]:
            found.append((_under(group[2], mounted, "cgroup2", ""), _FILES_2))
        elif "memory" in group[1].split(","):
            found.append((_under(group[2], mounted, "cgroup", "memory"), _FILES_1))
    return [(folder, files) for folder, files in found if folder]


def _under(group: str, mounted: list[list[str]], kind: str, option: str) -> str:
    """The folder of a group; empty when it is not mounted here (proc_pid_mountinfo(5): after ``-`` kind, source, options)."""
    for fields in mounted:
        kinds = fields[fields.index("-") + 1 :] if "-" in fields else []
        if kinds[:1] != [kind] or (option and option not in kinds[-1].split(",")):
            continue
        root, point = fields[3].rstrip("/"), fields[4]
        if (group + "/").startswith(root + "/") and ".." not in group.split("/"):
            return point + group[len(root) :]
    return ""
