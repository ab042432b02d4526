"""Retries out of a budget: never more than it has, whoever makes them, and a run that gets none says so."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from collectors import CollectorProcess, until
from execs import ask, ask_of_tasks, counting, environment, run_exec, told
from scripts import PYTHONS, Outcome, run_script

DECIDED = "rota.gate.decision"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A rota home that does not exist yet."""
    return tmp_path / "home"


def store(collector: CollectorProcess, home: Path, workflow: str, document: dict[str, Any]) -> dict[str, str]:
    """Store a policy, and bring it to a host as its agent would; the environment of jobs there."""
    collector.put(f"/api/v1/workflows/{workflow}/policy", document)
    asking = collector.item("/policies/asking")
    (home / "policy").mkdir(parents=True, exist_ok=True)
    (home / "policy" / f"{workflow}.json").write_text(json.dumps(asking["items"][workflow]))
    (home / "policy" / ".version").write_text(str(asking["version"]))
    return environment(home, ROTA_ENDPOINT=collector.url)


def spent(collector: CollectorProcess, budget: str) -> tuple[int, int]:
    """(questions, retries granted), as the collector has kept them."""
    with contextlib.closing(sqlite3.connect(collector.home / "control.sqlite")) as control:
        found = control.execute("SELECT count(*), coalesce(sum(granted), 0) FROM retry_grants WHERE budget = ?", (budget,))
        many, granted = found.fetchone()
        return many, granted


def standing(collector: CollectorProcess, budget: str) -> dict[str, Any]:
    (found,) = [each for each in collector.item("/budgets")["items"] if each["name"] == budget]
    return dict(found)


def test_an_outage_is_no_storm(shared_collector: CollectorProcess, tmp_path: Path, rota: Any) -> None:
    """Of runs that all fail, as many are tried again as the budget has; the others fail at once, and say why."""
    home, count = tmp_path / "home", tmp_path / "calls"
    retry = {"attempts": 5, "wait": 0, "budget": {"name": "storm", "percent": 20, "least": 1}}
    env = store(shared_collector, home, "storm", {"retry": retry})

    def fail(_: int) -> int:
        return run_exec("--name", "storm", "--", "sh", "-c", f"echo x >> {count}; exit 75", home=home, env=env).code

    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(fail, range(24))) == {75}
    retries = len(count.read_text().splitlines()) - 24
    shared_collector.applied()
    found = standing(shared_collector, "storm")
    assert 1 <= retries == found["retries"] <= found["allowed"] <= 1 + 24 // 5
    withheld = [run for run in shared_collector.item("/runs", workflow="storm")["items"] if run["reason"] == "retry_budget"]
    assert withheld
    assert {run["state"] for run in withheld} == {"failed"}
    path = f"/runs/{withheld[0]['id']}/decisions"
    (decided,) = until(lambda: shared_collector.item(path)["items"], "the decision to be told")
    assert (decided["answer"], decided["kind"], decided["source"]) == ("deny", "retry_budget", "collector")
    assert decided["answers"][0]["facts"]["name"] == "storm"
    shown = rota("show", withheld[0]["id"])
    assert "failed (retry_budget)" in shown
    assert "are spent in the budget storm (1, and 20 % of" in shown


def test_without_a_collector_the_host_counts(home: Path, tmp_path: Path) -> None:
    """When nobody answers, the host's own budget decides, over all runs on it; what was decided blind is told."""
    ask(home, {"attempts": 9, "wait": 0, "budget": {"name": "a/b", "percent": 0, "least": 3}})
    first = run_exec("--name", "etl", *counting(tmp_path, "exit 75"), home=home)
    assert (first.code, told(first)[-1]) == (75, ("failed", 4))
    assert first.last["rota.state.reason"] == "retry_budget"
    answers = [event["rota.gate.answer"] for event in first.events if event["event"] == DECIDED]
    assert answers == ["go", "go", "go", "deny"]
    second = run_exec("--name", "etl", *counting(tmp_path, "exit 75"), home=home)
    (denied,) = [
        event
        for event in second.events
        if event["event"] == DECIDED and event["cicd.pipeline.run.id"] != first.last["cicd.pipeline.run.id"]
    ]
    assert denied["rota.gate.answer"] == "deny"
    assert denied["rota.state.reason"] == (
        "3 of 3 retries of the last 10 min are spent in the budget a/b (3, and 0 % of 2 first attempts) on this host"
    )


def test_a_host_that_cannot_count_does_not_retry(home: Path, tmp_path: Path) -> None:
    """Where nobody answers and nothing can be counted, the failure stands, as it does without a policy."""
    ask(home, {"attempts": 9, "wait": 0, "budget": {}})
    (home / "budget").write_text("in the way")
    outcome = run_exec("--name", "etl", *counting(tmp_path, "exit 75"), home=home)
    assert (outcome.code, told(outcome)[-1], outcome.last["rota.state.reason"]) == (75, ("failed", 1), "retry_budget")


FUNCTIONS = """
import rota
rota.watch("{workflow}")
calls = []
@rota.task
def load(row):
    calls.append(row)
    raise ConnectionResetError(row)
for row in range(400):
    try:
        load(row)
    except ConnectionResetError:
        pass
print(len(calls))
"""
COROUTINES = """
import asyncio, rota
rota.watch("{workflow}")
calls = []
@rota.task
async def load(row):
    await asyncio.sleep(0)
    calls.append(row)
    raise ConnectionResetError(row)
async def main():
    found = await asyncio.gather(*(load(row) for row in range(100)), return_exceptions=True)
    assert {{type(each) for each in found}} == {{ConnectionResetError}}
    assert all(each.__context__ is None for each in found)
asyncio.run(main())
print(len(calls))
"""


@pytest.mark.parametrize(("script", "firsts"), [(FUNCTIONS, 400), (COROUTINES, 100)])
def test_a_function_asks_seldom(shared_collector: CollectorProcess, tmp_path: Path, script: str, firsts: int) -> None:
    """A function's retries count too. It asks for several at once the more it needs, and each caller gets its own error."""
    name = f"functions{firsts}"
    retry = {"attempts": 4, "wait": 0, "budget": {"name": name, "percent": 0, "least": 200}}
    env = store(shared_collector, tmp_path / "home", name, {"tasks": {"load": {"retry": retry}}})
    done = subprocess.run(
        [sys.executable, "-c", script.format(workflow=name)], env=env, capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    questions, granted = spent(shared_collector, name)
    assert 190 <= int(done.stdout) - firsts <= granted == 200
    assert questions < 80  # and not 200


@pytest.mark.parametrize("version", list(PYTHONS))
def test_a_forked_child_spends_its_own(home: Path, version: str) -> None:
    """A child of a process that was granted some asks for itself, and its parent's question holds up nobody."""
    ask_of_tasks(home, {"load": {"retry": {"attempts": 3, "wait": 0, "budget": {"percent": 0, "least": 3}}}})
    outcome: Outcome = run_script("""
import os, rota
rota.watch("etl")
calls = []
@rota.task
def load():
    calls.append(1)
    raise OSError
def tried():
    calls.clear()
    try:
        load()
    except OSError:
        return len(calls)
print(tried(), flush=True)
if os.fork() == 0:
    print(tried(), flush=True)
    os._exit(0)
os.wait()
print(tried(), flush=True)
""", home=home, python=PYTHONS[version])  # fmt: skip
    assert (outcome.code, outcome.stderr, outcome.stdout.split()) == (0, b"", [b"3", b"2", b"1"])
