"""What is measured against: a real collector and agent, a server that does nothing, and endpoints that fail in each way.

All on 127.0.0.1, all ended by the block that started them.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

READY_SECONDS = 30
_PROGRAMS = Path(__file__).parent / "programs"


class Collector(NamedTuple):
    """A collector that runs."""

    home: Path
    url: str
    process: subprocess.Popen[bytes]

    @property
    def port(self) -> int:
        """Where its HTTP listens."""
        return int(self.url.rpartition(":")[2])

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """The JSON answer to a GET, or to a POST of ``body``."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=READY_SECONDS) as answer:
            return json.loads(answer.read())

    def count(self, table: str) -> int:
        """How many rows a query sees now."""
        return int(self.ask("/api/v1/sql", {"query": f"SELECT count(*) AS n FROM {table}"})["items"][0]["n"])

    def is_caught_up(self) -> bool:
        """Whether the telemetry follower has applied all of the journal."""
        return int(self.ask("/readyz")["telemetry_lag_bytes"]) == 0

    def succeeded(self, workflow: str) -> int:
        """How many runs of a workflow are there, from start to end."""
        found, cursor = 0, ""
        while True:
            query = urllib.parse.urlencode({"workflow": workflow, "limit": 100} | ({"cursor": cursor} if cursor else {}))
            page = self.ask("/api/v1/runs?" + query)
            found += sum(1 for run in page["items"] if run["state"] == "succeeded")
            cursor = page["next"]
            if not cursor:
                return found


@contextlib.contextmanager
def collector(home: Path) -> Iterator[Collector]:
    """A collector in ``home`` on a free port, ready."""
    home.mkdir(exist_ok=True)
    settings = inherited() | {"ROTA_HOME": str(home), "ROTA_HTTP": "127.0.0.1:0", "ROTA_GRPC": "off"}
    settings["ROTA_WEBHOOK_ALLOW_PRIVATE"] = "1"  # what it alerts listens here too
    addresses = home / "collector.json"
    addresses.unlink(missing_ok=True)  # of one that was killed
    with running([sys.executable, "-m", "rota_collector"], settings, home.with_suffix(".log")) as process:
        wait_for(addresses.exists, "the collector wrote no collector.json", process)
        http = json.loads(addresses.read_text())["http"]
        found = Collector(home, http if http.startswith("http") else f"http://{http}", process)
        wait_for(lambda: answers(found.url + "/readyz"), "the collector is not ready", process)
        yield found


@contextlib.contextmanager
def agent(home: Path, endpoint: str) -> Iterator[str]:
    """A resident agent of ``home``; its socket."""
    home.mkdir(exist_ok=True)
    path = str(home / "agent.sock")
    settings = inherited() | {"ROTA_HOME": str(home), "ROTA_AGENT": path, "ROTA_ENDPOINT": endpoint}
    with running([sys.executable, "-m", "rota", "agent"], settings, home.with_suffix(".log")) as process:
        wait_for(lambda: os.path.exists(path), "the agent opened no socket", process)
        yield path


@contextlib.contextmanager
def dashboard(shown: Collector) -> Iterator[tuple[str, int]]:
    """The dashboard of a collector, ready; its address, and the id of its process."""
    with reserved() as port:
        pass
    settings = inherited() | {"ROTA_ENDPOINT": shown.url, "ROTA_DASHBOARD": f"127.0.0.1:{port}"}
    url = f"http://127.0.0.1:{port}"
    with running([sys.executable, "-m", "rota_dashboard"], settings, shown.home.with_suffix(".dashboard.log")) as process:
        wait_for(lambda: answers(f"{url}/_stcore/health"), "the dashboard does not answer", process)
        yield url, process.pid


@contextlib.contextmanager
def nothing() -> Iterator[int]:
    """The collector's HTTP server with an application that reads a request, throws it away and answers 200; its port."""
    with reserved() as port:
        pass
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(_PROGRAMS), "--port", str(port), "--http", "httptools"]
    command += ["--loop", "uvloop", "--lifespan", "off", "--no-access-log", "--log-level", "error", "nothing:app"]
    with running(command, inherited(), Path(os.devnull)) as process:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/"), "the empty server does not answer", process)
        yield port


@contextlib.contextmanager
def reserved() -> Iterator[int]:
    """A port that refuses connections: bound, so that nobody else takes it, and not listening."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield int(sock.getsockname()[1])


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """A port where the kernel takes connections and requests, and nobody ever answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as sock:
        yield sock.getsockname()[1]


@contextlib.contextmanager
def dropping() -> Iterator[int]:
    """A port whose full backlog makes the kernel drop each SYN, as a firewall does. Raises RuntimeError when it does not."""
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1))
        address = sock.getsockname()
        for _ in range(16):
            caller = stack.enter_context(socket.socket())
            caller.settimeout(0.1)
            if caller.connect_ex(address):
                break
        else:
            raise RuntimeError(f"the backlog of {address} took 16 connections: this kernel drops no SYN")
        yield address[1]


@contextlib.contextmanager
def behind_tls(folder: Path) -> Iterator[tuple[int, Path]]:
    """A TLS server that answers 200; its port, and its self-made certificate for ``localhost``."""
    certificate, port_file = folder / "certificate.pem", folder / "port"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(certificate), "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(command, check=True, capture_output=True)
    with running([sys.executable, str(_PROGRAMS / "tls_server.py"), str(folder)], inherited(), Path(os.devnull)) as process:
        wait_for(lambda: port_file.exists() and port_file.read_text(), "the TLS server wrote no port", process)
        yield int(port_file.read_text()), certificate


@contextlib.contextmanager
def running(command: list[str], settings: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``command`` until the block ends: TERM, and KILL when that does not end it."""
    with log.open("ab") as file, subprocess.Popen(command, env=settings, stdout=file, stderr=file) as process:
        try:
            yield process
        except BaseException:
            with contextlib.suppress(OSError):
                sys.stderr.write(log.read_text()[-2000:])
            raise
        finally:
            process.terminate()
            try:
                process.wait(READY_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def inherited() -> dict[str, str]:
    """This environment with nothing in it that steers rota or OpenTelemetry."""
    ours = ("ROTA_", "OTEL_", "TRACEPARENT", "TRACESTATE", "BAGGAGE")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def answers(url: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def accepts(port: int) -> bool:
    """Whether somebody listens on 127.0.0.1."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def wait_for(
    is_so: Callable[[], object], failure: str, process: subprocess.Popen[bytes] | None = None, seconds: float = READY_SECONDS
) -> None:
    """Poll. Raises RuntimeError with ``failure`` after ``seconds``, or at once when ``process`` has ended."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"{failure}: it ended with status {process.returncode}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"{failure} within {seconds:g} s")
        time.sleep(0.02)
