"""What /proc says of processes, and which of them belong together."""

from __future__ import annotations

import os
from pathlib import Path

from rota.agent.processes import Process, all_processes, disk_bytes, families

TICKS, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
ODD_NAME = "a) S 1 (b"


def process(pid: int, parent_pid: int, started: int = 1) -> Process:
    """A process that uses nothing."""
    return Process(pid, parent_pid, started, 0.0, 0.0, 0, 1)


def by_pid(*given: Process) -> dict[int, Process]:
    """As `all_processes` tells them."""
    return {each.pid: each for each in given}


def pids(family: list[Process]) -> set[int]:
    """The numbers of a family."""
    return {member.pid for member in family}


def written(root: Path, pid: int, stat: str) -> None:
    """A process's folder in a made-up /proc."""
    (root / str(pid)).mkdir()
    (root / str(pid) / "stat").write_text(stat)


def test_a_stat_line_is_read_whatever_the_name_holds(tmp_path):
    """Brackets and spaces in a name shift nothing; times of children that were waited for count."""
    fields = [0] * 50
    fields[1], fields[11:15], fields[17], fields[19], fields[21] = 7, [TICKS, 2 * TICKS, 3 * TICKS, 4 * TICKS], 5, 99, 6
    written(tmp_path, 42, f"42 ({ODD_NAME}) S {' '.join(map(str, fields[1:]))}\n")
    assert all_processes(str(tmp_path)) == by_pid(Process(42, 7, 99, 4.0, 6.0, 6 * PAGE, 5))


def test_what_cannot_be_read_is_left_out(tmp_path):
    """Processes end while one looks; other files of /proc are no processes."""
    (tmp_path / "17").mkdir()
    written(tmp_path, 18, "18 (cut")
    (tmp_path / "meminfo").write_text("")
    assert all_processes(str(tmp_path)) == {}
    assert all_processes(str(tmp_path / "none")) == {}


def test_a_family_is_everybody_who_descends():
    """Children and grandchildren, of this root and no other."""
    found = by_pid(process(1, 0), process(10, 1), process(11, 10), process(12, 11), process(20, 1), process(21, 20))
    told = families(found, {10: (), 20: ()})
    assert {root: pids(family) for root, family in told.items()} == {10: {10, 11, 12}, 20: {20, 21}}


def test_an_orphan_stays_in_its_family():
    """When the process between has ended, init is its parent; it still is that run's."""
    found = by_pid(process(1, 0), process(10, 1), process(12, 1, started=5), process(13, 12))
    assert pids(families(found, {10: [process(10, 1), process(12, 11, started=5)]})[10]) == {10, 12, 13}


def test_another_process_with_an_old_number_is_no_relative():
    """A pid is used again; the start time tells them apart."""
    found = by_pid(process(1, 0), process(10, 1), process(12, 1, started=6))
    assert pids(families(found, {10: [process(12, 11, started=5)]})[10]) == {10}


def test_a_root_that_is_gone_has_no_family():
    """Nothing is made up for it."""
    assert families(by_pid(process(1, 0)), {10: ()}) == {10: []}


def test_disks_are_told_where_that_is_allowed(tmp_path):
    """Bytes that reached or left a disk, not what the page cache answered; None where the kernel refuses."""
    (tmp_path / "10").mkdir()
    (tmp_path / "10" / "io").write_text("rchar: 1\nwchar: 2\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 0\n")
    assert disk_bytes(10, str(tmp_path)) == (4096, 8192)
    assert disk_bytes(11, str(tmp_path)) is None
