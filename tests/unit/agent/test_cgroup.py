"""Kills for want of memory, as control groups count them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rota.agent.cgroup import OomKills, count, oom_kills

V2 = "low 0\nhigh 0\nmax 7\noom 3\noom_kill {}\noom_group_kill 0\n"
V1 = "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n"


class Machine:
    """Folders like /proc and /sys/fs/cgroup, with one process in one group."""

    def __init__(self, path: Path, group: str, mount: str, root: str = "/") -> None:
        self.path, self.groups = path, path / "cgroup"
        (path / "proc" / "42").mkdir(parents=True)
        (path / "proc" / "42" / "cgroup").write_text(group)
        (path / "mounts").write_text(
            "22 1 0:20 / / rw - ext4 /dev/sda rw\n"
            f"35 31 0:32 {root} {self.groups} rw,relatime shared:9 - {mount}\n"
        )  # fmt: skip

    def write(self, name: str, text: str) -> Path:
        """A file of a group."""
        file = self.groups / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def kills(self) -> OomKills | None:
        """Of the process's group."""
        return oom_kills(42, str(self.path / "proc"), str(self.path / "mounts"))


@pytest.fixture
def unified(tmp_path) -> Machine:
    """A process in a group of version 2."""
    return Machine(tmp_path, "0::/user.slice/job\n", "cgroup2 cgroup2 rw")


def test_the_groups_own_count_comes_first(unified):
    """`memory.events` counts kills in groups inside as well; `.local` does not."""
    unified.write("user.slice/job/memory.events", V2.format(9))
    local = unified.write("user.slice/job/memory.events.local", V2.format(0))
    kills = unified.kills()
    assert not kills.has_risen()
    local.write_text(V2.format(1))
    assert kills.has_risen()


def test_an_older_kernel_has_one_count(unified):
    """Then that is taken."""
    events = unified.write("user.slice/job/memory.events", V2.format(2))
    kills = unified.kills()
    events.write_text(V2.format(3))
    assert kills.has_risen()


def test_groups_of_version_1_count_too(tmp_path):
    """Where the memory controller has a hierarchy of its own, beside an empty one of version 2."""
    machine = Machine(tmp_path, "4:cpu,memory:/job\n1:name=systemd:/x\n0::/\n", "cgroup cgroup rw,memory")
    control = machine.write("job/memory.oom_control", V1.format(0))
    kills = machine.kills()
    control.write_text(V1.format(1))
    assert kills.has_risen()


def test_in_a_container_the_mount_begins_below_the_root(tmp_path):
    """What stands before the mount's root is not part of the path."""
    machine = Machine(tmp_path, "0::/docker/abc/job\n", "cgroup2 cgroup rw", root="/docker/abc")
    machine.write("job/memory.events.local", V2.format(0))
    assert machine.kills() is not None


@pytest.mark.parametrize("group", ["0::/docker/abcdef\n", "0::/docker/abc/../../other\n", "", "nonsense\n", "3:cpu:/x\n"])
def test_a_group_that_is_not_mounted_here_is_not_looked_for(tmp_path, group):
    """A name that only begins alike, one that leads out, and what is no group at all."""
    machine = Machine(tmp_path, group, "cgroup2 cgroup rw", root="/docker/abc")
    for name in ("def", "other", "../other", ""):
        machine.write(f"{name}/memory.events.local", V2.format(0))
    assert machine.kills() is None


def test_a_kill_of_long_ago_does_not_count(unified):
    """Only a rise since the look before the last does: a neighbour in the group may have been killed earlier."""
    events = unified.write("user.slice/job/memory.events.local", V2.format(0))
    kills = unified.kills()
    events.write_text(V2.format(1))
    kills.look()
    assert kills.has_risen()  # the victim may still be ending
    kills.look()
    assert not kills.has_risen()


def test_a_group_that_is_gone_tells_nothing(unified):
    """Nothing is guessed."""
    events = unified.write("user.slice/job/memory.events.local", V2.format(0))
    kills = unified.kills()
    events.unlink()
    assert not kills.has_risen()
    kills.look()
    kills.look()
    events.write_text(V2.format(5))  # another group of the same name
    assert not kills.has_risen()


@pytest.mark.parametrize("text", ["", "oom_kill\n", "oom_kill x\n", "oom 3\n", "\xff\n"])
def test_a_file_without_a_count_has_none(tmp_path, text):
    """Whatever stands there."""
    (tmp_path / "events").write_text(text, encoding="latin-1")
    assert count(str(tmp_path / "events")) is None


def test_a_process_that_is_gone_is_in_no_group(tmp_path):
    """No error either."""
    assert oom_kills(43, str(tmp_path), str(tmp_path / "none")) is None
