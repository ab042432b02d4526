"""Starts what serves, as a user would, and stops it again: processes of the real programs on free ports of 127.0.0.1."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

PATIENCE_SECONDS = 60.0  # for a busy machine; what is waited for usually takes a second

Found = TypeVar("Found")


class Answer(NamedTuple):
    """What a server answered, whatever the status. Names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.body)


class Server(NamedTuple):
    """A running program: its process, its environment (also for its clients), and everything it printed so far."""

    process: subprocess.Popen[bytes]
    environment: dict[str, str]
    log: Path

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """GET, or POST with a body; ``content_type=`` becomes ``Content-Type``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.environment["ROTA_ENDPOINT"] + path, body, named)
        try:
            with urllib.request.urlopen(request) as answer:
                return Answer(answer.status, lower(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, lower(error.headers), error.read())

    def runs(self) -> list[dict[str, Any]]:
        """The runs that the API lists now."""
        items: list[dict[str, Any]] = self.ask("/api/v1/runs").json()["items"]
        return items


def lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def clean_environment(home: Path) -> dict[str, str]:
    """This environment with nothing of rota in it but a home of its own, and `rota` first on PATH."""
    ours = ("ROTA_", "OTEL_", "TRACEPARENT", "TRACESTATE", "BAGGAGE")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**inherited, "PATH": path, "HOME": str(home.parent), "ROTA_HOME": str(home)}


def with_ports(environment: dict[str, str]) -> dict[str, str]:
    """The same with ports that are free now."""
    names = ("ROTA_HTTP", "ROTA_GRPC", "ROTA_DASHBOARD")
    found = {name: f"127.0.0.1:{port}" for name, port in zip(names, free_ports(len(names)), strict=True)}
    return {**environment, **found, "ROTA_ENDPOINT": f"http://{found['ROTA_HTTP']}"}


def free_ports(count: int) -> list[int]:
    """Port numbers that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [sock.getsockname()[1] for sock in sockets]


@contextlib.contextmanager
def serve(command: list[str], environment: dict[str, str], log: Path, ready: str) -> Iterator[Server]:
    """Run ``command`` until the block ends, beginning when a GET of ``ready`` is answered with 200. TERM has to end it with 0."""
    with log.open("ab") as file, subprocess.Popen(command, env=environment, stdout=file, stderr=file, cwd=log.parent) as process:
        try:
            poll(lambda: answers(ready) or process.poll() is not None, f"{ready} did not answer", log)
            assert process.poll() is None, log.read_text()
            yield Server(process, environment, log)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                status = process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert status == 0, log.read_text()


@contextlib.contextmanager
def collector(home: Path, **settings: str) -> Iterator[Server]:
    """A collector in ``home``, ready."""
    environment = with_ports(clean_environment(home)) | settings
    command = [sys.executable, "-m", "rota", "collector"]
    with serve(command, environment, home.with_suffix(".log"), environment["ROTA_ENDPOINT"] + "/readyz") as server:
        yield server


def answers(url: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        with urllib.request.urlopen(url) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def poll(found: Callable[[], Found], failure: str, log: Path | None = None) -> Found:
    """The first true value of ``found``; fails with ``failure``, and with what the log says, when there is none in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        value = found()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{failure}\n{log.read_text() if log else ''}")


def rota(*words: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """``rota WORDS…``."""
    return subprocess.run([sys.executable, "-m", "rota", *words], env=environment, capture_output=True, text=True, check=False)
