"""A real collector process on a home and a port of its own."""

from __future__ import annotations

import functools
import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import otlp

COMMAND = [sys.executable, "-m", "rota_collector"]
PATIENCE_SECONDS = 30.0


def clean_environment(**settings: str) -> dict[str, str]:
    """This environment without anything that speaks of another rota, and with ``settings``."""
    foreign = ("ROTA_", "OTEL_", "TRACEPARENT", "TRACESTATE", "BAGGAGE")
    return {**{name: value for name, value in os.environ.items() if not name.startswith(foreign)}, **settings}


def until(true: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait until something is so; returns what it was."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.02)
    return found


def lives(pid: int) -> bool:
    """Whether a process still does something: who inherits it may take a second or two to look at its exit status."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" or len(list(Path(f"/proc/{pid}/task").iterdir())) > 1  # of a process with threads, the first
    except OSError:
        return False


class CollectorProcess:
    """``python -m rota_collector`` in ``home``: start, ask, kill or stop, start again."""

    patience_seconds = PATIENCE_SECONDS

    def __init__(self, home: Path, log: Path, **settings: str) -> None:
        self.home = home
        self.settings = {"ROTA_HOME": str(home), "ROTA_HTTP": "127.0.0.1:0", "ROTA_GRPC": "off", **settings}
        self.stderr_path = log
        self.under: list[str] = []  # a command that runs the collector, as strace does
        self.key = ""  # that every request has, once there are keys
        self.process: subprocess.Popen[bytes] | None = None
        self.addresses: dict[str, Any] = {}
        self.tls: ssl.SSLContext | None = None  # how it is asked, when it speaks TLS; set before the first question

    @functools.cached_property
    def _client(self) -> httpx.Client:
        return httpx.Client(timeout=PATIENCE_SECONDS, trust_env=False, verify=self.tls or True)

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the process and do not wait for it."""
        with open(self.stderr_path, "ab") as stderr:
            environment = clean_environment(**self.settings)
            self.process = subprocess.Popen([*self.under, *COMMAND], env=environment, stderr=stderr)
        return self.process

    def start(self) -> CollectorProcess:
        """Start the process and wait until it is ready."""
        process = self.spawn()
        try:
            until(lambda: self.listens(process), "the collector to listen")
            until(lambda: self.get("/readyz").status_code == 200, "the collector to be ready")
        except BaseException:
            self.close()  # nobody else knows of it yet
            raise
        return self

    def listens(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether ``process`` has said where it listens."""
        assert process.poll() is None, f"the collector ended: {self.stderr}"
        try:
            self.addresses = json.loads((self.home / "collector.json").read_text())
        except (OSError, ValueError):
            return False
        return self.addresses["pid"] == process.pid

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'https' if self.tls else 'http'}://{self.addresses['http']}"

    @property
    def stderr(self) -> str:
        """All that it said so far, over all its starts."""
        return self.stderr_path.read_text() if self.stderr_path.exists() else ""

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        """GET."""
        return self._client.get(self.url + path, params=parameters, headers=self._headers)

    def item(self, path: str, **parameters: Any) -> Any:
        """The content of a good answer."""
        answer = self.get("/api/v1" + path, **parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, content: Any, **options: Any) -> httpx.Response:
        """POST of JSON."""
        return self._client.post(self.url + path, json=content, **{"headers": self._headers, **options})

    def put(self, path: str, content: Any) -> None:
        """PUT of JSON, which must be taken."""
        answer = self._client.put(self.url + path, json=content, headers=self._headers)
        assert answer.status_code == 200, answer.text

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def send(self, *records: otlp.Record) -> None:
        """Deliver log records, acknowledged."""
        assert self.post("/v1/logs", otlp.logs(records)).status_code == 200

    def send_spans(self, *spans: otlp.Record) -> None:
        """Deliver spans, acknowledged."""
        assert self.post("/v1/traces", otlp.spans(spans)).status_code == 200

    def applied(self) -> CollectorProcess:
        """Wait until both stores have all that was acknowledged."""

        def caught_up() -> bool:
            ready = self.get("/readyz").json()
            return ready["telemetry_lag_bytes"] == ready["control_lag_bytes"] == 0

        until(caught_up, "the stores to catch up")
        return self

    def applied_of(self, home: Path) -> CollectorProcess:
        """The same, with what a script there could not send in its last moment, as a busy machine is too slow for that."""
        if any((home / "spool").rglob("*.jsonl")):
            settings = {"ROTA_HOME": str(home), "ROTA_ENDPOINT": self.url, "ROTA_TOKEN": self.key}
            ship = [sys.executable, "-m", "rota", "agent", "--once"]
            subprocess.run(ship, env=clean_environment(**settings), check=True, capture_output=True, timeout=60)
        return self.applied()

    def all_runs(self) -> list[dict[str, Any]]:
        """Every run, page after page."""
        found, cursor = [], None
        while True:
            page = self.item("/runs", limit=1000, **({"cursor": cursor} if cursor else {}))
            found += page["items"]
            cursor = page["next"]
            if cursor is None:
                return found

    def kill(self) -> None:
        """SIGKILL; returns when the keeper is gone too, as the kernel sees to it."""
        assert self.process is not None
        keepers = self.keepers()
        self.process.kill()
        self.process.wait()
        until(lambda: not any(map(lives, keepers)), "the keeper to go with the front", self.patience_seconds)
        self._client.close()
        del self._client  # the next question makes another

    def keepers(self) -> list[int]:
        """The processes that the front has started and that live."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()] if children.exists() else []

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        """Leave nothing behind."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._client.close()
