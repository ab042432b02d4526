"""Other people's receivers of OTLP, each in an environment of its own, on 127.0.0.1 for as long as a block lasts."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from bench import environments, servers

_START_SECONDS, _WAIT_SECONDS = 90, 60


class Receiver(NamedTuple):
    """One that runs. ``count`` tells how many spans it has stored, if it stores any."""

    port: int
    count: Callable[[], int]


@contextlib.contextmanager
def rotel(work: Path) -> Iterator[Receiver]:
    """rotel (Rust), which answers and throws away what it took: it has no store, and no disk is involved."""
    [program] = Path(environments.peer("rotel")).parents[1].glob("lib/python*/site-packages/rotel/rotel-agent")
    with servers.reserved() as port, servers.reserved() as grpc:
        pass
    command = [str(program), "start", "--exporter", "blackhole"]
    command += ["--otlp-http-endpoint", f"127.0.0.1:{port}", "--otlp-grpc-endpoint", f"127.0.0.1:{grpc}"]
    with servers.running(command, servers.inherited(), work / "rotel.log") as process:
        servers.wait_for(lambda: servers.accepts(port), "rotel does not listen", process)
        yield Receiver(port, lambda: 0)


@contextlib.contextmanager
def phoenix(work: Path) -> Iterator[Receiver]:
    """Phoenix with its own SQLite. It answers before anything is stored, and stores behind."""
    home = work / "phoenix"
    home.mkdir()
    with servers.reserved() as port, servers.reserved() as grpc:
        pass
    settings = servers.inherited() | {
        "PHOENIX_WORKING_DIR": str(home), "PHOENIX_HOST": "127.0.0.1", "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(grpc), "PHOENIX_TELEMETRY_ENABLED": "false",
    }  # fmt: skip
    program = Path(environments.peer("phoenix")).with_name("phoenix")

    def count() -> int:
        with contextlib.closing(sqlite3.connect(f"file:{home}/phoenix.db?mode=ro", uri=True)) as file:
            return int(file.execute("SELECT count(*) FROM spans").fetchone()[0])

    with servers.running([str(program), "serve"], settings, work / "phoenix.log") as process:
        ready = lambda: servers.answers(f"http://127.0.0.1:{port}/healthz")  # noqa: E731
        servers.wait_for(ready, "Phoenix does not answer", process, _START_SECONDS)
        yield Receiver(port, count)


def seconds_until_stored(receiver: Receiver, spans: int) -> float:
    """How long it takes from now until the receiver has so many. Raises RuntimeError when that is too long."""
    began = time.monotonic()
    while receiver.count() < spans:
        if time.monotonic() - began > _WAIT_SECONDS:
            raise RuntimeError(f"{receiver.count()} of {spans} spans are stored after {_WAIT_SECONDS} s")
        time.sleep(0.05)
    return time.monotonic() - began
