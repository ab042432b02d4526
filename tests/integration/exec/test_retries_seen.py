"""What others make of the attempts of `rota exec`: a script that has rota too, the agent, the collector, `rota show`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from collectors import CollectorProcess, until
from execs import agent, ask, counting, environment, run_exec, said_by, start_exec, told, words
from otlp_receiver import receiver

PART = """
import os, sys, rota
rota.watch()
class Busy(ConnectionResetError): pass
with rota.task("load"):
    path = sys.argv[1]
    tries = len(open(path).read()) if os.path.exists(path) else 0
    open(path, "a").write("x")
    if tries < 2:
        raise {error}
"""


def part(folder: Path, error: str) -> list[str]:
    """A script that has rota, and fails twice."""
    (folder / "job.py").write_text(PART.format(error=error))
    return [str(folder / "job.py"), str(folder / "tries")]


@pytest.mark.parametrize("on", ["Busy", "ConnectionError", "OSError", "builtins.OSError", "message:row \\d"])
def test_a_scripts_error_decides(home: Path, tmp_path: Path, python: str, on: str) -> None:
    """Of a script that has rota, the exception's class, a base class or its text decides, and it tells its attempt's number."""
    ask(home, {"attempts": 5, "wait": 0, "on": [on]})
    outcome = run_exec("--name", "etl", python, *part(tmp_path, "Busy('row 7')"), home=home, python=python)
    assert (outcome.code, told(outcome)[-1], outcome.errors) == (0, ("succeeded", 3), "")
    mine = [(event["rota.attempt"], event.get("error.type")) for event in said_by(outcome, "sdk")]
    assert mine == [(1, None), (1, "Busy"), (2, None), (2, "Busy"), (3, None)]
    roots = {span["attributes"]["rota.attempt"]: span["spanId"] for span in outcome.spans if span["name"] == "etl"}
    assert sorted(span["parentSpanId"] for span in outcome.spans if span["name"] == "load") == sorted(roots.values())
    assert list((home / "spool" / "told").iterdir()) == []


def test_an_error_that_is_not_retried(home: Path, tmp_path: Path) -> None:
    """A script whose error the conditions do not name is not tried again, although its exit status is that of another."""
    ask(home, {"attempts": 5, "wait": 0, "on": ["ConnectionError", "exit:75"]})
    outcome = run_exec("--name", "etl", sys.executable, *part(tmp_path, "KeyError('row 7')"), home=home)
    assert (outcome.code, told(outcome)) == (1, [("running", 1), ("failed", 1)])


def test_an_error_of_an_earlier_attempt_is_forgotten(home: Path, tmp_path: Path) -> None:
    """What a script told of one attempt does not decide about the next one, nor does it stand for that one's output."""
    ask(home, {"attempts": 5, "wait": 0, "on": ["KeyError"]})
    script = " ".join([sys.executable, *part(tmp_path, "KeyError(7)")])
    command = counting(tmp_path, f"test $n = 2 && echo gone >&2 && exit 3; {script} 2>/dev/null")
    outcome = run_exec("--name", "etl", "--tail", "1k", *command, home=home)
    assert (outcome.code, told(outcome)[-1]) == (3, ("failed", 2))
    assert outcome.last["exception.message"] == "gone"


