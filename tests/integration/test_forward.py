"""Forwarding, from a real collector to real and to scripted receivers."""

from __future__ import annotations

import contextlib
import gzip
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import otlp
import pytest
from bench import environments
from collectors import CollectorProcess, clean_environment, until
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from otlp_receiver import Receiver, Reply, receiver
from servers import free_ports

KILLS = 1
NewCollector = Callable[..., CollectorProcess]


@pytest.fixture
def backend() -> Iterator[Receiver]:
    with receiver() as found:
        found.answer = lambda path, body: Reply(is_rota=False, body=b"")
        yield found


def texts(body: bytes) -> list[str]:
    """The bodies of the log records in one request."""
    logs = ExportLogsServiceRequest.FromString(gzip.decompress(body))
    scopes = [scope for resource in logs.resource_logs for scope in resource.scope_logs]
    return [log.body.string_value for scope in scopes for log in scope.log_records]


def delivered(backend: Receiver) -> list[str]:
    return [text for path, body in backend.delivered if path == "/v1/logs" for text in texts(body)]


def forwarded(collector: CollectorProcess, target: str = "default") -> dict[str, Any]:
    found: dict[str, Any] = collector.get("/readyz").json()["forward"][target]
    return found


def drained(collector: CollectorProcess, target: str = "default") -> dict[str, Any]:
    until(lambda: forwarded(collector, target)["lag_bytes"] == 0, "everything to be forwarded")
    return forwarded(collector, target)


def test_everything_reaches_another_collector(new_collector: NewCollector) -> None:
    """Runs, spans and logs that one collector took are in the next one as they were sent, JSON or not."""
    far = new_collector().start()
    near = new_collector(ROTA_FORWARD=far.url).start()
    near.send(*otlp.whole_run(0), *otlp.whole_run(1, "failed", error_type="ValueError"), otlp.log(0, "hello"))
    near.send_spans(otlp.task(0, 1, "load"))
    assert drained(near)["refused_requests"] == 0
    far.applied()
    for collector in (near.applied(), far):
        states = {run["id"]: run["state"] for run in collector.all_runs()}
        assert states == {otlp.run_id(0): "succeeded", otlp.run_id(1): "failed"}
        assert [task["name"] for task in collector.item(f"/runs/{otlp.run_id(0)}")["tasks"]] == ["load"]


def test_a_kill_loses_nothing(new_collector: NewCollector, backend: Receiver) -> None:
    """kill -9 at any moment: the backend has everything that was acknowledged, what was under way perhaps twice."""
    near = new_collector(ROTA_FORWARD=backend.url).start()
    sent = 0
    for kill in range(KILLS):
        for _ in range(25):
            near.send(otlp.log(0, f"line {sent}"))
            sent += 1
        until(lambda kill=kill: len(backend.delivered) > kill, "something to be under way")
        near.kill()
        near.start()
    drained(near)
    assert set(delivered(backend)) == {f"line {n}" for n in range(sent)}


def test_a_bad_setting_stops_the_start(new_collector: NewCollector) -> None:
    """A target that cannot be is said before anything is received."""
    near = new_collector(ROTA_FORWARD="otel.example")
    assert near.spawn().wait(30) == 1
    assert "ROTA_FORWARD='otel.example'" in near.stderr
    with contextlib.suppress(OSError):
        assert not (near.home / "collector.json").exists()


def test_a_receiver_that_nobody_here_wrote_takes_it(new_collector: NewCollector, tmp_path: Path) -> None:
    """rotel (bench/peers/rotel.txt) takes what is forwarded, and its own exporter brings it to another collector."""
    far = new_collector().start()
    with rotel(tmp_path, far) as url:
        near = new_collector(ROTA_FORWARD=url).start()
        near.send(*otlp.whole_run(0))
        near.send_spans(otlp.task(0, 1, "load"))
        assert drained(near)["refused_requests"] == 0
        until(lambda: far.get(f"/api/v1/runs/{otlp.run_id(0)}/tasks").json().get("items"), "rotel to send it on")
    assert far.applied().all_runs()[0]["state"] == "succeeded"


@contextlib.contextmanager
def rotel(folder: Path, to: CollectorProcess) -> Iterator[str]:
    """A rotel that sends to a collector; its address."""
    agent = Path(environments.peer("rotel")).parents[1] / "lib"
    [program] = agent.glob("python*/site-packages/rotel/rotel-agent")
    grpc, http = free_ports(2)
    command = [
        str(program), "start", "--otlp-grpc-endpoint", f"127.0.0.1:{grpc}", "--otlp-http-endpoint", f"127.0.0.1:{http}",
        "--exporter", "otlp", "--otlp-exporter-protocol", "http", "--otlp-exporter-endpoint", to.url,
    ]  # fmt: skip
    with open(folder / "rotel.log", "wb") as log:
        process = subprocess.Popen(command, env=clean_environment(), stdout=log, stderr=log)
    try:
        until(lambda: accepts(http), "rotel to listen")
        yield f"http://127.0.0.1:{http}"
    finally:
        process.kill()
        process.wait()


def accepts(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
