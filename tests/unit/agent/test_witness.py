"""How a process ended, seen by one that is not its parent."""

from __future__ import annotations

import os
import platform
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from servers import poll

from rota.agent import witness
from rota.agent.witness import Ending, ending

KERNEL = tuple(int(number) for number in re.findall(r"\d+", platform.release())[:2]) if sys.platform == "linux" else (0, 0)

pytestmark = pytest.mark.skipif(KERNEL < (6, 15), reason="Linux tells the status of a reaped process since 6.15")

CHILD = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); sys.stdin.read(1); %s"
# Starts the child, tells its pid, waits for a word, then reaps it: the test is the child's grandparent.
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE)
print(child.pid, flush=True)
sys.stdin.readline()
child.communicate(b"x")
"""


@contextmanager
def grandchild(body: str) -> Iterator[tuple[int, int, subprocess.Popen[str]]]:
    """(pid, pidfd, its parent) of a process that runs ``body`` once the parent has been sent a line."""
    command = [sys.executable, "-c", PARENT, CHILD % body]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        pidfd = witness.open_pidfd(pid)
        assert pidfd is not None
        try:
            yield pid, pidfd, parent
        finally:
            os.close(pidfd)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("pass", Ending(0)),
        ("sys.exit(3)", Ending(3)),
        ("os._exit(7)", Ending(7)),
        ("os._exit(255)", Ending(255)),
        ("os.kill(os.getpid(), signal.SIGKILL)", Ending(137, signal.SIGKILL)),
        ("os.kill(os.getpid(), signal.SIGTERM)", Ending(143, signal.SIGTERM)),
        ("os.kill(os.getpid(), signal.SIGINT)", Ending(130, signal.SIGINT)),
        ("os.kill(os.getpid(), signal.SIGSEGV)", Ending(139, signal.SIGSEGV)),
    ],
)
def test_the_exit_status_of_somebody_elses_child_is_told(body, expected):
    """Every way to end is told exactly, without being the parent."""
    with grandchild(body) as (pid, pidfd, parent):
        assert witness.wait_status(pidfd, pid) is None
        parent.communicate("go\n")
        assert select.select([pidfd], [], [], 60)[0] == [pidfd]
        status = poll(lambda: _told(pidfd, pid), "nobody told the status")[0]
        assert ending(status) == expected


def test_a_zombie_tells_its_status_before_it_is_reaped():
    """A parent that is slow to reap delays nothing."""
    child = subprocess.Popen([sys.executable, "-c", "import os; os._exit(9)"])
    pidfd = os.pidfd_open(child.pid)
    try:
        assert select.select([pidfd], [], [], 60)[0] == [pidfd]
        assert ending(_told(pidfd, child.pid)[0]) == Ending(9)
    finally:
        child.wait()
        os.close(pidfd)


def test_a_process_that_is_gone_has_no_pidfd():
    """There is nothing to watch then, and no error."""
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    assert witness.open_pidfd(child.pid) is None


def test_a_core_dump_is_no_other_ending():
    """The core-dump bit of a wait status changes neither signal nor code."""
    assert ending(signal.SIGSEGV | 0x80) == ending(signal.SIGSEGV)


def _told(pidfd: int, pid: int) -> tuple[int, ...]:
    status = witness.wait_status(pidfd, pid)
    return () if status is None else (status,)