def test_told_to_nobody(home: Path) -> None:
    """What was told to a rota exec that was killed before it looked is removed by a later one."""
    ask(home, {"attempts": 2, "wait": 0})
    (home / "spool" / "told").mkdir(parents=True)
    for name, age in (("old", 7200), ("new", 0)):
        (home / "spool" / "told" / name).write_text("OSError\n")
        os.utime(home / "spool" / "told" / name, (os.stat(home).st_mtime - age,) * 2)
    run_exec("--name", "etl", "true", home=home)
    assert [path.name for path in (home / "spool" / "told").iterdir()] == ["new"]


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux: no pidfd, no witness")
@pytest.mark.parametrize(
    ("line", "code", "last"),
    [("exit $n", 3, "failed"), ("kill -KILL $$", 137, "crashed"), ("trap 'exit 0' TERM; sleep 60 & wait", 124, "timed_out")],
    ids=["exit", "killed", "timeout"],
)
def test_the_agent_and_all_attempts(home: Path, tmp_path: Path, line: str, code: int, last: str) -> None:
    """With an agent every attempt arrives, each word once; the agent, which saw the same exit status, adds none."""
    ask(home, {"attempts": 3, "wait": "10ms", "attempt_timeout": "300ms"})
    with receiver() as there, agent(home, there) as env:
        command = counting(tmp_path, line)
        assert run_exec("--name", "etl", *command, home=home, env=env, start_new_session=True).code == code
        until(lambda: not list((home / "spool" / "live").glob("*.jsonl")), "the spool to be empty")
        until(lambda: len(there.states()) >= 6, "every word")
    assert [(state["rota.run.state"], state["rota.attempt"]) for state in there.states()] == [
        ("running", 1), ("retry_wait", 1), ("running", 2), ("retry_wait", 2), ("running", 3), (last, 3),
    ]  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux: no pidfd, no witness")
@pytest.mark.parametrize("wait", ["1h", "0"], ids=["waiting", "running"])
def test_the_agent_sees_a_killed_rota_exec(home: Path, tmp_path: Path, wait: str) -> None:
    """When rota exec is killed, between two attempts or in one, the agent says that the attempt's run crashed."""
    ask(home, {"attempts": 2, "wait": wait})
    with receiver() as there, agent(home, there) as env:
        command = counting(tmp_path, f"test $n = 1 && exit 3; while test -e {tmp_path}/count; do sleep 0.02; done")
        process = start_exec("--name", "etl", *command, home=home, env=env)
        wanted = ["running", "retry_wait"] if wait == "1h" else ["running", "retry_wait", "running"]
        until(lambda: there.said()[: len(wanted)] == wanted, "the wait or the second attempt")
        process.kill()
        process.wait(60)
        until(lambda: there.said()[-1] == "crashed", "the agent's word")
        (tmp_path / "count").unlink()  # a command outlives its rota exec
        process.communicate(timeout=60)
    last = there.states()[-1]
    assert (last["rota.source"], last["rota.attempt"]) == ("agent", 1 if wait == "1h" else 2)


def test_the_next_shipper_sees_a_killed_rota_exec(home: Path) -> None:
    """Without an agent, the next shipper on the host says of a rota exec that was killed while it waited: it vanished."""
    ask(home, {"attempts": 2, "wait": "1h"})
    with receiver() as there:
        process = start_exec("--name", "etl", "false", home=home)
        until(lambda: list((home / "spool" / "live").glob("*.logs.jsonl")), "the spool")
        until(lambda: "retry_wait" in next((home / "spool" / "live").glob("*.logs.jsonl")).read_text(), "the wait")
        process.kill()
        process.communicate(timeout=60)
        once = [sys.executable, "-m", "rota", "agent", "--once"]
        subprocess.run(once, env=environment(home, ROTA_ENDPOINT=there.url), check=True, timeout=60)
    last = there.states()[-1]
    assert there.said() == ["running", "retry_wait", "crashed"]
    assert (last["rota.state.reason"], last["rota.source"]) == ("vanished", "agent")


def run_of(collector: CollectorProcess, home: Path, *command: str) -> dict[str, Any]:
    """Run a command to its end; its run as the collector has it."""
    subprocess.run(words("--name", "etl", *command), env=environment(home, ROTA_ENDPOINT=collector.url), check=False, timeout=60,
                   capture_output=True, start_new_session=True)  # fmt: skip
    collector.applied_of(home)
    (run,) = collector.all_runs()
    found: dict[str, Any] = collector.item(f"/runs/{run['id']}")
    return found


