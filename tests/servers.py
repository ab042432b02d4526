"""Other programs that serve, and the commands of `rota`, run as a user would; collectors are in ``collectors``."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import collectors
import httpx
from collectors import PATIENCE_SECONDS, CollectorProcess

Found = TypeVar("Found")


def clean_environment(home: Path, **settings: str) -> dict[str, str]:
    """A user's: nothing of another rota in it, a home, and `rota` first on PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return collectors.clean_environment(PATH=path, HOME=str(home.parent), ROTA_HOME=str(home), **settings)


def environment_of(home: Path, **settings: str) -> dict[str, str]:
    """The same with ports that are free now, but for those in ``settings``."""
    names = ("ROTA_HTTP", "ROTA_GRPC", "ROTA_DASHBOARD")
    ports = {name: f"127.0.0.1:{port}" for name, port in zip(names, free_ports(len(names)), strict=True)}
    return clean_environment(home, **(ports | settings))


def client_of(collector: CollectorProcess) -> dict[str, str]:
    """A user's environment on the host of a running collector."""
    addresses = collector.addresses
    return environment_of(collector.home, ROTA_HTTP=addresses["http"], ROTA_GRPC=addresses["grpc"] or "off")


def free_ports(count: int) -> list[int]:
    """Port numbers that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [sock.getsockname()[1] for sock in sockets]


@contextlib.contextmanager
def serve(command: list[str], environment: dict[str, str], log: Path, ready: str) -> Iterator[None]:
    """Run ``command`` until the block ends, beginning when a GET of ``ready`` is answered with 200. TERM has to end it with 0."""
    with log.open("ab") as file, subprocess.Popen(command, env=environment, stdout=file, stderr=file, cwd=log.parent) as process:
        try:
            poll(lambda: answers(ready) or process.poll() is not None, f"{ready} does not answer", log)
            assert process.poll() is None, log.read_text()
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_SECONDS) == 0, log.read_text()
        finally:
            process.kill()


def poll(found: Callable[[], Found], failure: str, log: Path | None = None) -> Found:
    """The first true value of ``found``; fails with ``failure``, and with what the log says, when there is none in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (value := found()):
        assert time.monotonic() < deadline, f"{failure}\n{log.read_text() if log else ''}"
        time.sleep(0.02)
    return value


def answers(url: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def rota(*words: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """``rota WORDS…``."""
    return subprocess.run([sys.executable, "-m", "rota", *words], env=environment, capture_output=True, text=True, check=False)
