"""A host without a resident agent: what the collector's answers tell brings its policies there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
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


def test_a_policy_reaches_the_next_run(environment, server, tmp_path):
    """The number in the collector's answers is not the host's: the script leaves a shipper behind that brings the set."""
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
