"""`rota exec` on systems that have less than Linux, and where there is little of everything."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from collectors import until
from execs import WITHOUT_SENDERS, environment, run_exec, words
from scripts import Outcome, read_back

TRAPS = 'trap "echo got; exit 7" TERM; echo ready; while :; do sleep 0.02; done'


def elsewhere(*arguments: str) -> list[str]:
    """``rota exec`` where the system does not tell who sent a signal."""
    return [sys.executable, "-c", WITHOUT_SENDERS, *arguments]


@pytest.mark.parametrize(("line", "status"), [("exit 0", 0), ("exit 255", 255), ("kill -KILL $$", 137), ("kill -TERM $$", 143)])
def test_an_exit_status_where_no_sender_is_told(home: Path, line: str, status: int) -> None:
    """Without `sigtimedwait` the exit status is the command's all the same, and so is the run's end."""
    done = subprocess.run(elsewhere("sh", "-c", line), env=environment(home), capture_output=True, check=False, timeout=60)
    outcome = read_back(Outcome(done.returncode, done.stdout, done.stderr, home))
    assert (outcome.code, outcome.last["process.exit.code"], outcome.errors) == (status, status, "")


@pytest.mark.parametrize("options", [(), ("--tail", "1k")], ids=["plain", "tail"])
def test_a_signal_where_no_sender_is_told(home: Path, options: tuple[str, ...]) -> None:
    """Without `sigtimedwait` a signal sent to rota exec reaches the command, also when its output is kept."""
    command = elsewhere(*options, "sh", "-c", TRAPS)
    with subprocess.Popen(command, env=environment(home), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == b"got\n"
        assert process.wait(60) == 7


def test_an_ignored_signal_where_no_sender_is_told(home: Path) -> None:
    """Without `sigtimedwait` a signal that was ignored when rota exec began is ignored in the command."""
    done = subprocess.run(
        elsewhere("sh", "-c", "kill -HUP $$; echo survived"), env=environment(home), capture_output=True, check=False, timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, b"survived\n")


@pytest.mark.parametrize("files", [3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
@pytest.mark.parametrize("options", [(), ("--tail", "1k")], ids=["plain", "tail"])
def test_hardly_any_descriptors(home: Path, files: int, options: tuple[str, ...]) -> None:
    """However few files may be open, the command runs as it would without rota, with its own status and output."""
    plain = ["sh", "-c", "echo done; exit 4"]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    started = subprocess.run([sys.executable, "-c", "import os"], preexec_fn=limit, capture_output=True, check=False)
    if started.returncode:
        return  # nothing written in Python starts with so few
    command = words(*options, "--", *plain)
    done = subprocess.run(command, env=environment(home), preexec_fn=limit, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (4, b"done\n")


def test_sockets_that_systemd_hands_over(home: Path) -> None:
    """LISTEN_PID, by which systemd says whose the sockets are, names the command; a LISTEN_PID of somebody else stays."""
    code = "import os, sys; os.environ['LISTEN_PID'] = str(os.getpid()); os.execv(sys.argv[1], sys.argv[1:])"
    asked = ["sh", "-c", 'test "$LISTEN_PID" = $$ && test "$0" = "a  b" && exit 5', "a  b"]
    done = subprocess.run([sys.executable, "-c", code, *words(*asked)], env=environment(home), check=False, timeout=60)
    assert done.returncode == 5
    assert run_exec("sh", "-c", "exit $LISTEN_PID", home=home, env=environment(home, LISTEN_PID="1")).code == 1


def test_a_signal_to_the_group_ends_all(home: Path, tmp_path: Path) -> None:
    """`kill -- -PGID` ends the command, what it started and rota exec: they are one group, as without rota."""
    pids = tmp_path / "pids"
    line = f"sleep 60 & echo $! >>{pids}; echo $$ >>{pids}; wait"
    with subprocess.Popen(words("sh", "-c", line), env=environment(home), start_new_session=True) as process:
        until(lambda: pids.exists() and len(pids.read_text().split()) == 2, "the command to begin")
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(60) == 143
    until(lambda: not any(_lives(pid) for pid in pids.read_text().split()), "all of the group to end")
    assert read_back(Outcome(143, b"", b"", home)).last["rota.state.reason"] == "sigterm"


def test_nothing_but_the_command_in_an_empty_environment(home: Path) -> None:
    """Under `env -i` the command gets the run's trace context and nothing else."""
    root = environment(home)["PYTHONPATH"]
    code = f"import sys; sys.path.insert(0, {root!r}); from rota.cli import main; main(['exec', 'env'])"
    ours = {name: value for name, value in environment(home).items() if name.startswith("ROTA_")}
    env = {"PATH": "/usr/bin:/bin", **ours}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True, timeout=60)
    seen = dict(line.split("=", 1) for line in done.stdout.decode().splitlines())
    assert set(seen) - set(env) == {"TRACEPARENT", "BAGGAGE"}


def test_the_last_bytes_of_much_output(home: Path) -> None:
    """Of ten megabytes through pipes every byte goes on, and the last ones are kept, with what went before them told."""
    code = "import sys; [sys.stdout.buffer.write(bytes(range(256)) * 4096) for _ in range(10)]; sys.stderr.write('end')"
    outcome = run_exec("--tail", "1k", sys.executable, "-c", code, home=home)
    assert (outcome.stdout, outcome.stderr) == (bytes(range(256)) * 40960, b"end")
    written = {event["log.iostream"]: event["rota.output.bytes"] for event in outcome.events if event["event"] == "rota.output"}
    assert written == {"stdout": 10 << 20, "stderr": 3}


def _lives(pid: str) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
