"""A process that the kernel kills for want of memory, in a real control group."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from agents import SCRIPT, WAITING, agent
from otlp_receiver import receiver
from servers import PATIENCE_SECONDS, clean_environment, poll

from rota.wire import names

GROUPS = {Path("/sys/fs/cgroup/memory"): "memory.limit_in_bytes", Path("/sys/fs/cgroup"): "memory.max"}
GREEDY = "many = [bytearray(os.urandom(1 << 20)) for _ in range(1 << 12)]"
_LIMIT_BYTES = 64 << 20


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group whose processes may have 64 MB together; removed at the end."""
    made = made_group()
    if made is None:
        pytest.skip("needs root and a control group for memory that can be made here")
    try:
        yield made
    finally:
        poll(lambda: removed(made), f"{made} is not empty")


def made_group() -> Path | None:
    """A new one with a limit; None where that is not allowed."""
    for root, limit in GROUPS.items():
        folder = root / f"rota-test-{os.getpid()}"
        with contextlib.suppress(OSError):
            folder.mkdir()
            try:
                (folder / limit).write_text(str(_LIMIT_BYTES))
            except OSError:
                folder.rmdir()
            else:
                return folder
    return None


def removed(folder: Path) -> bool:
    """Whether it is; it cannot be while processes end in it."""
    with contextlib.suppress(OSError):
        folder.rmdir()
    return not folder.exists()


@pytest.mark.parametrize(
    ("body", "reason"),
    [(GREEDY, "oom_killed"), ("os.kill(os.getpid(), signal.SIGKILL)", "sigkill")],
    ids=["for want of memory", "by somebody"],
)
def test_why_a_process_was_killed_is_told(group, tmp_path, body, reason):
    """The kernel's kill has its own reason, in the same group a plain kill -9 has not."""
    if not hasattr(os, "pidfd_open"):
        pytest.skip("needs pidfds")
    with receiver() as server:
        environment = {**clean_environment(tmp_path / "home"), "ROTA_ENDPOINT": server.url, "ROTA_DETACH": "off"}
        source = f"import os; open({str(group / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))\n" + SCRIPT
        command = [sys.executable, "-c", source.format(first="", body=WAITING.format(then="pass") + "\n" + body)]
        with agent(environment, tmp_path / "agent.log"):
            with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as script:
                assert script.stdout is not None
                assert script.stdout.readline() == b"up\n"
                script.communicate(b"\n", timeout=PATIENCE_SECONDS)
            assert script.returncode == -signal.SIGKILL
            ends = poll(lambda: [end for end in server.states() if end[names.STATE] == "crashed"], "no end is told")
    assert [(end[names.REASON], end[names.PROCESS_SIGNAL]) for end in ends] == [(reason, "SIGKILL")]
