"""Permission with a real agent: policies travel to the host, questions are answered there, and what needs more is passed on."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agents import agent
from permissions import DENY, GO, CollectorStandIn, collector
from servers import clean_environment, poll

from rota.control.standing import STANDS_SECONDS

SCRIPT = """
import rota
rota.watch("etl")
def load(n): return n
try:
    print(sum(load(n) for n in range(100)))
except rota.GateDenied as denied:
    print(denied.reason)
"""
ASKS_TWICE = f"""
import rota, sys, time
rota.watch("etl")
def load(): return 1
print(load(), flush=True)
sys.stdin.readline()
time.sleep({STANDS_SECONDS})
print(load(), flush=True)
"""
TASKS = {"load": {"permit": True}}
RULES = [{"when": "task('extract').rows == 0", "do": "deny('load')"}]


@pytest.fixture
def server() -> Iterator[CollectorStandIn]:
    """A collector whose set of asking policies has one document."""
    with collector() as running:
        running.version, running.items = 1, {"etl": {"version": 4, "tasks": TASKS}}
        yield running


@pytest.fixture
def environment(tmp_path: Path, server: CollectorStandIn) -> Iterator[dict[str, str]]:
    """Of scripts on a host with an agent that has heard of the policy."""
    found = {**clean_environment(tmp_path / "home"), "ROTA_ENDPOINT": server.address, "ROTA_DETACH": "off"}
    with agent(found, tmp_path / "agent.log"):
        poll((tmp_path / "home/policy/etl.json").exists, "the policy does not come", tmp_path / "agent.log")
        yield found


def printed(environment: dict[str, str]) -> str:
    """What the script prints; it must not fail."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_the_agent_answers_by_the_policy_and_the_collector_is_not_asked(environment, server):
    """A hundred questions over one connection."""
    assert printed(environment) == "4950"
    assert server.questions == []


def test_what_needs_the_collector_is_passed_on(environment, server, tmp_path):
    """With rules the run's facts count, which the collector holds against them."""
    server.answer = lambda question: DENY if question["task"] else GO
    server.version, server.items = 2, {"etl": {"version": 5, "tasks": TASKS, "rules": RULES}}
    poll(lambda: "rules" in (tmp_path / "home/policy/etl.json").read_text(), "the policy is not renewed")
    assert printed(environment) == "no rows"
    assert server.tasks == ["load"]
    assert {"permit", "home"} & server.questions[0].keys() == set()


def test_a_collector_that_is_away_leaves_the_policy_s_word(environment, server, tmp_path):
    """The agent tells that nobody answered, and `on_unreachable` decides."""
    tasks = {"load": {"permit": True, "on_unreachable": "deny"}}
    server.version, server.items = 2, {"etl": {"version": 5, "tasks": tasks, "rules": RULES}}
    poll(lambda: "rules" in (tmp_path / "home/policy/etl.json").read_text(), "the policy is not renewed")
    server.answer = lambda _: None
    assert "nobody answers" in printed(environment)


def test_a_policy_that_asks_no_more_is_taken_from_the_host(environment, server, tmp_path):
    """The next run finds no file, and asks nobody."""
    server.answer = lambda _: DENY
    server.version, server.items = 3, {}
    poll(lambda: not (tmp_path / "home/policy/etl.json").exists(), "the policy stays")
    assert printed(environment) == "4950"


def test_a_new_agent_is_asked_when_the_old_one_has_gone(environment, server, tmp_path):
    """A kept connection that is dead costs a question nothing but a new one."""
    source = ASKS_TWICE
    another = {**environment, "ROTA_AGENT": str(tmp_path / "second.sock")}
    command = [sys.executable, "-c", source]
    with contextlib.ExitStack() as agents:
        agents.enter_context(agent(another, tmp_path / "second.log"))
        with subprocess.Popen(command, env=another, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as script:
            assert script.stdout is not None
            assert script.stdout.readline() == "1\n"
            agents.close()
            agents.enter_context(agent(another, tmp_path / "third.log"))
            out, _ = script.communicate("\n")
    assert (script.returncode, out) == (0, "1\n")
    assert server.questions == []  # neither of the two was in doubt, nor was the script
    assert "nobody answers" not in "".join(path.read_text() for path in (tmp_path / "home/spool").rglob("*.jsonl"))


def test_an_agent_that_has_gone_lets_nobody_go_on_for_longer_than_a_second(environment, server, tmp_path):
    """What it said stands no more: the collector is asked, as the agent is not there."""
    another = {**environment, "ROTA_AGENT": str(tmp_path / "second.sock")}
    server.answer = lambda question: DENY
    with contextlib.ExitStack() as agents:
        agents.enter_context(agent(another, tmp_path / "second.log"))
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        with subprocess.Popen([sys.executable, "-c", ASKS_TWICE], env=another, text=True, **pipes) as script:
            assert script.stdout.readline() == "1\n"
            agents.close()
            out, error = script.communicate("\n")
    assert (script.returncode, out) == (1, "")
    assert "no rows" in error
    assert server.tasks == ["load"]


def test_a_loop_hears_of_another_policy_at_its_next_call(environment, server, tmp_path):
    """Whatever the agent said to the calls before."""
    source = """
import rota, sys
rota.watch("etl")
def load(): return 1
def many(): return sum(load() for _ in range(1000))
print(many(), flush=True)
sys.stdin.readline()
try: print(many())
except rota.GateDenied as denied: print(denied.reason)
"""
    server.answer = lambda question: DENY
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
    with subprocess.Popen([sys.executable, "-c", source], env=environment, text=True, **pipes) as script:
        assert script.stdout is not None
        assert script.stdout.readline() == "1000\n"
        server.version, server.items = 2, {"etl": {"version": 5, "tasks": TASKS, "rules": RULES}}
        poll(lambda: "rules" in (tmp_path / "home/policy/etl.json").read_text(), "the policy is not renewed")
        out, _ = script.communicate("\n")
    assert (out, server.tasks) == ("no rows\n", ["load"])


def test_go_is_what_an_agent_says_to_a_question_of_a_workflow_without_policy(environment, server):
    """It was asked for nothing."""
    from rota.control.client import Client

    sockets = (environment["ROTA_HOME"] + "/agent.sock",)
    client = Client(environment["ROTA_HOME"], sockets)
    assert client.ask({"workflow": "other", "task": "load"}, 10)["answer"] == GO["answer"]
    client.close()
