"""`rota exec` and retries: one run, several attempts, and whoever started it notices nothing but the time that they take."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from execs import ask, counting, environment, run_exec, told, waits, words


def test_until_it_succeeds(home: Path, tmp_path: Path, python: str) -> None:
    """A command that fails twice is one run of three attempts, with the output of all of them, and ends with the last one's 0."""
    ask(home, {"attempts": 5, "wait": "10ms", "backoff": 2, "jitter": 0.5})
    outcome = run_exec("--name", "etl", *counting(tmp_path, "echo $n; test $n = 3"), home=home, python=python)
    assert (outcome.code, outcome.stdout, outcome.stderr, outcome.errors) == (0, b"1\n2\n3\n", b"", "")
    assert told(outcome) == [
        ("running", 1), ("retry_wait", 1), ("running", 2), ("retry_wait", 2), ("running", 3), ("succeeded", 3),
    ]  # fmt: skip
    assert len({event["cicd.pipeline.run.id"] for event in outcome.events}) == 1
    assert [event["process.exit.code"] for event in waits(outcome)] == [1, 1]
    assert [event["rota.state.reason"] for event in waits(outcome)] == ["exit", "exit"]
    first, second = (event["rota.retry.wait_seconds"] for event in waits(outcome))
    assert 0.005 <= first <= 0.01 <= second <= 0.02


def test_every_attempt_is_a_root_span(home: Path, tmp_path: Path) -> None:
    """Each attempt has a root span that says how it ended, linked to the one before, and the command finds it in TRACEPARENT."""
    ask(home, {"attempts": 3, "wait": 0})
    outcome = run_exec("--name", "etl", *counting(tmp_path, "echo $TRACEPARENT; test $n = 3"), home=home)
    spans = sorted(outcome.spans, key=lambda span: span["attributes"]["rota.attempt"])
    assert [span["attributes"]["rota.run.state"] for span in spans] == ["failed", "failed", "succeeded"]
    ids = [(span["traceId"], span["spanId"]) for span in spans]
    assert [line.split("-")[1:3] for line in outcome.stdout.decode().split()] == [list(pair) for pair in ids]
    assert [[(link["traceId"], link["spanId"]) for link in span.get("links", [])] for span in spans] == [[], ids[:1], ids[1:2]]


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [("exit 75", 75, "exit"), ("exit 255", 255, "exit"), ("kill -KILL $$", 137, "sigkill"), ("kill -SEGV $$", 139, "sigsegv"),
     ("kill -HUP $$", 129, "sighup")],
)  # fmt: skip
@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_an_ending_that_is_retried(home: Path, line: str, code: int, reason: str, attempts: int) -> None:
    """However a command fails, it is tried so often, each attempt says how it ended, and the exit status is the last one's."""
    ask(home, {"attempts": attempts, "wait": 0})
    outcome = run_exec("--name", "etl", "sh", "-c", line, home=home)
    assert outcome.code == code
    assert [event["rota.state.reason"] for event in waits(outcome)] == [reason] * (attempts - 1)
    assert [event["process.exit.code"] for event in waits(outcome)] == [code] * (attempts - 1)
    assert told(outcome)[-1] == ("failed" if reason == "exit" else "crashed", attempts)
    assert (outcome.last["rota.state.reason"], outcome.last["process.exit.code"]) == (reason, code)


@pytest.mark.parametrize(
    ("line", "state"), [("exit 0", "succeeded"), ("kill -TERM $$", "cancelled"), ("kill -INT $$", "cancelled")]
)
def test_an_ending_that_is_not_retried(home: Path, line: str, state: str) -> None:
    """Success, and a command that TERM or INT ended, are not tried again."""
    ask(home, {"attempts": 3, "wait": 0})
    outcome = run_exec("--name", "etl", "sh", "-c", line, home=home)
    assert told(outcome) == [("running", 1), (state, 1)]


@pytest.mark.parametrize(("on", "attempts"), [("exit:75", 2), ("exit:1-9", 1), ("signal:KILL", 1), ("message:no space", 2)])
def test_conditions(home: Path, on: str, attempts: int) -> None:
    """Only what the policy's conditions name is tried again; of a kept output the last lines are the message."""
    ask(home, {"attempts": 2, "wait": 0, "on": [on]})
    outcome = run_exec("--name", "etl", "--tail", "1k", "sh", "-c", "echo no space >&2; exit 75", home=home)
    assert (outcome.code, outcome.stderr) == (75, b"no space\n" * attempts)
    assert told(outcome)[-1] == ("failed", attempts)
    assert [event["exception.message"] for event in waits(outcome)] == ["no space"] * (attempts - 1)


def test_a_command_that_cannot_be_run(home: Path) -> None:
    """A command that is not there is no failure of its own: it is not looked for again."""
    ask(home, {"attempts": 3, "wait": 0})
    outcome = run_exec("--name", "etl", "no-such-command", home=home)
    assert (outcome.code, told(outcome)) == (127, [("running", 1), ("failed", 1)])


def test_a_file_as_standard_input(home: Path, tmp_path: Path) -> None:
    """A regular file is read by each attempt from where the first one began."""
    ask(home, {"attempts": 2, "wait": 0})
    (tmp_path / "rows").write_text("head\nrow\n")
    with (tmp_path / "rows").open("rb", buffering=0) as rows:
        rows.seek(5)
        outcome = run_exec("--name", "etl", "sh", "-c", "cat; exit 1", home=home, stdin=rows)
    assert outcome.stdout == b"row\nrow\n"


