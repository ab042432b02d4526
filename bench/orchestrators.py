"""Orchestrators beside rota: each in an environment of its own, with the server that it wants, and its program's arguments."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench import environments, processes, servers
from bench.startup import PROGRAMS

_START_SECONDS = 90.0  # a server that migrates its database first
_REPLAY = "each step is kept, to be resumed after"  # which none of ours is


class Orchestrator(NamedTuple):
    """One that is up: what runs its program, and what to say of it."""

    shown: str
    python: str
    settings: dict[str, str]
    arguments: tuple[str, ...]
    note: str

    def command(self, name: str, calls: int) -> list[str]:
        """One run with so many calls."""
        return [self.python, str(PROGRAMS / f"{name}_tasks.py"), str(calls), *self.arguments]


@contextlib.contextmanager
def up(name: str, work: Path) -> Iterator[Orchestrator]:
    """One of ``environments.ORCHESTRATORS``, with its server, until the block ends. ``work``: a folder for its files."""
    home = work / name
    home.mkdir()
    settings = processes.environment(home)
    shown, python = environments.ORCHESTRATORS[name], environments.peer(name)
    with _SERVERS[name](python, settings, home) as (more, arguments, note):
        yield Orchestrator(shown, python, settings | more, arguments, f"{environments.version_of(name)}, {note}")


Served = tuple[dict[str, str], tuple[str, ...], str]


@contextlib.contextmanager
def _prefect(python: str, settings: dict[str, str], home: Path) -> Iterator[Served]:
    port = _free_port()
    quiet = {"PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    command = [str(Path(python).with_name("prefect")), "server", "start", "--port", str(port), "--no-ui"]
    with servers.running(command, settings | quiet, home / "server.log") as process:
        url = f"http://127.0.0.1:{port}/api"
        servers.wait_for(lambda: servers.answers(f"{url}/health"), "Prefect's server does not answer", process, _START_SECONDS)
        yield quiet | {"PREFECT_API_URL": url}, (), "its server beside it, on SQLite"


@contextlib.contextmanager
def _temporal(python: str, settings: dict[str, str], home: Path) -> Iterator[Served]:
    port = _free_port()
    command = [str(Path(python).with_name("temporal")), "server", "start-dev", "--headless", "--port", str(port)]
    with servers.running([*command, "--db-filename", str(home / "temporal.db")], settings, home / "server.log") as process:
        servers.wait_for(lambda: servers.accepts(port), "Temporal's server does not listen", process, _START_SECONDS)
        yield {}, (f"127.0.0.1:{port}",), f"its development server beside it, on SQLite; {_REPLAY}"


@contextlib.contextmanager
def _dbos(python: str, settings: dict[str, str], home: Path) -> Iterator[Served]:
    yield {}, (str(home / "dbos.sqlite"),), f"SQLite; {_REPLAY}"


@contextlib.contextmanager
def _dagster(python: str, settings: dict[str, str], home: Path) -> Iterator[Served]:
    yield {"DAGSTER_DISABLE_TELEMETRY": "1"}, (), "in process"


_SERVERS = {"prefect": _prefect, "dagster": _dagster, "dbos": _dbos, "temporal": _temporal}


def _free_port() -> int:
    with servers.reserved() as port:
        return port
