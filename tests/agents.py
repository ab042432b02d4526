"""Resident agents, and the scripts that they watch, as real processes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from servers import PATIENCE_SECONDS, poll

SCRIPT = """
import atexit, os, signal, sys, rota
{first}
rota.watch("etl")
{body}
"""
WAITING = "print('up', flush=True); sys.stdin.readline(); {then}"


@contextlib.contextmanager
def agent(environment: dict[str, str], log: Path, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """A resident agent that is ready; TERM has to end it with 0, unless the test ended it."""
    command = [sys.executable, "-m", "rota", "agent"]
    before = log.read_text().count("ready") if log.exists() else 0
    with log.open("ab") as file, subprocess.Popen(command, env=environment, stderr=file, **options) as process:  # type: ignore[call-overload]
        try:
            poll(lambda: log.read_text().count("ready") > before or process.poll() is not None, "the agent is not ready", log)
            yield process
        finally:
            ended = process.poll() is not None
            process.terminate()
            status = process.wait(PATIENCE_SECONDS)
        assert ended or status == 0, log.read_text()


def run(body: str, environment: dict[str, str], first: str = "") -> None:
    """Run a script to its end. ``first`` comes before it is observed."""
    script = SCRIPT.format(first=first, body=body)
    subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=False)


@contextlib.contextmanager
def waiting(environment: dict[str, str], then: str = "pass") -> Iterator[subprocess.Popen[bytes]]:
    """A script that has begun its run and waits for a line on stdin."""
    command = [sys.executable, "-c", SCRIPT.format(first="", body=WAITING.format(then=then))]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield process
        if process.poll() is None:
            process.communicate(b"\n")
