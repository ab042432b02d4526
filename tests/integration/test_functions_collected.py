"""Permission for functions with a real collector: a stored policy makes them ask, and what was answered is kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from agents import agent
from servers import client_of, poll, rota

SCRIPT = """
import rota
rota.watch("etl")
def load(n): return n
print(load(1) + load(2))
"""
POLICY = "workflow: etl\ntasks: {load: {permit: true}}\n"


@pytest.fixture
def environment(collector, tmp_path: Path) -> dict[str, str]:
    """Of a user on the collector's host, who has stored the policy."""
    found = client_of(collector) | {"ROTA_DETACH": "off"}
    (tmp_path / "rota.yaml").write_text(POLICY)
    done = rota("policy", "apply", "-f", str(tmp_path / "rota.yaml"), environment=found)
    assert (done.returncode, done.stderr) == (0, "")
    return found


def decisions(collector, environment: dict[str, str]) -> list[dict[str, Any]]:
    """What was decided of the run that the script makes now, once the collector can tell."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n", "")
    (run,) = poll(lambda: collector.get("/api/v1/runs?workflow=etl&state=succeeded").json()["items"], "the run does not come")
    items: list[dict[str, Any]] = poll(
        lambda: collector.get(f"/api/v1/runs/{run['id']}/decisions").json()["items"], "no decision"
    )
    return items


def test_the_agent_brings_the_policy_and_answers_by_it(collector, environment, tmp_path):
    """Its answer is told with the run, once for all calls of the function."""
    with agent(environment, tmp_path / "agent.log"):
        poll((collector.home / "policy/etl.json").exists, "the policy does not come", tmp_path / "agent.log")
        (told,) = decisions(collector, environment)
    assert (told["task"], told["answer"], told["source"], told["attempt"]) == ("load", "go", "agent", 1)
    assert told["reason"] == "permitted by policy version 1"
