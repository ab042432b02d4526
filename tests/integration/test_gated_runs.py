"""Runs under gates, as their users run them: ``rota exec`` and ``rota.watch()`` against a real collector, and against none."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest
from collectors import clean_environment, until

from rota.agent import policies
from rota.control.facts import COMMANDS

ROTA = [sys.executable, "-m", "rota"]
NOBODY = "http://127.0.0.1:9"
SCRIPT = "import rota\nrota.watch({name!r})\nprint('body')\n"


class Host:
    """A home with policies, and what runs in it."""

    def __init__(self, home, collector):
        self.home, self.collector = home, collector
        home.mkdir()

    def policy(self, workflow, **document):
        """Store it, and have it here as an agent would."""
        self.collector.put(f"/api/v1/workflows/{workflow}/policy", document)
        found = self.collector.item("/policies/asking")
        policies.write(str(self.home), found["version"], found["items"])

    def start(self, *words, endpoint=None):
        """``rota exec``; or a script, when there is but one word."""
        command = [*ROTA, "exec", *words] if len(words) > 1 else [sys.executable, *words]
        environment = self.environment(endpoint)
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def environment(self, endpoint=None):
        """Of what runs here."""
        return clean_environment(ROTA_ENDPOINT=endpoint or self.collector.url, ROTA_HOME=str(self.home))

    def rota(self, *words):
        """(exit status, stdout, stderr) of a command."""
        done = subprocess.run([*ROTA, *words], env=self.environment(), capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def ended(self, *words, endpoint=None):
        """(exit status, stdout, stderr)."""
        process = self.start(*words, endpoint=endpoint)
        out, err = process.communicate(timeout=60)
        if endpoint is None:
            self.collector.applied_of(self.home)
        return process.returncode, out, err

    def runs(self, workflow):
        """Its runs at the collector, the newest first."""
        return self.collector.item("/runs", workflow=workflow)["items"]

    def run(self, workflow, *states):
        """Its only run, once it is in one of these states."""
        return until(
            lambda: next((run for run in self.runs(workflow) if run["state"] in states), None), f"{workflow} to be {states}"
        )


@pytest.fixture
def host(tmp_path, shared_collector):
    return Host(tmp_path / "home", shared_collector)


@pytest.fixture
def script(tmp_path):
    """A script that watches under that name."""

    def made(name):
        path = tmp_path / f"{name}.py"
        path.write_text(SCRIPT.format(name=name))
        return str(path)

    return made


def test_two_runs_of_a_workflow_with_room_for_one_run_one_after_the_other(host, tmp_path):
    """The second waits, is blocked meanwhile with the reason, and goes as soon as the first is over; its token is larger."""
    host.policy("one", gates=[{"kind": "concurrency", "limit": 1}])
    log = tmp_path / "log"
    go = tmp_path / "go"
    line = f"echo in >> {log}; while [ ! -e {go} ]; do sleep 0.05; done; echo out >> {log}"
    first = host.start("--name", "one", "--", "sh", "-c", line)
    until(lambda: log.exists() and log.read_text() == "in\n", "the first to be in")
    second = host.start("--name", "one", "--", "sh", "-c", line)
    blocked = host.run("one", "blocked")
    assert blocked["reason"] == "1 of 1 in use in the workflow"
    assert log.read_text() == "in\n"
    go.touch()
    for process in (first, second):
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert log.read_text() == "in\nout\n" * 2
    until(lambda: [run["state"] for run in host.runs("one")] == ["succeeded"] * 2, "both to have succeeded")
    assert [lease["run_id"] for lease in host.collector.item("/leases")["items"] if "one" in lease["scope"]] == []


@pytest.mark.parametrize(
    ("gate", "code", "state"),
    [
        ({"kind": "window", "only": "2020-01-01", "otherwise": "skip"}, 0, "skipped"),
        ({"kind": "window", "only": "2020-01-01"}, 75, "cancelled"),
        ({"kind": "probe", "command": "ready", "wait_at_most": "10ms", "otherwise": "deny"}, 75, "cancelled"),
    ],
    ids=["skip", "deny", "probe"],
)  # fmt: skip
def test_who_may_not_run_does_not(host, script, request, gate, code, state):
    """Nothing of the command or the script: 0 without a word when skipped, 75 and a line when denied."""
    name = f"held.{request.node.callspec.id}"
    (host.home / COMMANDS).write_text(json.dumps({"ready": ["/bin/false"]}))
    host.policy(name, gates=[gate])
    for words in (("--name", name, "--", "echo", "body"), (script(name),)):
        assert host.ended(*words)[:2] == (code, "")
        assert bool(host.ended(*words)[2]) == bool(code)
        found = host.run(name, state)
        assert found["exit_code"] == code
        assert found["reason"]
        assert (found["started_at"] is None) or found["duration_seconds"] < 60


def test_a_breaker_opens_after_known_failures(host):
    """The run after them is denied, and `rota show` says why."""
    host.policy("broken", gates=[{"kind": "breaker", "failures": 2, "cool_down": "1h"}])
    for _ in range(2):
        assert host.ended("--name", "broken", "--", "false")[0] == 1
    until(lambda: [run["state"] for run in host.runs("broken")] == ["failed"] * 2, "both to have failed")
    code, _, said = host.ended("--name", "broken", "--", "echo", "never")
    assert (code, said.split(": ")[1]) == (75, "broken may not run")
    denied = host.run("broken", "cancelled")["id"]
    shown = until(lambda: _decision_shown(host, denied), "the decision to be shown")
    assert "2 failures in a row: the breaker is open for another" in shown


def _decision_shown(host, run_id):
    _, shown, _ = host.rota("show", run_id)
    return next((line for line in shown.splitlines() if "deny" in line and "breaker" in line), "")


def test_a_person_lets_a_run_go_or_not(host):
    """Who waits is listed; a word is enough, and is kept with who said it and why."""
    host.policy("asking", gates=[{"kind": "approval", "within": "1h"}])
    for words, code, out in ((("--comment", "looks fine"), 0, "body\n"), (("--refuse",), 75, "")):
        waiting = host.start("--name", "asking", "--", "echo", "body")
        (asked,) = until(lambda: json.loads(host.rota("approve", "--json")[1]), "somebody to be asked")
        assert host.rota("approve")[1].split()[4:6] == [asked["id"][:18], "asking"]
        assert host.rota("approve", "asking", *words)[1].startswith("asking: ")
        assert waiting.communicate(timeout=30)[0] == out
        assert waiting.returncode == code
    assert host.rota("approve")[1] == "nothing waits for approval\n"
    assert "0 approvals" in host.rota("approve", "asking")[2]


def test_a_shell_asks_whether_the_gates_are_open(host, tmp_path):
    """Exit status and a line; nothing is held by a question; it may wait for them."""
    file = tmp_path / "orders.csv"
    host.policy("asked", gates=[{"kind": "concurrency", "limit": 1}, {"kind": "probe", "file": str(file)}])
    assert host.rota("gate", "check", "asked")[:2] == (1, f"wait: {file} is not there\n")
    waiting = subprocess.Popen(
        [*ROTA, "gate", "check", "asked", "--wait", "1m"], env=host.environment(), stdout=subprocess.DEVNULL
    )
    file.touch()
    assert waiting.wait(60) == 0
    assert host.rota("gate", "check", "asked")[0] == 0
    assert json.loads(host.rota("gate", "check", "asked", "--json")[1])["answer"] == "go"
    assert host.ended("--name", "asked", "--", "echo", "body")[:2] == (0, "body\n")


@pytest.mark.parametrize(("says", "code", "out"), [("go", 0, "body\n"), ("skip", 0, ""), ("deny", 75, ""), ("wait(1s)", 75, "")])
@pytest.mark.parametrize("way", ["exec", "watch"])
def test_when_nobody_answers_the_policy_says_what_holds(host, script, way, says, code, out):
    """And the collector hears later that this was decided blind, with what each gate said."""
    name = f"alone.{way}.{says[:4]}"
    host.policy(name, gates=[{"kind": "concurrency", "limit": 1, "on_unreachable": says}])
    words = ("--name", name, "--", "echo", "body") if way == "exec" else (script(name),)
    assert host.ended(*words, endpoint=NOBODY)[:2] == (code, out)
    assert host.rota("agent", "--once")[0] == 0
    found = host.run(name, "succeeded", "skipped", "cancelled")
    told = until(lambda: host.collector.item(f"/runs/{found['id']}/decisions")["items"], "the blind decision")
    answer = {"go": "go", "skip": "skip"}.get(says, "deny")
    assert told[-1]["answer"] == answer
    assert all("nobody answer" in each["answers"][0]["reason"] for each in told)
    assert {each["source"] for each in told} == {"exec" if way == "exec" else "sdk"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_who_waits(host, number):
    """The command never runs, the status is the signal's, and the run is cancelled."""
    name = f"ended.{number.name}"
    host.policy(name, gates=[{"kind": "approval"}])
    waiting = host.start("--name", name, "--", "echo", "never")
    host.run(name, "blocked")
    waiting.send_signal(number)
    assert waiting.communicate(timeout=30)[0] == ""
    assert waiting.returncode in (128 + number, -number)
    assert host.run(name, "cancelled")["reason"] == number.name.lower()


