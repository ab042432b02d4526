"""Rules on the run in flight with a real collector: by an agent, and without one; in a script, and under ``rota exec``."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from agents import agent
from servers import PATIENCE_SECONDS, client_of, poll, rota

SCRIPT = """
import time, rota
rota.watch("etl")
def extract(rows):
    rota.record(rows=rows)
def load_orders():
    print("loaded", flush=True)
extract({rows})
{then}
"""
STAY = "print('stays', flush=True)\ntime.sleep(120)"
NO_ROWS = "task('extract').rows == 0"
WAYS = [(by, how) for by in ("agent", "itself") for how in ("watch", "exec")]


class Etl:
    """A user's script under rules, on the collector's host."""

    def __init__(self, collector: Any, folder: Path, by: str, how: str) -> None:
        self.collector, self.folder, self.by, self.how = collector, folder, by, how
        self.environment = client_of(collector) | {"ROTA_DETACH": "off"}

    def policy(self, **document: Any) -> None:
        """Store it, and have it on the host."""
        self.collector.put("/api/v1/workflows/etl/policy", document)
        if self.by == "itself":
            from rota.agent import policies

            found = self.collector.item("/policies/asking")
            policies.write(str(self.collector.home), found["version"], found["items"])
        poll((self.collector.home / "policy/etl.json").exists, "the policy does not come")

    def start(self, rows: int, then: str) -> subprocess.Popen[str]:
        """The script, as a process."""
        path = self.folder / "etl.py"
        path.write_text(SCRIPT.format(rows=rows, then=then))
        words = [sys.executable, str(path)]
        if self.how == "exec":
            words = [sys.executable, "-m", "rota", "exec", "--name", "etl", "--", *words]
        return subprocess.Popen(words, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *states: str) -> dict[str, Any]:
        """Its only run, once it is in one of these states."""

        def found() -> dict[str, Any] | None:
            runs = self.collector.item("/runs", workflow="etl")["items"]
            return next((run for run in runs if run["state"] in states), None)

        item: dict[str, Any] = poll(found, f"it does not get {states}", self.folder / "agent.log")
        return item

    def decisions(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        """What was decided of it."""
        items: list[dict[str, Any]] = poll(lambda: self.collector.item(f"/runs/{run['id']}/decisions")["items"], "no decision")
        return items


@pytest.fixture(params=WAYS, ids=" ".join)
def etl(request, collector, tmp_path):
    """By an agent, or by itself; as it is, or under exec."""
    made = Etl(collector, tmp_path, *request.param)
    with contextlib.ExitStack() as opened:
        if made.by == "agent":
            opened.enter_context(agent(made.environment, tmp_path / "agent.log"))
        yield made


def test_a_run_is_cancelled_by_what_its_task_told(etl):
    """While it runs: by SIGTERM, with the rule as its reason, and what the rule saw on record."""
    etl.policy(rules=[{"when": NO_ROWS, "do": "cancel('nothing to load')"}])
    process = etl.start(0, STAY)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (out, err) == ("stays\n", "")
    assert process.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM)
    run = etl.run("cancelled")
    (decided,) = etl.decisions(run)
    assert (decided["answer"], decided["kind"], decided["reason"]) == ("cancel", "rule", "rule 1: nothing to load")
    assert decided["answers"][0]["facts"]["tasks"]["extract"]["rows"] == 0


def test_a_task_is_denied_by_what_an_earlier_one_told(etl):
    """A function that nobody touched: it raises GateDenied, which tells the rule; a run with rows is let through."""
    etl.policy(rules=[{"when": NO_ROWS, "do": "deny('load_*', 'no rows')"}])
    out, err = etl.start(0, "load_orders()").communicate(timeout=PATIENCE_SECONDS)
    assert out == ""
    assert "GateDenied" in err
    assert "rule 1: no rows" in err
    run = etl.run("failed")
    assert [(each["task"], each["answer"], each["kind"]) for each in etl.decisions(run)] == [("load_orders", "deny", "rule")]
    assert etl.start(3, "load_orders()").communicate(timeout=PATIENCE_SECONDS) == ("loaded\n", "")


def test_people_are_told_while_the_run_goes_on(etl):
    """An incident with the rule's words; the run is left alone."""
    etl.policy(rules=[{"when": NO_ROWS, "do": "alert('no rows again')"}])
    process = etl.start(0, STAY)
    try:
        (incident,) = poll(lambda: etl.collector.item("/incidents", state="open")["items"], "no incident")
        assert (incident["kind"], incident["summary"]) == ("rule", "rule 1: no rows again")
        assert process.poll() is None
        assert etl.run("running")["id"] == incident["run_id"]
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_SECONDS)


def test_a_person_cancels_a_run_that_nobody_prepared(collector, tmp_path):
    """`rota cancel` on a host with an agent; the run says that it was cancelled, the record by whom."""
    made = Etl(collector, tmp_path, "agent", "watch")
    with agent(made.environment, tmp_path / "agent.log"):
        process = made.start(1, STAY)
        assert process.stdout is not None
        assert process.stdout.readline() == "stays\n"
        made.run("running")
        done = rota("cancel", "etl", "--reason", "wrong day", environment=made.environment)
        assert (done.returncode, done.stderr) == (0, "")
        process.communicate(timeout=PATIENCE_SECONDS)
        run = made.run("cancelled")
    assert run["exit_code"] == 143
    history = collector.applied().item(f"/runs/{run['id']}/history")["items"]
    (cancelling,) = [each for each in history if each["word"] == "cancelling"]
    assert cancelling["reason"].endswith(": wrong day")
    done = rota("cancel", run["id"], environment=made.environment)
    assert done.returncode == 1
    assert "is over: cancelled" in done.stderr
