"""The resident agent: real scripts, real deaths, a receiver that answers as told."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from agents import agent, run, waiting
from otlp_receiver import Receiver, Reply, receiver, state_line
from servers import PATIENCE_SECONDS, clean_environment, poll

from rota.wire import names

WITNESS = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux: no pidfd, no witness")


@pytest.fixture
def server() -> Iterator[Receiver]:
    """A receiver that says it is rota."""
    with receiver() as running:
        yield running


@pytest.fixture
def environment(tmp_path, server) -> dict[str, str]:
    """A home of its own, and that receiver."""
    return {**clean_environment(tmp_path / "home"), "ROTA_ENDPOINT": server.url, "ROTA_DETACH": "off"}


@pytest.fixture
def running(environment, tmp_path) -> Iterator[subprocess.Popen[bytes]]:
    """An agent."""
    with agent(environment, tmp_path / "agent.log") as process:
        yield process


def last(server: Receiver, state: str) -> dict[str, object]:
    """The one delivered run state of that name, once it is there."""
    return poll(lambda: [found for found in server.states() if found[names.STATE] == state], f"no run has {state}")[0]


@WITNESS
@pytest.mark.parametrize(
    ("body", "state", "reason", "exit_code", "source"),
    [
        ("pass", "succeeded", None, 0, "sdk"),
        ("sys.exit(3)", "failed", "exit", 3, "sdk"),
        ("1 / 0", "failed", "exception", 1, "sdk"),
        ("os._exit(0)", "succeeded", "exit", 0, "agent"),
        ("os._exit(7)", "failed", "exit", 7, "agent"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "crashed", "sigkill", 137, "agent"),
        ("os.kill(os.getpid(), signal.SIGTERM)", "cancelled", "sigterm", 143, "agent"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed", "sigsegv", 139, "agent"),
        ("atexit._clear(); sys.exit(5)", "failed", "exit", 5, "agent"),
    ],
)
def test_every_end_is_told_exactly(running, environment, server, body, state, reason, exit_code, source):
    """Whether the script could say it or not: the state, its reason, the exit status, and who saw it."""
    run(body, environment)
    end = last(server, state)
    assert (end.get(names.REASON), end[names.PROCESS_EXIT_CODE], end[names.SOURCE]) == (reason, exit_code, source)
    assert server.said() == ["running", state]


@WITNESS
def test_an_exit_status_outranks_the_scripts_own_word(running, environment, server):
    """A script that said it succeeded, and was killed in one of its atexit functions after that, was killed."""
    run("pass", environment, first="atexit.register(os.kill, os.getpid(), signal.SIGKILL)")
    last(server, "crashed")
    assert server.said() == ["running", "succeeded", "crashed"]


def test_a_run_is_seen_while_it_runs(running, environment, server):
    """The agent follows the spool: a run is delivered long before it ends."""
    with waiting(environment):
        poll(lambda: server.said() == ["running"], "the running run is not seen")
    poll(lambda: server.said() == ["running", "succeeded"], "its end is not seen")


def test_the_spool_is_empty_in_the_end(running, environment, server, tmp_path):
    """What was delivered is removed, spans and states."""
    run("with rota.task('load'): pass", environment)
    poll(lambda: not list((tmp_path / "home/spool").rglob("*.jsonl")), "files stay")
    assert {path for path, _ in server.delivered} - {"/v1/metrics"} == {"/v1/logs", "/v1/traces"}


@WITNESS
def test_a_script_that_began_before_the_agent_is_watched_too(environment, server, tmp_path):
    """It said no hello: it is found by the lock that it holds, and its exit status is as exact."""
    (tmp_path / "home").mkdir()
    environment["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf"  # so that the script sends nothing itself
    asked = {**environment, "OTEL_EXPORTER_OTLP_PROTOCOL": ""}
    with waiting(environment, "os._exit(9)") as script, agent(asked, tmp_path / "agent.log"):
        poll(lambda: server.said() == ["running"], "it is not found")
        script.communicate(b"\n")
        assert last(server, "failed")[names.PROCESS_EXIT_CODE] == script.returncode == 9


@WITNESS
def test_an_inner_run_ends_with_its_process(running, environment, server):
    """A run inside a process that is killed has crashed with it."""
    run("rota.run('inner').__enter__(); os.kill(os.getpid(), signal.SIGKILL)", environment)
    poll(lambda: len(server.said()) == 4, "an end is missing")
    ends = {(s[names.RUN_SCOPE], s[names.STATE], s[names.REASON]) for s in server.states() if s[names.SOURCE] == "agent"}
    assert ends == {("process", "crashed", "sigkill"), ("inner", "crashed", "process_ended")}


def test_a_forked_child_does_not_end_its_parents_run(running, environment, server):
    """Children that are killed or leave by os._exit are part of the run, not its end."""
    body = """
