"""`rota agent --once`: what dead scripts left behind is shipped, and that is all."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from otlp_receiver import Receiver, Reply, receiver, span_line, state_line
from scripts import PYTHONS, SDK
from servers import PATIENCE_SECONDS, clean_environment, poll, rota

from rota.agent import once
from rota.agent.carrier import Carrier
from rota.agent.turn import RESIDENT, Turn
from rota.wire import names


@pytest.fixture
def server() -> Iterator[Receiver]:
    """A receiver that says it is rota."""
    with receiver() as running:
        yield running


@pytest.fixture
def home(tmp_path) -> Path:
    """A home with a spool."""
    for name in ("live", "left"):
        (tmp_path / "home/spool" / name).mkdir(parents=True)
    return tmp_path / "home"


@pytest.fixture
def environment(home, server) -> dict[str, str]:
    """That home, and that receiver."""
    return {**clean_environment(home), "ROTA_ENDPOINT": server.url, "ROTA_DETACH": "off"}


def leave(home: Path, *lines: bytes, name: str = "1-00ff", where: str = "left", signal_name: str = "logs") -> Path:
    """A file of a script that is gone."""
    path = home / "spool" / where / f"{name}.{signal_name}.jsonl"
    path.write_bytes(b"".join(lines))
    return path


def test_everything_is_shipped_in_silence(home, environment, server):
    """States and spans of every file; exit status 0, not a word, nothing left."""
    leave(home, state_line("running"), state_line("succeeded"))
    leave(home, span_line(), signal_name="traces")
    done = rota("agent", "--once", environment=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert server.said() == ["running", "succeeded"]
    assert [path for path, _ in server.delivered] == ["/v1/logs", "/v1/traces"]
    assert not list((home / "spool").rglob("*.jsonl"))


@pytest.mark.parametrize("where", ["live", "left"])
def test_a_run_that_nobody_ended_vanished(home, environment, server, where):
    """Its file has no end and no writer: it crashed, when it last wrote."""
    os.utime(leave(home, state_line("running"), where=where), ns=(7_000, 7_000))
    rota("agent", "--once", environment=environment)
    (_, end) = server.states()
    assert (end[names.STATE], end[names.REASON], end["at_ns"]) == ("crashed", "vanished", 7_000)
    assert not list((home / "spool").rglob("*.jsonl"))


def test_a_killed_script_is_told_by_the_next_shipper(environment, server):
    """The whole way, with a real script that said nothing at its end."""
    script = "import os, rota; rota.watch('etl'); os.kill(os.getpid(), 9)"
    asked = {**environment, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "ROTA_ENDPOINT": ""}  # so that it sends nothing itself
    assert subprocess.run([sys.executable, "-c", script], env=asked, check=False).returncode == -signal.SIGKILL
    assert rota("agent", "--once", environment=environment).returncode == 0
    assert server.said() == ["running", "crashed"]


def test_a_living_scripts_files_are_its_own(home, environment, server):
    """Nothing of a script that still runs is taken, ended or removed."""
    path = leave(home, state_line("running"), where="live")
    with path.open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        assert rota("agent", "--once", environment=environment).returncode == 0
    assert path.read_bytes() == state_line("running")
    assert server.requests == []


@pytest.mark.parametrize("python", PYTHONS.values(), ids=PYTHONS)
def test_it_needs_nothing_but_the_standard_library(home, environment, server, python):
    """Shipping to a rota collector works under every CPython found here, without a single installed package."""
    leave(home, state_line("running"), span_line("x"))
    code = f"import sys; sys.path.append({str(SDK)!r}); from rota.cli import main; sys.exit(main(['agent', '--once']))"
    done = subprocess.run([python, "-I", "-S", "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert server.said() == ["running", "crashed"]


def test_an_empty_or_absent_home_is_well(tmp_path, environment):
    """Nothing to do is success, and makes nothing."""
    done = rota("agent", "--once", environment={**environment, "ROTA_HOME": str(tmp_path / "none")})
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "none").exists()


def test_what_cannot_be_delivered_stays(home, environment, server):
    """Exit status 1, still silent; the mark tells scripts not to start another one right away; the next time it arrives."""
    path = leave(home, state_line("succeeded"))
    server.answer = lambda path, body: Reply(503)
    done = rota("agent", "--once", environment=environment)
    assert (done.returncode, done.stderr) == (1, "")
    assert path.exists()
    assert (home / "spool/once.failed").exists()
    server.answer = lambda path, body: Reply()
    assert rota("agent", "--once", environment=environment).returncode == 0
    assert server.said() == ["succeeded"]


def test_it_says_what_it_does_when_asked(home, environment, server):
    """--verbose: what was shipped, what was set aside and where, why something was not delivered."""
    leave(home, state_line("succeeded"), b"damaged\n")
    done = rota("agent", "--once", "--verbose", environment=environment)
    kept, shipped = done.stderr.splitlines()
    assert kept == f"rota agent: 1 unusable lines of 1-00ff.logs.jsonl are kept in {home}/spool/bad"
    assert shipped == "rota agent: 1 lines shipped, 1 set aside"
    leave(home, state_line("succeeded"))
    server.answer = lambda path, body: Reply(401)
    done = rota("agent", "--once", "--verbose", environment=environment)
    assert done.returncode == 1
    assert done.stderr == f"rota agent: {server.url}/v1/logs answered 401. It stays in {home}/spool\n"


def test_one_works_on_a_home_at_a_time(home, environment, server):
    """The second waits for the first, and finds nothing left to do."""
    leave(home, state_line("succeeded"))
    is_open, is_busy = threading.Event(), threading.Event()

    def hang(path: str, body: bytes) -> Reply:
        is_busy.set()
        is_open.wait(PATIENCE_SECONDS)
        return Reply()

    server.answer = hang
    command = [sys.executable, "-m", "rota", "agent", "--once"]
    with subprocess.Popen(command, env=environment) as first:
        assert is_busy.wait(PATIENCE_SECONDS)
        with subprocess.Popen(command, env=environment) as second:
            poll(lambda: waits_for_a_lock(second.pid), "the second does not wait")
            is_open.set()
            assert (first.wait(PATIENCE_SECONDS), second.wait(PATIENCE_SECONDS)) == (0, 0)
    assert len(server.requests) == 1


def waits_for_a_lock(pid: int) -> bool:
    """Whether the kernel lists it among those that wait."""
    with open("/proc/locks", encoding="ascii") as locks:
        return any("->" in line and f" {pid} " in line for line in locks)


def test_a_resident_agent_is_left_to_it(home, environment, server):
    """Where an agent is at work, --once does nothing: the agent knows better how processes ended."""
    path = leave(home, state_line("running"))
    turn = Turn(str(home / "spool"), RESIDENT)
    assert turn.take()
    done = rota("agent", "--once", "--verbose", environment=environment)
    turn.give_back()
    assert (done.returncode, done.stderr) == (0, "rota agent: a resident agent ships this home\n")
    assert path.exists()
    assert server.requests == []


ASKS = """
import sys
from rota.agent.turn import RESIDENT, Turn
turn = Turn(sys.argv[1], RESIDENT)
turn.is_taken()
print(flush=True)
while True:
    turn.is_taken()
