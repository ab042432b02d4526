"""Whom rota talks to, seen from outside by strace: the endpoint that was configured, the agent's socket, and nobody else."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from execs import environment, words
from otlp_receiver import receiver

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace: apt-get install strace")

SCRIPT = "import rota\nrota.watch()\n@rota.task\ndef load():\n    pass\nload()\nrota.record(rows=1)\n"
_TO = re.compile(r"(?:connect|sendto|sendmsg|sendmmsg)\(.*?sa_family=(AF_\w+)(.*)")
_INET = re.compile(r'port=htons\((\d+)\).*?"([^"]+)"')


def partners(command: list[str], env: dict[str, str], log: Path) -> set[str]:
    """Whom the command and all its children connect to or send something to: ``address:port``, paths of sockets."""
    traced = ["strace", "-f", "-qq", "-s", "300", "-e", "trace=network", "-o", str(log), *command]
    subprocess.run(traced, env=env, check=True, capture_output=True, timeout=120)
    return {partner(*found.groups()) for found in map(_TO.search, log.read_text().splitlines()) if found}


def partner(family: str, rest: str) -> str:
    """One address as it is written, whatever its family."""
    inet = _INET.search(rest)
    if inet:
        return f"{inet[2]}:{inet[1]}"
    path = re.search(r'sun_path=@?"([^"]*)"', rest)
    return path[1] if path else family + rest


def job(tmp_path: Path) -> list[str]:
    """A watched script."""
    script = tmp_path / "job.py"
    script.write_text(SCRIPT)
    return [sys.executable, str(script)]


def test_the_trace_sees_connections_and_lookups(tmp_path):
    """The test can fail: a script that calls somebody, or looks a name up over the network, is found out."""
    source = (
        "import socket; s = socket.socket(); s.setblocking(False); s.connect_ex(('127.0.0.1', 9));"
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.53', 53))"
    )
    seen = partners([sys.executable, "-c", source], environment(tmp_path), tmp_path / "trace")
    assert seen == {"127.0.0.1:9", "127.0.0.53:53"}


@pytest.mark.parametrize("under", ["watch", "exec"])
def test_a_job_talks_to_the_endpoint_only(tmp_path, under):
    """A watched script and a command under exec connect to the configured address and to nothing else."""
    with receiver() as server:
        command = words(*job(tmp_path)) if under == "exec" else job(tmp_path)
        seen = partners(command, environment(tmp_path / "home", ROTA_ENDPOINT=server.url), tmp_path / "trace")
    assert seen == {server.url.removeprefix("http://")}


@pytest.mark.parametrize("under", ["watch", "exec"])
def test_a_job_looks_no_name_up(tmp_path, under):
    """An endpoint with a name is not for the job: it talks to nobody, not even to a name server. The agent carries it."""
    command = words(*job(tmp_path)) if under == "exec" else job(tmp_path)
    env = environment(tmp_path / "home", ROTA_ENDPOINT="https://collector.invalid")
    assert partners(command, env, tmp_path / "trace") == set()


def test_a_job_with_an_agent_talks_to_its_socket(tmp_path):
    """Where an agent listens, its socket is all that a job connects to, besides the configured endpoint."""
    path = str(tmp_path / "agent.sock")
    with receiver() as server, socket.socket(socket.AF_UNIX) as agent:
        agent.bind(path)
        agent.listen(8)
        env = environment(tmp_path / "home", ROTA_AGENT=path, ROTA_ENDPOINT=server.url)
        seen = partners(job(tmp_path), env, tmp_path / "trace")
    assert path in seen
    assert seen <= {path, server.url.removeprefix("http://")}


def test_the_agent_talks_to_the_endpoint_only(tmp_path):
    """What ships for a job that is over connects to the configured address and to nothing else."""
    env = environment(tmp_path / "home")
    subprocess.run(job(tmp_path), env=env, check=True, timeout=60)
    with receiver() as server:
        env["ROTA_ENDPOINT"] = server.url
        seen = partners([sys.executable, "-m", "rota", "agent", "--once"], env, tmp_path / "trace")
    assert seen == {server.url.removeprefix("http://")}
    assert list((tmp_path / "home/spool").rglob("*.jsonl")) == []
