"""A host without a resident agent: what the collector's answers tell brings its policies there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from collectors import PATIENCE_SECONDS
from permissions import DENY, CollectorStandIn, collector
from servers import clean_environment, poll, rota

SCRIPT = """
import rota
rota.watch("etl")
def load(): return "loaded"
try:
    print(load())
except rota.GateDenied as denied:
    print(denied.reason)
"""


@pytest.fixture
def server() -> Iterator[CollectorStandIn]:
    """A collector that denies whatever it is asked for."""
    with collector(lambda _: DENY) as running:
        yield running


@pytest.fixture
def environment(tmp_path: Path, server: CollectorStandIn) -> dict[str, str]:
    """Of scripts without an agent."""
    return {**clean_environment(tmp_path / "home"), "ROTA_ENDPOINT": server.address, "ROTA_AGENT": "off"}


def printed(environment: dict[str, str]) -> str:
    """What the script prints; it must not fail."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def silent(tmp_path: Path) -> Path:
    """The mark that a script leaves whose question the collector did not answer in time."""
    mark = tmp_path / "home/spool/policies.silent"
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    return mark


def patiently(environment: dict[str, str], tmp_path: Path, script: str = SCRIPT) -> Iterator[tuple[int, str, str]]:
    """(exit status, stdout, stderr) of the script, run again as long as this busy machine did not answer it in time. Nobody but
    the script itself may bring policies.
    """
    for _ in range(20):
        for name in ("silent", "policies.silent", "policies.failed"):
            (tmp_path / "home/spool" / name).unlink(missing_ok=True)
        words = [sys.executable, "-c", script]
        done = subprocess.run(words, env={**environment, "ROTA_DETACH": "off"}, capture_output=True, text=True, check=False)
        yield done.returncode, done.stdout, done.stderr


def test_a_policy_set_before_the_first_run_holds(environment, server, tmp_path):
    """A collector on this machine is asked before the script's code runs, and the policies that it has hold at once."""
    server.version, server.items = 7, {"etl": {"version": 1, "tasks": {"load": {"permit": True}}}}
    assert (0, "no rows\n", "") in patiently(environment, tmp_path)
    assert (tmp_path / "home/policy/.version").read_text() == "7"
    server.version, server.items = 9, {"other": {"version": 1, "retry": {"attempts": 2}}}
    (tmp_path / "home/policy/etl.json").unlink()
    for found in patiently(environment, tmp_path):
        assert found == (0, "loaded\n", "")
        if sorted(path.name for path in (tmp_path / "home/policy").iterdir()) == [".version", "other.json"]:
            return
    pytest.fail("the new set never came")


def test_gates_set_before_the_first_run_hold(environment, server, tmp_path):
    """A run that may not begin says that it is denied, and never that it runs."""
    server.version, server.items = 7, {"etl": {"version": 1, "gates": [{"kind": "concurrency", "limit": 1}]}}
    for found in patiently(environment, tmp_path):
        if found == (75, "", "rota: etl may not run: no rows\n"):
            break
        server.events.clear()
    states = [event["rota.run.state"] for event in server.events if event["event"] == "rota.run.state"]
    assert states == ["cancelled"]


def test_who_does_not_answer_is_waited_for_once(environment, tmp_path):
    """A silent collector is asked once in a while: the next script does not ask. Both run as they do without rota."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        environment |= {"ROTA_ENDPOINT": "http://127.0.0.1:%d" % listener.getsockname()[1], "ROTA_DETACH": "off"}
        assert printed(environment) == "loaded"
        mark = tmp_path / "home/spool/policies.silent"
        assert mark.exists()
        with listener.accept()[0] as asked:
            asked.settimeout(PATIENCE_SECONDS)
            assert asked.recv(65536).count(b"Content-Length: 0") == 1
        (tmp_path / "home/spool/silent").unlink()  # which would keep the next script from connecting at all
        assert printed(environment) == "loaded"
        with listener.accept()[0] as told:
            told.settimeout(PATIENCE_SECONDS)
            assert b"Content-Length: 0" not in told.recv(65536)
        (tmp_path / "home/spool/silent").unlink()
        os.utime(mark, (time.time() - 60,) * 2)
        assert printed(environment) == "loaded"
        with listener.accept()[0] as asked:
            asked.settimeout(PATIENCE_SECONDS)
            assert b"Content-Length: 0" in asked.recv(65536)


def test_a_foreign_receiver_is_believed_nothing(environment, server, tmp_path):
    """Who answers without a number of policies has none."""
    server.version, server.is_rota = 7, False
    assert printed(environment) == "loaded"
    assert not (tmp_path / "home/policy").exists()


def test_a_policy_reaches_the_next_run(environment, server, tmp_path):
    """The number in the collector's answers is not the host's: the script leaves a shipper behind that brings the set."""
    silent(tmp_path)
    server.version, server.items = 7, {"etl": {"version": 1, "tasks": {"load": {"permit": True}}}}
    assert printed(environment) == "loaded"
    poll((tmp_path / "home/policy/.version").exists, "the policy does not come")
    assert printed(environment) == "no rows"
    server.version, server.items = 0, {}
    assert printed(environment) == "no rows"
    poll(lambda: not (tmp_path / "home/policy/etl.json").exists(), "the policy stays")
    assert printed(environment) == "loaded"


def test_while_nothing_asks_nobody_is_left_behind(environment, server, tmp_path):
    """0 is what every host has."""
    assert printed(environment) == "loaded"
    assert not (tmp_path / "home/spool/once.lock").exists()
    assert server.known == []


def test_a_collector_that_cannot_tell_is_not_asked_at_every_end(environment, server, tmp_path):
    """An older one knows the number and not the question: scripts leave a shipper behind now and then only."""
    silent(tmp_path)
    server.version, server.is_old = 7, True
    assert printed(environment) == "loaded"
    poll((tmp_path / "home/spool/policies.failed").exists, "there is no mark")
    assert not (tmp_path / "home/spool/once.failed").exists()  # what it ships is not in doubt
    (tmp_path / "home/spool/once.lock").unlink()
    assert printed(environment) == "loaded"
    assert not (tmp_path / "home/spool/once.lock").exists()


def test_shipping_once_renews_the_policies_too(environment, server, tmp_path):
    """`rota agent --once` from a crontab keeps a host current."""
    server.version, server.items = 7, {"etl": {"version": 1, "tasks": {"load": {"permit": True}}}}
    done = rota("agent", "--once", environment=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "home/policy/.version").read_text() == "7"
