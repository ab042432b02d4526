"""Signals and timeouts of `rota exec` that tries again: who wants it to end is obeyed, and an attempt has its time."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from collectors import until
from execs import WITHOUT_SENDERS, Terminal, ask, counting, ended, environment, run_exec, start_exec, told, waits, words
from scripts import Outcome, read_back


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
    assert outcome.last["rota.workflow.named_by"] == "given"
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


def test_ctrl_c_while_waiting(home: Path) -> None:
    """Ctrl-C between two attempts cancels the run, and ends the loop of the shell around it."""
    ask(home, {"attempts": 2, "wait": "1h"})
    terminal = Terminal(home)
    try:
        terminal.type(f"for n in 1 2; do {shlex.join(words('--name', 'etl', 'false'))}; done; echo after=$?\n")
        until(lambda: ("retry_wait", 1) in told(read_back(Outcome(0, b"", b"", home))), "the wait")
        terminal.screen = ""
        terminal.type("\x03")
        until(terminal.shows("$ "), "the shell to ask for more")
        terminal.type("echo alive=$?\n")
        until(terminal.shows("alive=130"), "the shell to have its terminal again")
        assert "after=" not in terminal.screen
    finally:
        terminal.close()
    assert told(read_back(Outcome(0, b"", b"", home))) == [("running", 1), ("retry_wait", 1), ("cancelled", 1)]


def test_ctrl_z_while_waiting(home: Path) -> None:
    """Ctrl-Z between two attempts stops rota exec, `fg` continues the wait."""
    ask(home, {"attempts": 2, "wait": "1h"})
    terminal = Terminal(home)
    try:
        terminal.type(shlex.join(words("--name", "etl", "false")) + "\n")
        until(lambda: ("retry_wait", 1) in told(read_back(Outcome(0, b"", b"", home))), "the wait")
        terminal.type("\x1a")
        until(terminal.shows("Stopped"), "the shell to see its job stopped")
        terminal.screen = ""
        terminal.type("fg\n")
        until(terminal.shows("etl false"), "the shell to name what goes on")
        terminal.type("\x03")
        until(lambda: ("cancelled", 1) in told(read_back(Outcome(0, b"", b"", home))), "the end")
    finally:
        terminal.close()


def test_a_timeout_on_a_terminal(home: Path) -> None:
    """On a terminal the command stays in the foreground and can read from it; over its time, it is sent TERM all the same."""
    ask(home, {"attempts": 2, "wait": 0, "attempt_timeout": "2s"})
    terminal = Terminal(home)
    try:
        line = "read line; echo got=$line; exec sleep 60"
        terminal.type(shlex.join(words("--name", "etl", "sh", "-c", line)) + "; echo status=$?\n")
        until(lambda: told(read_back(Outcome(0, b"", b"", home))) == [("running", 1)], "the start")
        terminal.type("hello\n")
        until(terminal.shows("got=hello"), "the command to read")
        until(terminal.shows("status=143"), "the command to be ended")
    finally:
        terminal.close()
    assert told(read_back(Outcome(0, b"", b"", home)))[-1] == ("timed_out", 2)
