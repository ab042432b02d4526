"""`rota exec`: the command notices nothing of it, and whoever started it notices nothing either."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from collectors import until
from execs import ended, environment, run_exec, said_by, start_exec, words
from otlp_receiver import receiver
from scripts import Outcome, read_back

STATUSES = {0: "succeeded", 1: "failed", 77: "failed", 126: "failed", 127: "failed", 255: "failed"}
SHOW = "import json, os, resource, signal, sys; print(json.dumps({}), end='')"


@pytest.mark.parametrize("status", STATUSES)
def test_the_exit_status_is_the_commands(home: Path, status: int) -> None:
    """Whatever the command exits with, rota exec exits with, and the run's end says it, seen from outside."""
    outcome = run_exec("--", "sh", "-c", f"exit {status}", home=home)
    assert (outcome.code, outcome.stdout, outcome.stderr, outcome.errors) == (status, b"", b"", "")
    assert outcome.states() == ["running", STATUSES[status]]
    assert (outcome.last["process.exit.code"], outcome.last["rota.source"]) == (status, "exec")


@pytest.mark.parametrize(
    ("name", "state"), [("TERM", "cancelled"), ("INT", "cancelled"), ("KILL", "crashed"), ("SEGV", "crashed"), ("HUP", "crashed")]
)
def test_a_command_that_a_signal_ended(home: Path, name: str, state: str) -> None:
    """A fatal signal of the command is 128 + n, as a shell tells it; TERM and INT cancel the run, others crash it."""
    outcome = run_exec("sh", "-c", f"kill -{name} $$", home=home)
    assert outcome.code == 128 + getattr(signal, "SIG" + name)
    assert outcome.states() == ["running", state]
    assert (outcome.last["rota.state.reason"], outcome.last["rota.process.signal"]) == (f"sig{name.lower()}", f"SIG{name}")


def test_under_every_python(home: Path, python: str) -> None:
    """Status, output, start, end and root span are the same under each interpreter that rota runs on."""
    outcome = run_exec("--name", "etl", "--tail", "9", "sh", "-c", "printf 'to be kept'; exit 3", home=home, python=python)
    assert (outcome.code, outcome.stdout, outcome.errors) == (3, b"to be kept", "")
    assert outcome.states() == ["running", "failed"]
    (span,) = outcome.spans
    assert (span["name"], span["kind"], span["attributes"]["process.exit.code"]) == ("etl", 2, 3)
    assert outcome.last["exception.message"].endswith("o be kept")


def test_what_cannot_be_run(home: Path, tmp_path: Path) -> None:
    """A command that is not there is 127, one that may not be executed 126, with one line on stderr; the run failed."""
    (tmp_path / "plain").write_text("")
    for command, status in (("no-such-command", 127), (str(tmp_path / "nowhere" / "x"), 127), (str(tmp_path / "plain"), 126)):
        outcome = run_exec(command, home=home)
        assert (outcome.code, outcome.stdout) == (status, b"")
        assert outcome.stderr.decode().startswith(f"rota exec: {command}: ")
        assert outcome.stderr.count(b"\n") == 1
        assert (outcome.last["rota.run.state"], outcome.last["process.exit.code"]) == ("failed", status)


def test_a_script_without_an_interpreter_line(home: Path, tmp_path: Path) -> None:
    """A script without #! is run by /bin/sh, as every shell does it."""
    script = tmp_path / "nightly"
    script.write_text('echo "$1"\n')
    script.chmod(0o755)
    assert run_exec(str(script), "a b", home=home).stdout == b"a b\n"