def test_the_collectors_run(collector: CollectorProcess, home: Path, tmp_path: Path) -> None:
    """The collector has one run in its last attempt's state, begun with the first one, and lists how each attempt ended."""
    ask(home, {"attempts": 4, "wait": "50ms", "attempt_timeout": "500ms"})
    line = "test $n = 1 && { echo no space >&2; exit 75; }; test $n = 2 && kill -KILL $$; test $n = 3 && sleep 60; true"
    run = run_of(collector, home, "--tail", "1k", *counting(tmp_path, line))
    assert (run["state"], run["attempt"], run["exit_code"], run["error_type"]) == ("succeeded", 4, 0, None)
    attempts = run["attempts"]
    assert [(each["attempt"], each["state"], each["reason"], each["exit_code"]) for each in attempts] == [
        (1, "failed", "exit", 75), (2, "crashed", "sigkill", 137), (3, "timed_out", "attempt_timeout", 143),
        (4, "succeeded", "exit", 0),
    ]  # fmt: skip
    assert [each["error_message"] for each in attempts] == ["no space", None, None, None]
    assert (run["started_at"], run["ended_at"]) == (attempts[0]["started_at"], attempts[3]["ended_at"])
    ends = [each["ended_at"] for each in attempts]
    assert sorted([*ends, *(each["started_at"] for each in attempts)]) == [
        time for each in attempts for time in (each["started_at"], each["ended_at"])
    ]
    assert collector.item("/runs", retried=True)["items"][0]["id"] == run["id"]


def test_one_attempt(collector: CollectorProcess, home: Path) -> None:
    """A run that was never tried again is listed as its own one attempt."""
    run = run_of(collector, home, "sh", "-c", "exit 3")
    (attempt,) = run["attempts"]
    assert attempt == {key: run[key] for key in attempt}
    assert (attempt["attempt"], attempt["state"], attempt["exit_code"]) == (1, "failed", 3)


def test_a_run_that_waits(collector: CollectorProcess, home: Path) -> None:
    """A run between two attempts is in retry_wait, and its first attempt has failed; killed then, it ends."""
    ask(home, {"attempts": 2, "wait": "1h"})
    env = environment(home, ROTA_ENDPOINT=collector.url)
    process = start_exec("--name", "etl", "sh", "-c", "exit 3", home=home, env=env)
    until(lambda: [run["state"] for run in collector.all_runs()] == ["retry_wait"], "the wait")
    (run,) = collector.all_runs()
    assert (run["exit_code"], run["ended_at"]) == (3, None)

    def attempts() -> list[tuple[str, int]]:
        return [(each["state"], each["exit_code"]) for each in collector.item(f"/runs/{run['id']}")["attempts"]]

    until(lambda: attempts() == [("failed", 3)], "the attempt")
    process.kill()
    process.communicate(timeout=60)
    subprocess.run([sys.executable, "-m", "rota", "agent", "--once"], env=env, check=True, timeout=60)
    until(lambda: [run["state"] for run in collector.all_runs()] == ["crashed"], "the end")
    found = collector.item(f"/runs/{run['id']}")
    assert (found["reason"], [each["state"] for each in found["attempts"]]) == ("vanished", ["failed"])


def test_rota_show(collector: CollectorProcess, home: Path, tmp_path: Path) -> None:
    """`rota show` lists the attempts of a run that had several, with how each ended."""
    ask(home, {"attempts": 2, "wait": 0})
    run = run_of(collector, home, "--tail", "1k", *counting(tmp_path, "echo row $n >&2; test $n = 2"))
    env = environment(home, ROTA_ENDPOINT=collector.url)
    shown = subprocess.run([sys.executable, "-m", "rota", "show", "etl"], env=env, capture_output=True, check=True, text=True)
    lines = [line.split() for line in shown.stdout.splitlines()]
    first = next(line for line in lines if line[:3] == ["1", "failed", "(exit)"])
    assert first[-3:] == ["exit:", "row", "1"]
    assert any(line[:3] == ["2", "succeeded", "(exit)"] for line in lines)
    asked = [sys.executable, "-m", "rota", "show", run["id"], "--json"]
    item = json.loads(subprocess.run(asked, env=env, capture_output=True, check=True).stdout)
    assert [each["state"] for each in item["attempts"]] == ["failed", "succeeded"]
