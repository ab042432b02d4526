"""`rota observe`, the command: how it ends, who may not look, and what is refused."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from collectors import clean_environment
from servers import rota

FOLLOWING = """
    import sys, time
    from rota_integrations.following import follow
    class Slow:
        def look(self, memory):
            print("looks", flush=True)
            sys.stdin.readline()
            memory["looks"] = 1
    sys.exit(follow("system", Slow(), 600.0))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_a_look_end_and_then_ends_the_process(tmp_path: Path, number: signal.Signals) -> None:
    """With exit status 0, and all that was learned."""
    environment = clean_environment(
        ROTA_HOME=str(tmp_path), ROTA_ENDPOINT="http://127.0.0.1:1", ROTA_AGENT="off", ROTA_DETACH="off"
    )
    command = [sys.executable, "-c", textwrap.dedent(FOLLOWING)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "looks\n"
        process.send_signal(number)
        process.communicate("\n", timeout=60)
    assert process.returncode == 0
    assert json.loads((tmp_path / "observers" / "system.json").read_text())["seen"] == {"looks": 1}


def test_a_second_observer_of_the_same_place_is_refused_and_one_after_a_kill_is_not(tmp_path: Path) -> None:
    """Two would write one memory. What `kill -9` ended holds nothing."""
    environment = clean_environment(
        ROTA_HOME=str(tmp_path), ROTA_ENDPOINT="http://127.0.0.1:1", ROTA_AGENT="off", ROTA_DETACH="off"
    )
    command = [sys.executable, "-c", textwrap.dedent(FOLLOWING)]
    for _ in range(2):
        with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "looks\n"
            second = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
            assert (second.returncode, second.stdout) == (1, "")
            assert "another `rota observe system` with this ROTA_HOME looks at the same place" in second.stderr
            process.kill()


def test_a_second_signal_does_not_wait_for_the_look(tmp_path: Path) -> None:
    """A system that hangs holds nobody."""
    environment = clean_environment(
        ROTA_HOME=str(tmp_path), ROTA_ENDPOINT="http://127.0.0.1:1", ROTA_AGENT="off", ROTA_DETACH="off"
    )
    looking = textwrap.dedent(FOLLOWING).replace("sys.stdin.readline()", "[time.sleep(0.05) for _ in range(2000)]")
    with subprocess.Popen([sys.executable, "-c", looking], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "looks\n"
        while process.poll() is None:
            process.send_signal(signal.SIGTERM)
    assert process.returncode == -signal.SIGTERM


@pytest.mark.parametrize("system", ["nothing", "luigi", "os.path", "../x"])
def test_a_system_that_cannot_be_looked_at_is_refused(system: str, tmp_path: Path) -> None:
    """The message lists those that can; luigi is seen from inside."""
    done = rota("observe", system, environment=clean_environment(ROTA_HOME=str(tmp_path)))
    assert done.returncode == 1
    assert f"no system {system!r}" in done.stderr
    assert "there are activebatch, azkaban, " in done.stderr


def test_a_system_that_needs_a_package_says_which(tmp_path: Path) -> None:
    """And how to install it; it is not here."""
    done = rota("observe", "temporal", environment=clean_environment(ROTA_HOME=str(tmp_path)))
    assert done.returncode == 1
    assert done.stderr.endswith("pip install 'rota[temporal]'\n")
    assert "Traceback" not in done.stderr


def test_no_time_between_two_looks_is_refused(tmp_path: Path) -> None:
    """With an example."""
    done = rota("observe", "step-functions", "--every", "0s", environment=clean_environment(ROTA_HOME=str(tmp_path)))
    assert (done.returncode, "Example: --every 5s" in done.stderr) == (1, True)