for end in (lambda: os._exit(4), lambda: os.kill(os.getpid(), signal.SIGKILL)):
    pid = os.fork()
    if pid == 0:
        with rota.task("part"): pass
        end()
    os.waitpid(pid, 0)
"""
    run(body, environment)
    last(server, "succeeded")
    assert server.said() == ["running", "succeeded"]


@WITNESS
def test_a_slow_endpoint_delays_no_end(running, environment, server, tmp_path):
    """While a request hangs, a death is noticed and its end is on disk."""
    is_open, is_busy = threading.Event(), threading.Event()

    def hang(path: str, body: bytes) -> Reply:
        if body != b"{}":
            is_busy.set()
            is_open.wait(PATIENCE_SECONDS)
        return Reply()

    server.answer = hang
    try:
        with waiting(environment) as script:
            assert is_busy.wait(PATIENCE_SECONDS)
            script.kill()
            script.wait()
            files = tmp_path / "home/spool/left"
            poll(lambda: any("sigkill" in file.read_text() for file in files.glob("*.logs.jsonl")), "the end is not noted")
            assert server.delivered == []
    finally:
        is_open.set()
    last(server, "crashed")


def test_a_collector_that_is_away_loses_nothing(running, environment, server):
    """What could not be delivered is, once the collector is back."""
    asked = []

    def away(path: str, body: bytes) -> Reply:
        asked.append(path)
        return Reply(503)

    server.answer = away
    run("sys.exit(3)", environment)
    poll(lambda: asked, "nothing was tried")
    server.answer = lambda path, body: Reply()
    poll(lambda: server.said() == ["running", "failed"], "it did not arrive")


@WITNESS
def test_an_agent_killed_in_the_middle_loses_nothing(environment, server, tmp_path):
    """Ends that nobody saw are inferred after a restart, those seen again are exact; nothing is lost or told twice."""
    log = tmp_path / "agent.log"
    with contextlib.ExitStack() as scripts:
        with agent(environment, log) as first:
            unseen, seen = (scripts.enter_context(waiting(environment)) for _ in range(2))
            poll(lambda: server.said() == ["running", "running"], "the runs are not seen")
            first.kill()
            first.wait()
        run("sys.exit(3)", {**environment, "ROTA_ENDPOINT": "http://127.0.0.1:1"})
        unseen.kill()
        unseen.wait()
        with agent(environment, log):
            poll(lambda: len(server.said()) == 5, "what was left is not delivered", log)
            seen.terminate()
            seen.wait()
            poll(lambda: len(server.said()) == 6, "the second end is not seen", log)
    reasons = sorted(str(found.get(names.REASON)) for found in server.states() if found[names.STATE] != "running")
    assert reasons == ["exit", "sigterm", "vanished"]


def test_a_damaged_file_stops_nothing(running, environment, server, tmp_path):
    """A corrupt line goes to bad/, and everybody else's facts arrive."""
    left = tmp_path / "home/spool/left"
    left.mkdir(parents=True, exist_ok=True)
    (left / "1-00.logs.jsonl").write_bytes(b"\xff{damaged\n" + state_line("succeeded"))
    run("pass", environment)
    poll(lambda: server.said().count("succeeded") == 2, "something is held up")
    bad = tmp_path / "home/spool/bad/1-00.logs.jsonl"
    poll(lambda: bad.exists() and bad.read_bytes() == b"\xff{damaged\n", "it is not kept")


def test_a_spool_that_cannot_be_written_is_read(environment, server, tmp_path):
    """What is there is sent once; the agent says what it cannot do, and goes on."""
    left, log = tmp_path / "home/spool/left", tmp_path / "agent.log"
    left.mkdir(parents=True)
    file = left / "1-00.logs.jsonl"
    file.write_bytes(state_line("succeeded"))
    file.chmod(0o400)
    left.chmod(0o500)
    try:
        with agent(environment, log, preexec_fn=give_up_overriding_permissions):
            poll(lambda: "cannot write in" in log.read_text() and server.said(), "it is not sent, or not said", log)
    finally:
        left.chmod(0o700)
    assert server.said() == ["succeeded"]
    assert [path for path, _ in server.delivered].count("/v1/logs") == 1
    assert file.exists()


def give_up_overriding_permissions() -> None:
    """Root too obeys the permission bits, once CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH are out of the bounding set."""
    if os.geteuid() == 0:
        for capability in (1, 2):
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)


