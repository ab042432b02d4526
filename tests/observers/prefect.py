"""Prefect: a server of its own, flows that know nothing of us, and `rota observe` that looks on, live and once more."""

from __future__ import annotations

import contextlib
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrators import SOURCES, python_of

from observers.system import PROGRAMS, System

PATIENCE_SECONDS = 180
SERVER = ["-m", "uvicorn", "--factory", "prefect.server.api.server:create_app", "--log-level", "critical", "--host", "127.0.0.1"]
OBSERVE = [sys.executable, "-m", "rota", "observe", "prefect"]
QUIET = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_LOGGING_LEVEL": "CRITICAL"}
AT_ONCE = ("success", "failure", "retry", "skip", "upstream", "fan_out", "schedule")
TASKS = 14  # of all of these
ENDED = {"failure": "failed", "upstream": "failed", "skip": "skipped", "cancel": "cancelled", "killed": "crashed"}


def run(scenarios: str, folder: Path, environment: dict[str, str]) -> None:
    """Do them while an observer looks; another one sees what came after it was stopped."""
    with server(folder / "prefect", environment) as there:
        where = there | {"PYTHONPATH": SOURCES}
        with subprocess.Popen([*OBSERVE, "--every", "1s"], env=where) as observer:
            program = [python_of("prefect"), str(PROGRAMS / "prefect_flow.py"), scenarios]
            done = subprocess.run(program, env=where, timeout=PATIENCE_SECONDS, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            observer.terminate()
        recorded(there["PREFECT_API_URL"], TASKS if "success" in scenarios else 0)
        subprocess.run([*OBSERVE, "--once"], env=where, check=True, timeout=PATIENCE_SECONDS)


@contextlib.contextmanager
def server(home: Path, environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """A server with a database of its own, and how to reach it."""
    python = python_of("prefect")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    there = environment | QUIET | {"PREFECT_HOME": str(home), "PREFECT_API_URL": url}
    home.mkdir(parents=True)
    empty = Path(python).parents[1] / "empty.db"  # its tables take long to make
    if empty.exists():
        shutil.copy(empty, home / "prefect.db")
    with subprocess.Popen([python, *SERVER, "--port", str(port)], env=there, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: urllib.request.urlopen(url + "/health", timeout=5).read() == b"true")
            if not empty.exists():
                keep(home / "prefect.db", empty)
            yield there
        finally:
            process.kill()


def keep(database: Path, copy: Path) -> None:
    """A copy of a database that is in use."""
    with contextlib.closing(sqlite3.connect(database)) as found, contextlib.closing(sqlite3.connect(f"{copy}.new")) as made:
        found.backup(made)
    Path(f"{copy}.new").replace(copy)


def recorded(url: str, tasks: int) -> None:
    """Wait until the server has written down what became of so many: it does so a moment later."""
    asked = b'{"task_runs": {"state": {"name": {"any_": ["Completed", "Failed", "Skipped", "NotReady"]}}}}'
    request = urllib.request.Request(url + "/task_runs/count", asked, {"Content-Type": "application/json"})
    until(lambda: int(urllib.request.urlopen(request, timeout=30).read()) >= tasks)


def until(holds: Any) -> None:
    """Wait for it."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up_at:
        with contextlib.suppress(OSError):
            if holds():
                return
        time.sleep(0.1)
    raise AssertionError("it took too long")


def _begins(*states: str, **more: Any) -> dict[str, Any]:
    return {"run": ["starting", "running", *states], **more}


SYSTEMS = {
    "prefect": System(
        run,
        instead={  # Prefect tells that a run is about to begin, and that it is being cancelled
            **{name: _begins(ENDED.get(name, "succeeded")) for name in AT_ONCE},
            "retry": _begins("succeeded"),
            "schedule": {"run": ["scheduled", "running", "succeeded"]},
            "cancel": {"run": ["scheduled", "starting", "running", "cancelling", "cancelled"]},
            "killed": {"run": ["scheduled", "starting", "running", "crashed"]},  # the runner says so; without one, nobody does
        },
        together=AT_ONCE,
        soak=(*AT_ONCE, "cancel", "killed"),  # its server takes half a minute to start, and needs a hundred packages
        tells_schedules=True,
    ),
}
