"""`rota exec` on a host with an agent, and on one with a full disk."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from collectors import until
from execs import agent, environment, run_exec, start_exec, words
from otlp_receiver import receiver


def test_the_agent_carries_it(home: Path) -> None:
    """With an agent, start and end arrive, each once, and exec's word on the end stands alone."""
    with receiver() as there, agent(home, there) as env:
        assert run_exec("--name", "etl", "sh", "-c", "exit 3", home=home, env=env).code == 3
        until(lambda: len(there.states()) == 2, "start and end")
        until(lambda: not list((home / "spool").rglob("*.jsonl")), "the spool to be empty")
    assert [(state["rota.run.state"], state["rota.source"]) for state in there.states()] == [
        ("running", "exec"),
        ("failed", "exec"),
    ]


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux: no pidfd, no witness")
def test_the_agent_sees_a_killed_rota_exec(home: Path) -> None:
    """When rota exec itself is killed, the agent tells that the run was lost, as of any process that vanishes."""
    with receiver() as there, agent(home, there) as env:
        process = start_exec("sh", "-c", "read line", home=home, env=env, stdin=subprocess.PIPE)
        until(lambda: there.said() == ["running"], "the start")
        process.kill()
        process.communicate(timeout=60)
        until(lambda: there.said() == ["running", "crashed"], "the agent's word")
    assert there.states()[-1]["rota.source"] == "agent"


def test_the_agent_knows_a_part(home: Path, tmp_path: Path) -> None:
    """The end of a joined script is not taken for the end of the run, which its shell goes on with."""
    script = tmp_path / "part.py"
    script.write_text("import rota\nrota.watch()\n")
    with receiver() as there, agent(home, there) as env:
        line = f"{sys.executable} {script}; read line; exit 4"
        process = start_exec("--name", "etl", "sh", "-c", line, home=home, env=env, stdin=subprocess.PIPE)
        until(lambda: there.said() == ["running", "running"], "exec's start and the script's")
        until(lambda: len(list((home / "spool" / "live").glob("*.logs.jsonl"))) == 1, "the script's spool to be carried away")
        assert there.said() == ["running", "running"]
        process.communicate(b"\n", timeout=60)  # its spool is the agent's to read, and to remove
        assert process.returncode == 4
        until(lambda: there.said() == ["running", "running", "failed"], "the end")


def test_a_full_disk(tmp_path: Path) -> None:
    """With a full disk the command runs as ever, with its output and its status."""
    full = tmp_path / "full"
    full.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(full)], capture_output=True, check=False).returncode:
        pytest.skip("a full disk needs root, to mount a tmpfs of one page")
    try:
        (full / "rest").write_bytes(b"x" * 4096)
        for options in ((), ("--tail", "100")):
            outcome = run_exec(*options, "sh", "-c", "echo done; exit 5", home=full / "home")
            assert (outcome.code, outcome.stdout, outcome.stderr) == (5, b"done\n", b"")
    finally:
        subprocess.run(["umount", str(full)], check=True)


@pytest.mark.skipif(not shutil.which("prlimit"), reason="needs prlimit")
def test_where_nothing_more_can_be_had(home: Path) -> None:
    """With no descriptor, process or byte of disk to be had, the command still runs once and its status is kept."""
    for limit in ("--nofile=5", "--nofile=6", "--nofile=8", "--nproc=1", "--fsize=0"):
        for options in ((), ("--tail", "100")):
            line = shlex.join(words(*options, "sh", "-c", "echo once; exit 5"))
            done = subprocess.run(
                ["sh", "-c", f"prlimit {limit} {line}"], env=environment(home), capture_output=True, check=False, timeout=60
            )
            assert (limit, options, done.returncode, done.stdout) == (limit, options, 5, b"once\n")
