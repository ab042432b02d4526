"""An observer that is killed again and again, in front of a real collector."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from collectors import clean_environment, until
from standins.azkaban import Azkaban, serve

TOLD = [("extract", 1, "failed"), ("extract", 2, "succeeded"), ("load", 1, "succeeded")]
OBSERVE = [sys.executable, "-m", "rota", "observe", "azkaban", "--every", "50ms"]


def test_an_observer_that_is_killed_tells_nothing_twice_and_misses_nothing(shared_collector: Any, tmp_path: Path) -> None:
    """kill -9 after each thing that happens, however far it got; the last one completes the run."""
    azkaban = Azkaban()
    azkaban.projects["killed"] = {"nightly": {"extract": [], "load": ["extract"]}}
    with serve(azkaban) as url:
        _, flow = azkaban.submit("killed", "nightly")
        flow.retries["extract"] = 1
        steps = [
            lambda: flow.start("extract"),
            lambda: flow.finish("extract", "FAILED"),
            lambda: flow.start("extract"),
            lambda: flow.finish("extract", "SUCCEEDED"),
            lambda: flow.start("load"),
            lambda: flow.finish("load", "SUCCEEDED"),
        ]
        where = {"ROTA_HOME": str(tmp_path), "ROTA_ENDPOINT": shared_collector.url, "ROTA_AGENT": "off"}
        environment = clean_environment(**where, AZKABAN_URL=url, AZKABAN_PASSWORD="geheim")
        for number, step in enumerate(steps):
            step()
            asked = azkaban.asked.count("fetchexecflow")
            with subprocess.Popen(OBSERVE, env=environment) as observer:
                try:
                    until(lambda seen=asked: azkaban.asked.count("fetchexecflow") > seen, "the observer to look")
                    if number == len(steps) - 1:
                        until(lambda: states(shared_collector) == ["succeeded"], "the end to arrive")
                finally:
                    observer.kill()
        until(lambda: told(shared_collector) == TOLD, "all tasks to arrive")
    assert told(shared_collector.applied()) == TOLD


def states(collector: Any) -> list[str]:
    return [run["state"] for run in collector.item("/runs", workflow="killed/nightly")["items"]]


def told(collector: Any) -> Any:
    run_id = collector.item("/runs", workflow="killed/nightly")["items"][0]["id"]
    tasks = collector.item(f"/runs/{run_id}/tasks")["items"]
    return sorted((task["name"], task["attributes"].get("rota.attempt", 1), task["state"]) for task in tasks)
