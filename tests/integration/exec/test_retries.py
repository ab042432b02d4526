"""`rota exec` and retries: one run, several attempts, and whoever started it notices nothing but the time that they take."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from collectors import until
from execs import ask, counting, ended, environment, run_exec, start_exec, told, words
from scripts import Outcome, read_back

WITHOUT_SENDERS = "import _signal, sys; del _signal.sigtimedwait; from rota.cli import main; main(['exec', *sys.argv[1:]])"


def waits(outcome: Outcome) -> list[dict[str, Any]]:
    return [event for event in outcome.events if event.get("rota.run.state") == "retry_wait"]


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
    ("text", "said"), [("{", "JSONDecodeError"), ("[]", "holds no mapping"), ('{"retry": {"attempts": 0}}', "retry.attempts: 0")]
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


def test_an_attempt_that_takes_too_long(home: Path, tmp_path: Path) -> None:
    """An attempt over its time is sent TERM, with all that it started; it timed out, and another attempt follows."""
    ask(home, {"attempts": 2, "wait": 0, "attempt_timeout": "300ms"})
    line = "if [ $n = 1 ]; then sleep 60 & echo $! >{0}/pid; wait; fi; kill -0 $(cat {0}/pid) 2>/dev/null || echo gone"
    outcome = run_exec("--name", "etl", *counting(tmp_path, line.format(tmp_path)), home=home, start_new_session=True)
    assert (outcome.code, outcome.stdout) == (0, b"gone\n")
    (wait,) = waits(outcome)
    assert (wait["rota.state.reason"], wait["process.exit.code"]) == ("attempt_timeout", 143)
    (span,) = [span for span in outcome.spans if span["attributes"]["rota.attempt"] == 1]
    assert span["attributes"]["rota.run.state"] == "timed_out"


@pytest.mark.parametrize(("line", "code"), [("sleep 60", 143), ("trap 'exit 0' TERM; sleep 60 & wait", 124),
                                            ("trap 'exit 5' TERM; sleep 60 & wait", 5)])  # fmt: skip
def test_a_last_attempt_that_takes_too_long(home: Path, line: str, code: int) -> None:
    """A run whose last attempt is over its time timed out, and never ends with 0."""
    ask(home, {"attempts": 1, "attempt_timeout": "200ms"})
    outcome = run_exec("--name", "etl", "sh", "-c", line, home=home, start_new_session=True)
    assert (outcome.code, told(outcome)[-1]) == (code, ("timed_out", 1))
    assert (outcome.last["rota.state.reason"], outcome.last["process.exit.code"]) == ("attempt_timeout", code)


def test_the_time_of_all_attempts(home: Path) -> None:
    """The timeout of all attempts ends the one that runs then, and no other begins."""
    ask(home, {"attempts": 9, "wait": 0, "timeout": "500ms"})
    outcome = run_exec("--name", "etl", "sh", "-c", "sleep 60", home=home, start_new_session=True)
    assert (outcome.code, told(outcome)) == (143, [("running", 1), ("timed_out", 1)])
    assert outcome.last["rota.state.reason"] == "timeout"


def test_no_wait_goes_past_the_time_of_all(home: Path) -> None:
    """A wait that would reach the timeout of all attempts is not begun."""
    ask(home, {"attempts": 9, "wait": "1h", "timeout": "30m"})
    assert told(run_exec("--name", "etl", "false", home=home)) == [("running", 1), ("failed", 1)]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1"])
def test_a_signal_while_waiting(home: Path, name: str) -> None:
    """A signal that comes between two attempts ends the run, cancelled, with the status of a command that it had ended."""
    ask(home, {"attempts": 2, "wait": "1h"})
    process = start_exec("--name", "etl", "false", home=home)
    until(lambda: ("retry_wait", 1) in told(read_back(Outcome(0, b"", b"", home))), "the wait")
    process.send_signal(getattr(signal, name))
    outcome = ended(process, home)
    number = getattr(signal, name)
    assert (outcome.code, told(outcome)[-1], outcome.errors) == (128 + number, ("cancelled", 1), "")
    assert (outcome.last["rota.state.reason"], outcome.last["process.exit.code"]) == (name.lower(), 128 + number)
    assert len(outcome.spans) == 1


def test_signals_that_end_nothing(home: Path, tmp_path: Path) -> None:
    """A signal that would not have ended the command, or was ignored when rota exec began, does not end the wait."""
    ask(home, {"attempts": 2, "wait": "1500ms"})
    command = counting(tmp_path, "test $n = 2")
    process = start_exec("--name", "etl", *command, home=home, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    until(lambda: ("retry_wait", 1) in told(read_back(Outcome(0, b"", b"", home))), "the wait")
    for number in (signal.SIGWINCH, signal.SIGCONT, signal.SIGURG, signal.SIGCHLD, signal.SIGHUP):
        process.send_signal(number)
    outcome = ended(process, home)
    assert (outcome.code, told(outcome)[-1]) == (0, ("succeeded", 2))


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_who_asked_it_to_end_wants_no_other_attempt(home: Path, name: str) -> None:
    """A command that takes a signal that rota exec passed on and fails of it is not tried again, whatever the conditions say."""
    ask(home, {"attempts": 3, "wait": 0, "on": ["exit:1-255"]})
    line = f"trap 'exit 9' {name[3:]}; echo ready; while :; do sleep 0.02; done"
    process = start_exec("--name", "etl", "sh", "-c", line, home=home)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(getattr(signal, name))
    outcome = ended(process, home)
    assert (outcome.code, told(outcome)) == (9, [("running", 1), ("failed", 1)])


def test_a_signal_reaches_a_group_of_its_own(home: Path) -> None:
    """With a timeout the command has a process group of its own, and what rota exec is sent reaches all of it."""
    ask(home, {"attempts": 2, "wait": 0, "attempt_timeout": "1m"})
    line = "trap 'wait; exit 4' TERM; (trap 'echo inner; exit 0' TERM; echo ready; while :; do sleep 0.02; done) & wait"
    process = start_exec("--name", "etl", "sh", "-c", line, home=home, start_new_session=True)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    outcome = ended(process, home)
    assert (outcome.code, outcome.stdout, told(outcome)[-1]) == (4, b"inner\n", ("failed", 1))


def test_without_a_timeout_the_group_is_kept(home: Path) -> None:
    """Without a timeout every attempt runs in our own process group."""
    ask(home, {"attempts": 2, "wait": 0})
    code = "import os, sys; sys.exit(10 + (os.getpgrp() == os.getpgid(os.getppid())))"
    assert run_exec("--name", "etl", sys.executable, "-c", code, home=home).code == 11


@pytest.mark.parametrize(
    ("retry", "line", "code", "last"),
    [
        ({"attempts": 2, "wait": "10ms"}, "exit 3", 3, ("failed", 2)),
        ({"attempts": 1, "attempt_timeout": "200ms"}, "sleep 60", 143, ("timed_out", 1)),
        ({"attempts": 1, "attempt_timeout": "1m"}, "exit 3", 3, ("failed", 1)),
    ],
)
def test_where_no_sender_is_told(home: Path, retry: Any, line: str, code: int, last: tuple[str, int]) -> None:
    """Without `sigtimedwait` attempts, waits and timeouts are the same."""
    ask(home, retry)
    command = [sys.executable, "-c", WITHOUT_SENDERS, "--name", "etl", "sh", "-c", line]
    done = subprocess.run(command, env=environment(home), capture_output=True, check=False, timeout=60, start_new_session=True)
    outcome = read_back(Outcome(done.returncode, done.stdout, done.stderr, home))
    assert (outcome.code, told(outcome)[-1], outcome.errors) == (code, last, "")


def test_a_signal_while_waiting_where_no_sender_is_told(home: Path) -> None:
    """Without `sigtimedwait` a signal ends the wait all the same."""
    ask(home, {"attempts": 2, "wait": "1h"})
    command = [sys.executable, "-c", WITHOUT_SENDERS, "--name", "etl", "false"]
    with subprocess.Popen(command, env=environment(home)) as process:
        until(lambda: ("retry_wait", 1) in told(read_back(Outcome(0, b"", b"", home))), "the wait")
        process.terminate()
        assert process.wait(60) == 143
    assert told(read_back(Outcome(143, b"", b"", home)))[-1] == ("cancelled", 1)


def test_killed_between_two_attempts(home: Path) -> None:
    """When rota exec is killed while it waits, whoever finds its spool says that the run vanished: it waits no longer."""
    from rota.agent import ends

    ask(home, {"attempts": 2, "wait": "1h"})
    process = start_exec("--name", "etl", "false", home=home)
    until(lambda: ("retry_wait", 1) in told(read_back(Outcome(0, b"", b"", home))), "the wait")
    process.kill()
    process.communicate(timeout=60)
    (file,) = (home / "spool").rglob("*.logs.jsonl")
    runs = ends.read(file.read_bytes().splitlines(keepends=True))
    (line,) = ends.end_lines(runs, None, 1)
    said = json.loads(line)["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["attributes"]
    pairs = {pair["key"]: next(iter(pair["value"].values())) for pair in said}
    assert (pairs["rota.run.state"], pairs["rota.state.reason"], pairs["rota.attempt"]) == ("crashed", "vanished", "1")


def test_what_is_loaded_without_a_policy(home: Path) -> None:
    """Where no policy asks, `rota exec` loads nothing of retries."""
    env = environment(home, PYTHONPROFILEIMPORTTIME="1")
    loaded = {line.rpartition("|")[2].strip() for line in run_exec("true", home=home, env=env).stderr.decode().splitlines()}
    assert "rota.exec.observe" in loaded
    assert not [
        name for name in loaded if re.fullmatch(r"rota\.control.*|rota\.exec\.(attempts|waiting|told)|rota\.rules\.retry", name)
    ]
    assert not {"json", "re", "typing"} & loaded