"""


def test_who_asks_for_the_resident_agent_is_not_taken_for_it(home, environment):
    """Two that start at once would each leave the home to the other."""
    turn = Turn(str(home / "spool"), RESIDENT)
    assert turn.take()
    turn.give_back()
    command = [sys.executable, "-c", ASKS, str(home / "spool")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as asking:
        assert asking.stdout is not None
        asking.stdout.readline()
        refused = sum(turn.is_taken() for _ in range(20_000))
        asking.kill()
    assert refused == 0


class Taker:
    """A shipper that takes everything."""

    def ship(self, signal: str, lines: list[bytes]) -> list[int]:
        return []


def test_a_script_that_ends_at_the_last_moment_is_not_forgotten(home, monkeypatch):
    """It found us at work and started nobody: so we look again after letting go."""
    leave(home, state_line("succeeded"))
    give_back = Turn.give_back
    late: list[Path] = []

    def give_back_late(turn: Turn) -> None:
        if not list((home / "spool/left").iterdir()) and not late:
            late.append(leave(home, state_line("succeeded"), name="2-00ff"))
        give_back(turn)

    monkeypatch.setattr(Turn, "give_back", give_back_late)
    carrier = Carrier(Taker(), lambda text: None)
    assert once.drain(str(home), carrier)
    assert late
    assert not late[0].exists()
    assert carrier.carried == 2