def test_a_pipe_as_standard_input(home: Path) -> None:
    """What cannot be read twice is the first attempt's; a later one finds an empty input."""
    ask(home, {"attempts": 2, "wait": 0})
    assert run_exec("--name", "etl", "sh", "-c", "cat; echo end; exit 1", home=home, input=b"row\n").stdout == b"row\nend\nend\n"


def test_a_closed_standard_input(home: Path) -> None:
    """A standard input that was closed is closed in every attempt."""
    ask(home, {"attempts": 2, "wait": 0})
    command = shlex.join(words("--name", "etl", "sh", "-c", "[ -e /proc/$$/fd/0 ] || echo closed; exit 1"))
    done = subprocess.run(["sh", "-c", f"{command} <&-"], env=environment(home), capture_output=True, check=False)
    assert done.stdout == b"closed\nclosed\n"


@pytest.mark.parametrize("tail", [(), ("--tail", "4")], ids=["plain", "tail"])
def test_every_byte_of_every_attempt(home: Path, tail: tuple[str, ...]) -> None:
    """Both streams carry the bytes of all attempts in their order."""
    ask(home, {"attempts": 3, "wait": 0})
    code = "import os, sys; [os.write(1, bytes(range(256)) * 256) for _ in range(4)]; os.write(2, b'\\xff\\0'); sys.exit(9)"
    outcome = run_exec("--name", "etl", *tail, sys.executable, "-c", code, home=home)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (9, bytes(range(256)) * 1024 * 3, b"\xff\0" * 3)


def test_without_a_policy_the_command_line(home: Path, tmp_path: Path) -> None:
    """`--attempts` and `--wait` hold where no policy speaks of retries, and where one does, it holds."""
    fails = counting(tmp_path, "exit 3")
    assert told(run_exec("--name", "etl", "--attempts", "2", "--wait", "0", *fails, home=home))[-1] == ("failed", 2)
    ask(home, {"attempts": 1})
    second = home.with_name("second")
    home.rename(second)
    outcome = run_exec("--name", "etl", "--attempts", "2", "--wait", "0", *fails, home=second, env=environment(second))
    assert told(outcome)[-2:] == [("running", 1), ("failed", 1)]


@pytest.mark.parametrize(
    ("text", "said"), [("{", "JSONDecodeError"), ("[]", "holds no policy"), ('{"retry": {"attempts": 0}}', "retry.attempts: 0")]
)
def test_a_policy_that_cannot_be_used(home: Path, text: str, said: str) -> None:
    """A file that cannot be read or used is as if it were not there, and is noted."""
    ask(home, {})
    (home / "policy" / "etl.json").write_text(text)
    outcome = run_exec("--name", "etl", "sh", "-c", "exit 3", home=home)
    assert (outcome.code, told(outcome)) == (3, [("running", 1), ("failed", 1)])
    assert said in outcome.errors


def test_a_name_that_is_no_file_name(home: Path) -> None:
    """A workflow's policy is found under its name as a URL has it."""
    ask(home, {"attempts": 2, "wait": 0}, "büro/täglich 1")
    outcome = run_exec("--name", "büro/täglich 1", "false", home=home)
    assert told(outcome)[-1] == ("failed", 2)


@pytest.mark.parametrize("arguments", [("--attempts", "0"), ("--attempts", "many"), ("--wait", "soon")], ids=" ".join)
def test_wrong_usage(home: Path, arguments: tuple[str, ...]) -> None:
    """A number of attempts that is none, and a wait that is none, are wrong usage: nothing runs."""
    outcome = run_exec(*arguments, "echo", "ran", home=home)
    assert (outcome.code, outcome.stdout, outcome.stderr.count(b"\n")) == (2, b"", 1)


def test_what_is_loaded_without_a_policy(home: Path) -> None:
    """Where no policy asks, `rota exec` loads nothing of retries."""
    env = environment(home, PYTHONPROFILEIMPORTTIME="1")
    loaded = {line.rpartition("|")[2].strip() for line in run_exec("true", home=home, env=env).stderr.decode().splitlines()}
    assert "rota.exec.observe" in loaded
    assert not [
        name for name in loaded if re.fullmatch(r"rota\.control.*|rota\.exec\.(attempts|waiting|told)|rota\.rules\.retry", name)
    ]
    assert not {"json", "re", "typing"} & loaded


def test_no_descriptor_is_left_of_an_attempt(home: Path) -> None:
    """However often it is tried, with its output kept, attempts do not find rota exec with ever more open files."""
    ask(home, {"attempts": 6, "wait": 0})
    line = "ls /proc/$PPID/fd | wc -l; sleep 0.2 & exit 1"  # what it leaves running has the pipe
    counts = run_exec("--name", "etl", "--tail", "1k", "sh", "-c", line, home=home).stdout.split()
    assert len(counts) == 6
    later = [int(count) for count in counts[1:-1]]  # the first and the last attempt have what we were given
    assert min(later[2:]) <= min(later[:2])  # those of the one before may be open for a moment yet


def test_a_remark_of_a_shell_line(home: Path) -> None:
    """A line's remark may say how often it is tried."""
    outcome = run_exec("-c", "exit 3 # rota: name=etl attempts=2 wait=0", home=home)
    assert (outcome.code, told(outcome)[-1]) == (3, ("failed", 2))
