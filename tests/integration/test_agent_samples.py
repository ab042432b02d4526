"""What the agent measures of a running script arrives with the run."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from agents import SCRIPT, WAITING, agent
from servers import PATIENCE_SECONDS, clean_environment, poll

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux: no pidfd, nobody is watched")

PARENT = "import subprocess; child = subprocess.Popen(['sleep', '600']); {waiting}; child.kill(); child.wait()"


def test_a_run_shows_what_it_uses(collector, tmp_path):
    """CPU time, its share, memory, threads and its child, as metrics of that run. The script does nothing for it."""
    settings = {"ROTA_ENDPOINT": collector.url, "ROTA_SAMPLE_SECONDS": "0.2", "ROTA_DETACH": "off"}
    environment = clean_environment(tmp_path / "agent home", **settings)
    body = PARENT.format(waiting=WAITING.format(then="pass"))
    with (
        agent(environment, tmp_path / "agent.log"),
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT.format(first="", body=body)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as script,
    ):
        try:
            run = poll(lambda: collector.get("/api/v1/runs").json()["items"], "no run arrives")[0]
            wanted = {"process.cpu.time", "process.cpu.utilization", "process.memory.usage", "process.thread.count"}
            measured = poll(lambda: series(collector, run["id"], wanted), "no samples arrive")
        finally:
            script.communicate(b"\n", timeout=PATIENCE_SECONDS)
    assert {attributes["cpu.mode"] for name, attributes, _ in measured if name == "process.cpu.time"} == {"user", "system"}
    assert {value for name, _, points in measured if name == "rota.process.descendants" for _, value in points} >= {1.0}


def series(collector, run_id: str, wanted: set[str]) -> list[tuple[str, dict[str, str], list[list[float]]]]:
    """(name, attributes, points) of each series of a run, once all that are wanted are there with two points."""
    items = collector.get(f"/api/v1/runs/{run_id}/metrics").json()["items"]
    found = [(item["name"], item["attributes"], item["points"]) for item in items if len(item["points"]) > 1]
    return found if wanted <= {name for name, *_ in found} else []
