"""The collector as a process: how it starts, whom it refuses to start beside, how it stops."""

from __future__ import annotations

import json
import os
import signal
import socket

import httpx
import otlp
import pytest
from collectors import until


def refused(collector) -> str:
    """Start it, expecting exit status 1 and one line; returns the line."""
    assert collector.spawn().wait(30) == 1
    lines = collector.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("rota collector: ")
    return lines[0]


def test_it_says_where_it_listens(collector):
    """One line on stderr, and a file in its home for those who started it on a free port."""
    assert f"rota collector: listening on {collector.url}" in collector.stderr
    assert f"(home {collector.home})" in collector.stderr
    assert json.loads((collector.home / "collector.json").read_text()) == {
        "http": collector.addresses["http"], "grpc": None, "pid": collector.process.pid,
    }  # fmt: skip


def test_grpc_listens_when_it_is_not_off(new_collector):
    """The real port of gRPC is told too."""
    collector = new_collector(ROTA_GRPC="127.0.0.1:0").start()
    host, _, port = collector.addresses["grpc"].rpartition(":")
    assert int(port) > 0
    with socket.create_connection((host, int(port)), timeout=10):
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly(collector, number):
    """TERM and INT: exit status 0, nothing said, and no address left behind."""
    said = collector.stderr
    collector.process.send_signal(number)
    assert collector.process.wait(30) == 0
    assert collector.stderr == said
    assert not (collector.home / "collector.json").exists()


def test_an_idle_connection_does_not_hold_up_a_stop(collector):
    """A client that keeps its connection open, and one that never sends its request, are left behind."""
    host, _, port = collector.addresses["http"].rpartition(":")
    with httpx.Client(base_url=collector.url, trust_env=False) as idle, socket.create_connection((host, int(port))) as half:
        half.sendall(b"POST /v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        assert idle.get("/healthz").status_code == 200
        assert collector.stop() == 0


def test_a_second_collector_on_the_same_home_is_refused(collector, new_collector):
    """It names the process and the home, exits 1, and the first goes on."""
    line = refused(new_collector(collector.home))
    assert f"(pid {collector.process.pid})" in line
    assert collector.get("/readyz").status_code == 200


def test_the_same_command_twice_says_that_it_runs_already(collector, new_collector):
    """With the same home and the same port, the home is the reason that helps."""
    line = refused(new_collector(collector.home, ROTA_HTTP=collector.addresses["http"]))
    assert f"a collector already runs in {collector.home} (pid {collector.process.pid})" in line


@pytest.mark.parametrize("setting", ["ROTA_HTTP", "ROTA_GRPC"])
def test_a_busy_port_is_refused_before_anything_is_created(new_collector, setting):
    """It names the address, who holds it and the setting to change; the home is not even made."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        collector = new_collector(**{setting: f"127.0.0.1:{taken.getsockname()[1]}"})
        line = refused(collector)
    assert f"({setting}) is in use by pid {os.getpid()}" in line
    assert f"choose another: {setting}=" in line
    assert not collector.home.exists()


def test_an_address_that_others_can_reach_is_refused(new_collector):
    """Keys guard the API and not yet what is sent: it says so, and creates nothing."""
    collector = new_collector(ROTA_HTTP="0.0.0.0:0")
    assert "keys guard the API only" in refused(collector)
    assert not collector.home.exists()


def test_a_home_that_cannot_be_written_is_refused(new_collector, tmp_path):
    """It names the path and the setting."""
    (tmp_path / "file").write_text("")
    line = refused(new_collector(tmp_path / "file" / "home"))
    assert "cannot use" in line
    assert "ROTA_HOME=" in line


def test_it_keeps_quiet_while_it_works(collector):
    """Requests leave no line, nor do questions nobody can answer: stderr is for what somebody should read."""
    said = collector.stderr
    collector.send(*otlp.whole_run(1))
    collector.get("/nonsense")
    collector.get("/metrics")
    collector.applied()
    assert collector.stderr == said


def test_it_comes_back_by_itself_to_where_it_was(collector):
    """Stop, start, kill, start: everything is there each time, and new runs are taken."""
    collector.send(*otlp.whole_run(1))
    assert collector.stop() == 0
    collector.start().send(*otlp.whole_run(2))
    collector.applied().kill()
    collector.start()
    until(lambda: len(collector.all_runs()) == 2, "both runs")