def test_only_one_agent_listens(running, environment, tmp_path):
    """A second one on the same home says so and exits with 1; the first goes on."""
    second = subprocess.run([sys.executable, "-m", "rota", "agent"], env=environment, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert second.stderr.startswith(f"rota: another agent listens on {tmp_path}/home/agent.sock")
    assert running.poll() is None


def test_the_socket_of_a_dead_agent_is_replaced(environment, tmp_path):
    """A stale socket file does not keep an agent from starting; the new one is for its owner only."""
    path = tmp_path / "home/agent.sock"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with agent(environment, tmp_path / "agent.log"):
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_asked(environment, tmp_path, number):
    """TERM and INT end it with 0, and its socket is gone."""
    with agent(environment, tmp_path / "agent.log") as process:
        process.send_signal(number)
        assert process.wait(PATIENCE_SECONDS) == 0
    assert not (tmp_path / "home/agent.sock").exists()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b'{"hello":2,"spool":"/x","stem":"1-a"}\n',
        b'{"hello":1,"spool":"x","stem":"1-a"}\n',
        b'{"hello":1,"spool":"/","stem":"../x"}\n',
        b'{"hello":1,"spool":"/x\\u0000y","stem":"1-a"}\n',
        b'{"hello":1,"spool":"/x\\ud800y","stem":"1-a"}\n',
        b"[" * 9000,
    ],
)
def test_nonsense_at_the_door_does_no_harm(running, environment, server, tmp_path, line):
    """Whoever connects and says something else is refused; scripts are served as before."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(tmp_path / "home/agent.sock"))
        caller.sendall(line)
    run("pass", environment)
    last(server, "succeeded")
    log = (tmp_path / "agent.log").read_text()
    assert ("refused" in log, "turn failed" in log) == (True, False)


def test_a_caller_that_says_nothing_is_not_waited_for(running, environment, server, tmp_path):
    """An open connection without a hello holds up nobody."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(tmp_path / "home/agent.sock"))
        run("pass", environment)
        last(server, "succeeded")
        caller.settimeout(PATIENCE_SECONDS)
        assert caller.recv(1) == b""


def test_callers_that_say_nothing_are_not_many(running, environment, server, tmp_path):
    """Whoever opens connections for nothing exhausts nobody's descriptors: the oldest have to go."""
    with contextlib.ExitStack() as callers:
        for _ in range(400):
            callers.enter_context(socket.socket(socket.AF_UNIX)).connect(str(tmp_path / "home/agent.sock"))
        run("pass", environment)
        last(server, "succeeded")
        assert len(os.listdir(f"/proc/{running.pid}/fd")) < 2 * 300


def test_directories_are_not_many(running, environment, server, tmp_path):
    """Whoever names ever more of them is refused from some number on; those before are served."""
    for number in range(70):
        folder = tmp_path / f"{number}/spool"
        folder.mkdir(parents=True)
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(tmp_path / "home/agent.sock"))
            caller.sendall(b'{"hello":1,"spool":"%s","stem":"1-a"}\n' % bytes(folder))
    log = tmp_path / "agent.log"
    poll(lambda: log.read_text().count("would be more than 64 directories") >= 70 - 63, "not so many are refused", log)
    run("pass", environment)
    last(server, "succeeded")
    assert log.read_text().count("would be more than 64 directories") == 70 - 63


def test_the_hello_says_which_spool(running, environment, server, tmp_path):
    """A script with another home of the same user, told of this agent, is served from its own spool."""
    other = {**environment, "ROTA_HOME": str(tmp_path / "other"), "ROTA_AGENT": str(tmp_path / "home/agent.sock")}
    (tmp_path / "other").mkdir()
    run("os._exit(6)", other)
    end = last(server, "failed")
    assert end[names.PROCESS_EXIT_CODE] == 6
    assert server.said() == ["running", "failed"]


def test_the_first_run_of_a_home_is_witnessed_as_any_other(running, environment, server, tmp_path):
    """Its hello is read before anything of its home exists."""
    other = {**environment, "ROTA_HOME": str(tmp_path / "new/home"), "ROTA_AGENT": str(tmp_path / "home/agent.sock")}
    pausing = (
        "import time, rota._forward as way; tell = way.tell_agent; way.tell_agent = lambda *of: (tell(*of), time.sleep(0.5))[0]"
    )
    run("os._exit(6)", other, first=pausing)
    assert last(server, "failed")[names.PROCESS_EXIT_CODE] == 6
    assert "refused" not in (tmp_path / "agent.log").read_text()
