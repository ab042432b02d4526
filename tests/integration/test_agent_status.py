"""`rota agent status`: whether an agent answers, and how it does."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from agents import agent, waiting
from otlp_receiver import Reply, receiver, span_line, state_line
from servers import clean_environment, poll, rota

WITNESS = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux: no pidfd, nobody is watched")


@pytest.fixture
def server():
    """A receiver that says it is rota."""
    with receiver() as running:
        yield running


@pytest.fixture
def environment(tmp_path, server) -> dict[str, str]:
    """A home of its own, with an agent's socket in it."""
    home = tmp_path / "home"
    return {**clean_environment(home, ROTA_AGENT=str(home / "agent.sock")), "ROTA_ENDPOINT": server.url, "ROTA_DETACH": "off"}


def status(environment: dict[str, str]) -> dict[str, Any]:
    """As `--json` prints it."""
    return json.loads(rota("agent", "status", "--json", environment=environment).stdout)


def test_no_agent_is_an_exit_status_and_a_next_step(environment):
    """1; where we looked, and how to start one."""
    done = rota("agent", "status", environment=environment)
    assert done.returncode == 1
    assert environment["ROTA_AGENT"] in done.stdout
    assert "rota agent install" in done.stdout
    assert status(environment) == {"answers": False, "looked_at": [environment["ROTA_AGENT"]]}


@WITNESS
def test_an_agent_tells_how_it_does(environment, server, tmp_path):
    """What it is, what it watches, and that it delivers."""
    with agent(environment, tmp_path / "agent.log") as process, waiting(environment):
        found = poll(lambda: [found for found in [status(environment)] if found["delivered_at"]], "nothing is delivered")[0]
        assert (found["door"], found["pid"], found["watched"]) == (environment["ROTA_AGENT"], process.pid, 1)
        assert (found["answers"], found["failure"], found["waiting_files"]) == (True, "", 0)
        assert found["started_at"] <= found["delivered_at"]
        done = rota("agent", "status", environment=environment)
        assert done.returncode == 0
        assert "processes  1 running" in done.stdout


def test_what_waits_and_why_is_told(environment, server, tmp_path):
    """A collector that does not take anything: the files that wait, and its answer."""
    server.answer = lambda path, body: Reply(503)
    left = Path(environment["ROTA_HOME"], "spool", "left")
    left.mkdir(parents=True)
    left.joinpath("1-00.logs.jsonl").write_bytes(state_line("running"))
    left.joinpath("1-00.traces.jsonl").write_bytes(span_line())
    with agent(environment, tmp_path / "agent.log"):
        found = poll(lambda: [found for found in [status(environment)] if found["failure"]], "no failure is told")[0]
        assert "503" in found["failure"]
        assert (found["waiting_files"], found["delivered_at"]) == (2, 0)
        assert found["waiting_bytes"] > len(state_line("running")) + len(span_line())


def test_who_asks_and_does_not_listen_hurts_nobody(environment, tmp_path):
    """The next one is answered all the same."""
    with agent(environment, tmp_path / "agent.log"):
        for _ in range(50):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as rude:
                rude.connect(environment["ROTA_AGENT"])
                rude.sendall(b'{"status":1}\n')
        assert status(environment)["answers"] is True
