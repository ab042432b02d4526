"""Signals under `rota exec`: what is sent to it reaches the command, once; what the terminal sends reaches both as it did."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from collectors import until
from execs import Terminal, ended, start_exec, words
from scripts import Outcome, read_back

COUNT = """
import os, signal, sys, time
out = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
for name in sys.argv[2:]:
    signal.signal(getattr(signal, name), lambda number, _: os.write(out, (signal.Signals(number).name + "\\n").encode()))
os.write(out, b"ready\\n")
while True:
    time.sleep(0.01)
    if os.path.exists(sys.argv[1] + ".stop"):
        sys.exit(8)
"""


class Counter:
    """A command under rota exec that writes down each signal that it gets."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.log = folder / "signals"
        self.command = [sys.executable, "-c", COUNT, str(self.log), *names]

    @property
    def got(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []

    def stop(self) -> None:
        self.log.with_name("signals.stop").touch()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGHUP", "SIGQUIT", "SIGALRM", "SIGWINCH"])
def test_a_signal_is_passed_on_once(home: Path, tmp_path: Path, name: str) -> None:
    """A signal sent to rota exec reaches the command, once, and the command decides what comes of it."""
    counter = Counter(tmp_path, name)
    process = start_exec(*counter.command, home=home)
    until(lambda: counter.got == ["ready"], "the command to begin")
    process.send_signal(getattr(signal, name))
    until(lambda: counter.got == ["ready", name], "the signal to arrive")
    counter.stop()
    outcome = ended(process, home)
    assert (outcome.code, counter.got) == (8, ["ready", name])
    assert outcome.states() == ["running", "failed"]


@pytest.mark.parametrize("name", ["SIGPIPE", "SIGXFSZ"])
def test_what_rota_exec_does_to_itself(home: Path, tmp_path: Path, name: str) -> None:
    """A signal that our own writing raises (a collector that hangs up, a full quota) is none of the command's business."""
    counter = Counter(tmp_path, name, "SIGUSR1")
    process = start_exec(*counter.command, home=home)
    until(lambda: counter.got == ["ready"], "the command to begin")
    process.send_signal(getattr(signal, name))
    process.send_signal(signal.SIGUSR1)
    until(lambda: counter.got[-1] == "SIGUSR1", "the other signal to arrive")
    counter.stop()
    assert ended(process, home).code == 8
    assert counter.got == ["ready", "SIGUSR1"]


@pytest.mark.parametrize(("name", "state"), [("SIGTERM", "cancelled"), ("SIGINT", "cancelled"), ("SIGUSR1", "crashed")])
def test_a_command_that_dies_of_a_passed_on_signal(home: Path, tmp_path: Path, name: str, state: str) -> None:
    """Rota exec outlives the signal that it passes on, and tells how the command ended of it."""
    counter = Counter(tmp_path)
    process = start_exec(*counter.command, home=home)
    until(lambda: counter.got == ["ready"], "the command to begin")
    if name == "SIGINT":
        subprocess.run(["sh", "-c", f"kill -INT {process.pid}"], check=True)
    else:
        process.send_signal(getattr(signal, name))
    outcome = ended(process, home)
    assert outcome.states() == ["running", state]
    assert outcome.code == (1 if name == "SIGINT" and state == "failed" else 128 + getattr(signal, name))


def test_a_signal_to_the_group(home: Path, tmp_path: Path) -> None:
    """Command and rota exec are one process group: a signal to it ends both, and the run's end is known."""
    counter = Counter(tmp_path)
    process = start_exec(*counter.command, home=home, start_new_session=True)
    until(lambda: counter.got == ["ready"], "the command to begin")
    os.killpg(process.pid, signal.SIGTERM)
    outcome = ended(process, home)
    assert (outcome.code, outcome.states()) == (143, ["running", "cancelled"])


def test_a_script_that_signals_its_own_group(home: Path) -> None:
    """A script's `kill 0` reaches it as it did, and rota exec sends it no second time."""
    process = start_exec("sh", "-c", "trap 'echo got' TERM; kill -TERM 0; sleep 0.2; exit 5", home=home, start_new_session=True)
    outcome = ended(process, home)
    assert (outcome.code, outcome.stdout) == (5, b"got\n")


def test_an_ignored_signal_stays_ignored(home: Path, tmp_path: Path) -> None:
    """Under nohup nobody dies of SIGHUP: neither the command nor rota exec."""
    counter = Counter(tmp_path)
    process = start_exec(*counter.command, home=home, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    until(lambda: counter.got == ["ready"], "the command to begin")
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGHUP)
    counter.stop()
    assert ended(process, home).code == 8


def test_a_killed_rota_exec(home: Path, tmp_path: Path) -> None:
    """SIGKILL of rota exec changes nothing in the life of the command; what was spooled stays."""
    counter = Counter(tmp_path, "SIGPIPE")
    process = start_exec(*counter.command, home=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: counter.got == ["ready"], "the command to begin")
    (child,) = children(process.pid)
    process.kill()
    process.wait()
    os.kill(child, signal.SIGPIPE)  # it is there, and hears
    until(lambda: counter.got == ["ready", "SIGPIPE"], "the command to live on")
    counter.stop()
    until(lambda: not Path(f"/proc/{child}").exists(), "the command to end by itself")
    outcome = read_back(Outcome(0, b"", b"", home))
    assert outcome.states() == ["running"]


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_ctrl_c(home: Path, tmp_path: Path) -> None:
    """Ctrl-C reaches the command once, from the terminal; a command that outlives it goes on."""
    counter = Counter(tmp_path, "SIGINT")
    terminal = Terminal(home)
    try:
        terminal.type(shlex.join(words(*counter.command)) + "; echo status=$?\n")
        until(lambda: counter.got == ["ready"], "the command to begin")
        terminal.type("\x03")
        until(lambda: len(counter.got) > 1, "the command to be told")
        counter.stop()
        until(terminal.shows("status=8"), "the shell to be told the status")
    finally:
        terminal.close()
    assert counter.got == ["ready", "SIGINT"]


def test_ctrl_z(home: Path, tmp_path: Path) -> None:
    """Ctrl-Z stops command and rota exec, so that the shell has the terminal again; `fg` continues both."""
    counter = Counter(tmp_path)
    terminal = Terminal(home)
    try:
        terminal.type(shlex.join(words(*counter.command)) + "; echo status=$?\n")
        until(lambda: counter.got == ["ready"], "the command to begin")
        terminal.type("\x1a")
        until(terminal.shows("Stopped"), "the shell to see its job stopped")
        terminal.type("fg\n")
        counter.stop()
        terminal.type("echo after=$?\n")
        until(terminal.shows("after="), "the job to end in the foreground")
        until(lambda: read_back(Outcome(0, b"", b"", home)).states() == ["running", "failed"], "the run's end")
    finally:
        terminal.close()


def test_a_stop_sent_to_rota_exec(home: Path, tmp_path: Path) -> None:
    """A rota exec that is stopped for a while notices the command's end when it is continued."""
    counter = Counter(tmp_path)
    process = start_exec(*counter.command, home=home, start_new_session=True)
    until(lambda: counter.got == ["ready"], "the command to begin")
    (child,) = children(process.pid)
    os.kill(process.pid, signal.SIGSTOP)
    os.kill(process.pid, signal.SIGCONT)
    counter.stop()
    assert ended(process, home).code == 8
    assert not Path(f"/proc/{child}").exists()


def test_a_command_stopped_by_somebody_else(home: Path, tmp_path: Path) -> None:
    """A command that is stopped and continued from elsewhere does not leave rota exec behind, stopped."""
    counter = Counter(tmp_path)
    process = start_exec(*counter.command, home=home)
    until(lambda: counter.got == ["ready"], "the command to begin")
    (child,) = children(process.pid)
    os.kill(child, signal.SIGSTOP)
    until(lambda: "T (" in Path(f"/proc/{child}/status").read_text(), "the command to be stopped")
    os.kill(child, signal.SIGCONT)
    counter.stop()
    assert ended(process, home).code == 8