def test_what_a_run_waited_is_no_part_of_how_long_it_took(host):
    """It begins when it may."""
    host.policy("timed", gates=[{"kind": "rate", "limit": 1, "per": "3s"}])
    began = time.monotonic()
    assert [host.ended("--name", "timed", "--", "true")[0] for _ in range(2)] == [0, 0]
    assert time.monotonic() - began > 2
    runs = until(
        lambda: [run for run in host.runs("timed") if run["state"] == "succeeded"][1:] and host.runs("timed"), "both runs"
    )
    assert max(run["duration_seconds"] for run in runs) < 2


def test_without_a_policy_nothing_of_control_is_loaded(host, tmp_path):
    """The observe level costs what it did, once the host has the policies of others."""
    path = tmp_path / "plain.py"
    path.write_text("import sys, rota\nrota.watch()\nprint([name for name in sys.modules if name.startswith('rota.control')])\n")
    host.ended(str(path))
    assert host.ended(str(path))[1] == "[]\n"


def test_without_an_agent_a_policy_holds_from_the_next_run_on(host):
    """The answers to a run tell that there are other policies; a detached process brings them, and takes them away again."""
    assert host.ended("--name", "later", "--", "echo", "body")[:2] == (0, "body\n")
    path = host.home / "policy" / "later.json"
    for document, exists in (({"gates": [{"kind": "window", "only": "2020-01-01", "otherwise": "skip"}]}, True), ({}, False)):
        host.collector.put("/api/v1/workflows/later/policy", document)
        host.ended("--name", "another", "--", "true")
        until(lambda exists=exists: path.exists() == exists, f"the policy to be there: {exists}")
        assert host.ended("--name", "later", "--", "echo", "body")[:2] == (0, "" if exists else "body\n")
