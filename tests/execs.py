"""Runs commands under ``rota exec`` and ``rota-sh`` as their users do, in a home of their own."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from otlp_receiver import Receiver
from scripts import SDK, Outcome, read_back

ROTA_SH = SDK / "rota-sh"
WITHOUT_SENDERS = "import _signal, sys; del _signal.sigtimedwait; from rota.cli import main; main(['exec', *sys.argv[1:]])"
COUNTED = "n=$(cat {0} 2>/dev/null || echo 0); n=$((n+1)); echo $n >{0}; "


def environment(home: Path, **more: str) -> dict[str, str]:
    """Nothing of another rota in it, rota importable, and nobody to deliver to."""
    foreign = ("ROTA_", "OTEL_", "PYTHON", "TRACEPARENT", "BAGGAGE", "COVERAGE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    ours = {"ROTA_HOME": str(home), "ROTA_AGENT": "off", "ROTA_DETACH": "off", "ROTA_ENDPOINT": "http://127.0.0.1:1"}
    return {**kept, **ours, "PYTHONPATH": str(SDK), **more}


def words(*arguments: str, python: str = sys.executable) -> list[str]:
    """``rota exec ARGUMENTS`` under that interpreter."""
    return [python, "-m", "rota", "exec", *arguments]


def run_exec(
    *arguments: str, home: Path, python: str = sys.executable, env: dict[str, str] | None = None, **options: Any
) -> Outcome:
    """Run ``rota exec`` to its end."""
    options = {"timeout": 60, "capture_output": True, **options}
    done = subprocess.run(words(*arguments, python=python), env=env or environment(home), check=False, **options)
    return read_back(Outcome(done.returncode, done.stdout, done.stderr, home))


def start_exec(*arguments: str, home: Path, env: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[bytes]:
    """Start ``rota exec`` and do not wait."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(words(*arguments), env=env or environment(home), **options)


def ended(process: subprocess.Popen[bytes], home: Path) -> Outcome:
    """Wait for its end."""
    stdout, stderr = process.communicate(timeout=60)
    return read_back(Outcome(process.returncode, stdout or b"", stderr or b"", home))


def said_by(outcome: Outcome, source: str) -> list[dict[str, Any]]:
    """The run events of one source."""
    return [event for event in outcome.events if event["event"] == "rota.run.state" and event["rota.source"] == source]


def ask(home: Path, retry: Any, workflow: str = "etl") -> None:
    """What the host keeps of a policy that speaks of a run's retries."""
    _keep(home, workflow, {"version": 1, "retry": retry})


def ask_of_tasks(home: Path, tasks: dict[str, Any], workflow: str = "etl") -> None:
    """What the host keeps of a policy that speaks of tasks."""
    _keep(home, workflow, {"version": 1, "tasks": tasks})


def _keep(home: Path, workflow: str, document: dict[str, Any]) -> None:
    path = home / "policy" / (quote(workflow, safe="") + ".json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def counting(folder: Path, line: str) -> list[str]:
    """A command that knows how often it was run, as $n."""
    return ["sh", "-c", COUNTED.format(shlex.quote(str(folder / "count"))) + line]


def told(outcome: Outcome) -> list[tuple[str, int]]:
    """(state, attempt) of exec's words, in their order."""
    mine = [event for event in outcome.events if event["event"] == "rota.run.state" and event["rota.source"] == "exec"]
    return [(event["rota.run.state"], event["rota.attempt"]) for event in mine]


def waits(outcome: Outcome) -> list[dict[str, Any]]:
    """The run events by which attempts end that are followed by another one."""
    return [event for event in outcome.events if event.get("rota.run.state") == "retry_wait"]


@contextlib.contextmanager
def agent(home: Path, there: Receiver) -> Iterator[dict[str, str]]:
    """An agent that ships to that receiver; gives the environment of a job on its host."""
    env = {**environment(home, ROTA_ENDPOINT=there.url), "ROTA_AGENT": str(home.parent / "agent.sock")}
    with subprocess.Popen([sys.executable, "-m", "rota", "agent"], env=env, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        try:
            assert b"ready" in process.stderr.readline()
            yield env
        finally:
            process.terminate()
            process.wait(60)


class Terminal:
    """An interactive shell with job control on a terminal of its own."""

    def __init__(self, home: Path) -> None:
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            env = environment(home, PS1="$ ", HISTFILE="", INPUTRC="/dev/null", TERM="dumb")
            os.execve("/bin/bash", ["bash", "--norc", "--noprofile", "-i"], env)
        self.screen = ""
        settings = termios.tcgetattr(self.master)
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(self.master, termios.TCSANOW, settings)

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def shows(self, text: str) -> Callable[[], bool]:
        def look() -> bool:
            os.set_blocking(self.master, False)
            try:
                self.screen += os.read(self.master, 100_000).decode(errors="replace")
            except (BlockingIOError, OSError):
                pass
            return text in self.screen

        return look

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.master)
        os.waitpid(self.pid, 0)
