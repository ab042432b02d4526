"""The collector as those who run it see it: its numbers, its words, and what it tells systemd."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import otlp
import pytest
from collectors import CollectorProcess, until


def numbers(collector: CollectorProcess) -> dict[str, float]:
    """Series → number."""
    lines = [line for line in collector.get("/metrics").text.splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_what_was_received_is_counted(collector):
    """Requests, items and bytes, refusals too; what the receiving process counts is told by the one that answers."""
    collector.send(otlp.log(1, "a"), otlp.log(1, "b"))
    assert collector.post("/v1/traces", {"resourceSpans": 1}).status_code == 400
    assert collector.get("/ping/of-nobody").status_code == 404
    assert collector.post("/api/v1/lineage", 1).status_code == 400
    collector.applied()
    found = numbers(collector)
    assert found['rota_requests_total{signal="logs",transport="http",code="200"}'] == 1
    assert found['rota_items_accepted_total{signal="logs"}'] == 2
    assert found['rota_requests_total{signal="traces",transport="http",code="400"}'] == 1
    assert found['rota_requests_total{signal="pings",transport="http",code="404"}'] == 1
    assert found['rota_requests_total{signal="lineage",transport="http",code="400"}'] == 1
    assert found["rota_journal_sync_seconds_count"] >= 1
    assert found["rota_journal_bytes_total"] == (collector.home / "journal").joinpath("0" * 20 + ".journal").stat().st_size
    assert found["rota_monitor_ticks_total"] >= 1
    assert {series for series in found if series.startswith("rota_process_resident")} == {
        'rota_process_resident_memory_bytes{process="front"}',
        'rota_process_resident_memory_bytes{process="keeper"}',
    }


def test_a_refused_request_is_said_and_not_for_ever(collector):
    """With its signal, status and reason; after a few of the same kind in a minute no more."""
    for _ in range(20):
        collector.post("/v1/traces", {"resourceSpans": 1})
    lines = [line for line in collector.stderr.splitlines() if "refused traces over http with 400: " in line]
    assert len(lines) == 5


def test_machines_are_spoken_to_in_json(new_collector):
    """Both processes keep to ROTA_LOG."""
    collector = new_collector(ROTA_LOG="json").start()
    collector.post("/v1/traces", {"resourceSpans": 1})
    said = [json.loads(line) for line in collector.stderr.splitlines()]
    assert [line["level"] for line in said] == ["info", "warn"]
    assert said[0]["message"].startswith(f"listening on {collector.url}")


class Systemd:
    """The end of the notification socket that systemd holds."""

    def __init__(self, path: str) -> None:
        self.address = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + path[1:] if path.startswith("@") else path)
        self._socket.settimeout(30)
        self.heard: list[str] = []

    def hear(self) -> str:
        """The next message; several lines may be in one."""
        self.heard.append(self._socket.recv(4096).decode())
        return self.heard[-1]

    def hear_until(self, wanted: str) -> None:
        """Wait for a message."""
        until(lambda: wanted in self.hear(), wanted)

    def is_quiet(self, seconds: float) -> bool:
        """Whether no sign of life comes for so long."""
        self._socket.settimeout(seconds)
        try:
            return not any("WATCHDOG" in self._socket.recv(4096).decode() for _ in range(3))
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(30)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def new_systemd() -> Iterator[Callable[[str], Systemd]]:
    made: list[Systemd] = []

    def make(path: str) -> Systemd:
        made.append(Systemd(path))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("kind", ["file", "abstract"])
def test_systemd_is_told_of_the_start_and_of_the_stop(new_collector, new_systemd, tmp_path: Path, kind: str):
    """READY once /readyz is 200, and not before; where it listens as status; STOPPING at TERM."""
    systemd = new_systemd(str(tmp_path / "notify") if kind == "file" else f"@rota-test-{os.getpid()}")
    collector = new_collector(NOTIFY_SOCKET=systemd.address)
    process = collector.spawn()
    systemd.hear_until("READY=1")
    until(lambda: collector.listens(process), "its address")
    assert collector.get("/readyz").status_code == 200
    systemd.hear_until(f"STATUS=listening on {collector.url}")
    process.send_signal(signal.SIGTERM)
    systemd.hear_until("STOPPING=1")
    assert process.wait(30) == 0


def test_a_sign_of_life_is_one_of_the_whole_collector(new_collector, new_systemd, tmp_path: Path):
    """It comes at a third of the watchdog's time; when the process with the stores hangs it does not, and the status says so."""
    systemd = new_systemd(str(tmp_path / "notify"))
    collector = new_collector(NOTIFY_SOCKET=systemd.address, WATCHDOG_USEC="600000").start()
    systemd.hear_until("READY=1")
    systemd.hear_until("WATCHDOG=1")
    (keeper,) = children(collector.process.pid)
    os.kill(keeper, signal.SIGSTOP)
    try:
        until(lambda: collector.process.poll() is None and systemd.is_quiet(1.0), "no sign of life")
        systemd.hear_until("STATUS=it does not answer")
    finally:
        os.kill(keeper, signal.SIGCONT)
    systemd.hear_until("WATCHDOG=1")


def children(pid: int) -> list[int]:
    """The processes that ``pid`` started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_the_processes_that_it_starts_are_not_told_of_systemd(new_collector, new_systemd, tmp_path: Path):
    """NOTIFY_SOCKET is for the first process alone, or another could say that all is well."""
    systemd = new_systemd(str(tmp_path / "notify"))
    collector = new_collector(NOTIFY_SOCKET=systemd.address, WATCHDOG_USEC="60000000").start()
    for child in children(collector.process.pid):
        environment = Path(f"/proc/{child}/environ").read_bytes()
        assert b"NOTIFY_SOCKET" not in environment
        assert b"WATCHDOG_USEC" not in environment


def test_metrics_are_read_while_much_comes_in(collector):
    """Every answer is whole and counts no less than the one before."""
    before = 0.0
    with httpx.Client(base_url=collector.url, trust_env=False) as client:
        for number in range(20):
            assert client.post("/v1/logs", json=otlp.logs([otlp.log(number, "x")] * 50)).status_code == 200
            now = numbers(collector)['rota_items_accepted_total{signal="logs"}']
            assert now == before + 50
            before = now