@pytest.mark.parametrize("arguments", [(), ("--",), ("--nope", "true"), ("--name",), ("--tail", "many", "true")], ids=" ".join)
def test_wrong_usage(home: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Options that make no sense are exit status 2 and one line, before anything runs."""
    outcome = run_exec(*arguments, home=home)
    assert (outcome.code, outcome.stdout, outcome.stderr.count(b"\n")) == (2, b"", 1)
    assert outcome.events == []


def test_ten_megabytes_of_anything(home: Path) -> None:
    """Bytes pass unchanged from stdin to stdout and stderr, with and without --tail."""
    given = os.urandom(10 << 20)
    for options in ((), ("--tail", "1k")):
        outcome = run_exec(*options, "sh", "-c", "tee /dev/stderr", home=home, input=given)
        assert (
            hashlib.sha256(outcome.stdout).digest() == hashlib.sha256(given).digest() == hashlib.sha256(outcome.stderr).digest()
        )


def test_a_terminal_stays_one(home: Path) -> None:
    """The command has the very terminal that rota exec was started on."""
    ours, theirs = pty.openpty()
    process = start_exec("tty", home=home, stdin=theirs, stdout=theirs, stderr=theirs)
    name = os.ttyname(theirs)
    assert process.wait(60) == 0
    os.close(theirs)
    assert os.read(ours, 1000).decode().strip() == name
    os.close(ours)


def test_everything_that_is_inherited(home: Path, tmp_path: Path) -> None:
    """Descriptors, folder, umask, niceness, limits, group, session, mask and dispositions are those that rota exec had."""
    inherited = """
        dict(fds={n: os.stat('/proc/self/fd/' + n).st_ino for n in os.listdir('/proc/self/fd')
                  if os.path.exists('/proc/self/fd/' + n)},
             cwd=os.getcwd(), umask=os.umask(0), nice=os.nice(0), limits=resource.getrlimit(resource.RLIMIT_NOFILE),
             group=os.getpgrp() == int(sys.argv[1]) or os.getpgrp(), session=os.getsid(0),
             ignored=[n for n in signal.valid_signals() if signal.getsignal(n) == signal.SIG_IGN],
             blocked=sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
    """
    source = tmp_path / "show.py"
    source.write_text(SHOW.format(" ".join(inherited.split())))
    extra = os.open(tmp_path / "extra", os.O_RDWR | os.O_CREAT)

    def prepare() -> None:
        os.umask(0o027)
        os.nice(3)
        for number in (signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})

    def seen(*prefix: str) -> object:
        command = [*prefix, sys.executable, str(source), str(os.getpgrp())]
        with open(tmp_path / "in", "w+b") as stdin, open(tmp_path / "err", "w+b") as stderr:
            done = subprocess.run(
                command, env=environment(home), cwd=tmp_path, stdin=stdin, stderr=stderr, stdout=subprocess.PIPE,
                pass_fds=(extra,), preexec_fn=prepare, check=True,
            )  # fmt: skip
        found = json.loads(done.stdout)
        assert str(extra) in found["fds"]
        found["fds"].pop("1")  # a pipe of this call's
        return found

    assert seen(*words()) == seen()
    os.close(extra)


def test_the_environment_of_the_command(home: Path) -> None:
    """Two variables are added, TRACEPARENT and BAGGAGE; nothing else differs, not even in an empty environment."""
    rota_home = {"ROTA_HOME": str(home), "ROTA_AGENT": "off", "ROTA_DETACH": "off", "PYTHONPATH": environment(home)["PYTHONPATH"]}
    outcome = run_exec("/usr/bin/env", home=home, env={**rota_home, "ODD": "a\nb", "BAGGAGE": "mine=1"})
    entries = dict(entry.split("=", 1) for entry in outcome.stdout.decode().replace("a\nb", "a b").splitlines())
    assert entries.pop("TRACEPARENT").split("-")[1] == outcome.last["traceId"]
    assert entries.pop("BAGGAGE").startswith(f"mine=1,rota.run.id={outcome.last['cicd.pipeline.run.id']},rota.workflow=env,")
    assert entries == {**rota_home, "ODD": "a b"}


@pytest.mark.parametrize("stream", [0, 1, 2])
def test_a_closed_standard_stream_stays_closed(home: Path, stream: int) -> None:
    """With stdin, stdout or stderr closed, the command finds it closed, and no file of rota's in its place."""
    for options in ("", "--tail 100 "):
        line = f"exec {' '.join(words())} {options}sh -c '[ ! -e /proc/self/fd/{stream} ]' {stream}>&-"
        done = subprocess.run(["sh", "-c", line], env=environment(home), check=False)
        assert done.returncode == 0


def test_a_reader_that_goes_away(home: Path) -> None:
    """A command whose reader has gone is told by SIGPIPE, as without rota."""
    for options in ("", "--tail 100 "):
        line = f"{{ {' '.join(words())} {options}yes; echo $? >&2; }} | head -n 1"
        done = subprocess.run(["sh", "-c", line], env=environment(home), capture_output=True, check=True, timeout=60)
        assert (done.stdout, done.stderr) == (b"y\n", b"141\n")


def test_the_start_is_spooled_before_the_command_runs(home: Path) -> None:
    """The command finds the start of its own run in the spool."""
    outcome = run_exec("sh", "-c", 'cat "$ROTA_HOME"/spool/live/*.logs.jsonl', home=home)
    (record,) = json.loads(outcome.stdout)["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert record["eventName"] == "rota.run.state"
    assert '"running"' in json.dumps(record)


def test_what_is_declared_and_used(home: Path) -> None:
    """The start carries what the options declare and the command's first word alone; the end carries what the command used."""
    options = ["--schedule=0 2 * * *", "--tz", "Europe/Berlin", "--grace=15m", "--max-duration", "2h", "--tag", "a", "--tag=b"]
    outcome = run_exec(*options, "sh", "-c", "exit 0", "secret", home=home)
    start = outcome.events[0]
    wanted = {
        "rota.schedule.spec": "0 2 * * *", "rota.schedule.tz": "Europe/Berlin", "rota.schedule.grace": "15m",
        "rota.expect.max_duration": "2h", "rota.tags": ["a", "b"], "process.command": "sh", "rota.workflow.named_by": "script",
    }  # fmt: skip
    assert {name: start.get(name) for name in wanted} == wanted
    assert "secret" not in json.dumps(outcome.events) + json.dumps(outcome.spans)
    assert outcome.last["rota.process.cpu.user_seconds"] >= 0


def test_the_memory_of_a_command(home: Path) -> None:
    """The most memory that the command had is told when it is more than rota exec's own, in whose image it begins."""
    large = shlex.join(words(sys.executable, "-c", "size = 64 << 20; b'x' * size"))
    subprocess.run(
        ["sh", "-c", f"{large}; {shlex.join(words('true'))}"], env=environment(home), check=True
    )  # forked by sh: small
    peaks = [event.get("rota.process.memory.peak", 0) for event in read_back(Outcome(0, b"", b"", home)).events]
    assert max(peaks) > 64 << 20
    assert peaks.count(0) == 3


def test_the_name(home: Path) -> None:
    """--name comes before ROTA_WORKFLOW, that before the command's own name; who gave the name is said."""

    def named(*arguments: str, **env: str) -> tuple[str, str]:
        outcome = run_exec(*arguments, home=home, env=environment(home, **env))
        start = outcome.events[-2]
        return start["cicd.pipeline.name"], outcome.last["rota.workflow.named_by"]

    assert named("--name", "given", "true", ROTA_WORKFLOW="env") == ("given", "given")
    assert named("true", ROTA_WORKFLOW="env") == ("env", "given")
    assert named("env", "A=1", "nice", "true") == ("true", "script")
    assert named("-c", "cd / && A=1 ls /dev/null") == ("ls", "script")


def test_disabled(home: Path) -> None:
    """When rota is disabled the command takes the place of rota exec, and nothing is kept."""
    outcome = run_exec("sh", "-c", "echo $PPID; exit 4", home=home, env=environment(home, ROTA_DISABLED="1"))
    assert (outcome.code, int(outcome.stdout), outcome.events) == (4, os.getpid(), [])


def test_a_home_that_cannot_be_made(home: Path) -> None:
    """With a home that cannot be written the command runs as ever, and not a word is said."""
    home.write_text("")
    outcome = run_exec("sh", "-c", "echo done; exit 5", home=home / "below", env=environment(home / "below"))
    assert (outcome.code, outcome.stdout, outcome.stderr) == (5, b"done\n", b"")


@pytest.mark.parametrize("broken", ["exec/observe.py", "exec/child.py", "_process.py", "_spool.py", "_run.py"])
def test_a_rota_that_cannot_be_imported(home: Path, tmp_path: Path, broken: str) -> None:
    """When a part of rota itself is broken, the command runs once, unobserved, and its status and output are its own."""
    shutil.copytree(
        Path(environment(home)["PYTHONPATH"]) / "rota", tmp_path / "sdk" / "rota", ignore=shutil.ignore_patterns("__pycache__")
    )
    home.mkdir()
    (tmp_path / "sdk" / "rota" / broken).write_text("raise ImportError('broken on purpose')\n")
    env = environment(home, PYTHONPATH=str(tmp_path / "sdk"))
    outcome = run_exec("sh", "-c", "echo once; exit 6", home=home, env=env)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (6, b"once\n", b"")
    assert outcome.events == []
    assert "broken on purpose" in outcome.errors


def test_a_collector_that_never_answers(home: Path) -> None:
    """A collector that takes a connection and says nothing changes neither status nor output, and the facts stay spooled."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        env = environment(home, ROTA_ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}")
        outcome = run_exec("sh", "-c", "echo done; exit 5", home=home, env=env)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (5, b"done\n", b"")
    assert outcome.states() == ["running", "failed"]


def test_delivery_without_an_agent(home: Path) -> None:
    """Over plain HTTP the start has arrived while the command still runs, the end when rota exec exits; nothing stays behind."""
    with receiver() as there:
        process = start_exec("cat", home=home, env=environment(home, ROTA_ENDPOINT=there.url), stdin=subprocess.PIPE)
        until(lambda: there.said() == ["running"], "the start to arrive")
        outcome = ended(process, home)
        assert there.said() == ["running", "succeeded"]
    assert outcome.events == []


def test_a_collector_that_comes_later(home: Path) -> None:
    """A start that nobody took is delivered as soon as there is somebody, while the command runs."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    process = start_exec("cat", home=home, env=environment(home, ROTA_ENDPOINT=f"http://127.0.0.1:{port}"), stdin=subprocess.PIPE)
    until(lambda: list(home.rglob("*.logs.jsonl")), "the run to begin")
    with receiver(port) as there:
        until(lambda: there.said() == ["running"], "the start to arrive")
        assert ended(process, home).code == 0


def test_a_background_process(home: Path) -> None:
    """A process that the command leaves behind keeps its streams and is not waited for."""
    done = subprocess.run(
        ["sh", "-c", f"{' '.join(words())} sh -c '(read go <\"$0\"; echo late) & exit 9' {home}.fifo; echo $?"],
        env=environment(home), stdout=subprocess.PIPE, check=False, timeout=60,
        preexec_fn=lambda: (os.mkfifo(f"{home}.fifo"), subprocess.Popen(["sh", "-c", f"sleep 0.3; echo go >{home}.fifo"])),
    )  # fmt: skip
    assert done.stdout == b"9\nlate\n"


def test_nothing_of_ours_is_held_open(home: Path, tmp_path: Path) -> None:
    """Rota exec itself holds none of the streams: a reader sees their end as soon as the command has closed them."""
    process = start_exec("sh", "-c", "exec >&- 2>&-; read line", home=home, stdin=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.read() == b""
    process.stdin.close()
    process.stdin = None
    assert ended(process, home).code == 1


def test_two_runs_in_one_another(home: Path) -> None:
    """A rota exec in a rota exec is a child run of it."""
    outcome = run_exec("--name", "outer", *words("--name", "inner", "true"), home=home)
    first = {event["cicd.pipeline.name"]: event for event in said_by(outcome, "exec")}
    assert first["inner"]["rota.run.parent.id"] == first["outer"]["cicd.pipeline.run.id"]
