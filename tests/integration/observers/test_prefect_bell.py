"""Prefect's events say when it is worth a look, as long as there is a connection; without one it is looked as often as ever."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from collectors import clean_environment, until
from observed import seen
from observers.prefect import OBSERVE, server
from observers.system import PROGRAMS
from orchestrators import SOURCES, python_of
from servers import free_ports
from standins.prefect_events import Events
from standins.serving import Answering, serving

from rota_integrations.prefect.bell import Bell

RINGING = """
    import os, sys
    from rota_integrations.prefect.bell import Bell
    # Not print: an interpreter that ends while a thread has the lock of stdout aborts.
    Bell(sys.argv[1], sys.argv[2], pause_seconds=0.02)(lambda: os.write(1, b"rings\\n"))
    sys.stdin.read()
"""


class Ringing:
    """A process with a bell, which says each time that it rings."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def rings(self) -> bool:
        """Wait until it does."""
        assert self._process.stdout is not None
        return self._process.stdout.readline() == "rings\n"

    def says(self) -> str:
        """Wait for a line on standard error."""
        assert self._process.stderr is not None
        return self._process.stderr.readline()

    def ends(self) -> str:
        """Its input ends, and so does it; what else it said on standard error."""
        _, said = self._process.communicate(timeout=60)
        assert self._process.returncode == 0
        return said


@contextmanager
def ringing(url: str, token: str = "") -> Iterator[Ringing]:
    """A bell for that address."""
    command = [sys.executable, "-c", textwrap.dedent(RINGING), url, token]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, env=clean_environment(), text=True, **pipes) as process:
        try:
            yield Ringing(process)
        finally:
            process.kill()


@pytest.fixture
def events() -> Iterator[Events]:
    """A stream of events that lets everybody in."""
    events = Events()
    with events.serving():
        yield events


# -- when it rings -----------------------------------------------------------------------------------------------------


def test_it_rings_once_connected_then_for_each_event_and_once_more(events: Events) -> None:
    """What happened before has no event; and what an event is about is in the server's database a moment after it."""
    with ringing(events.url) as bell:
        subscriber = events.subscriber()
        assert bell.rings()
        for _ in range(3):
            subscriber.send('{"type": "event"}')
            assert bell.rings()
        assert bell.rings()
        assert bell.ends() == ""


@pytest.mark.parametrize("message", ["", "no JSON", "[]", '{"type": "news"}', b"\xff\x00"])
def test_whatever_comes_rings(events: Events, message: str | bytes) -> None:
    """Nothing of it is read; so nothing of it can be wrong."""
    with ringing(events.url) as bell:
        subscriber = events.subscriber()
        assert bell.rings()
        subscriber.send(message)
        assert bell.rings()
        assert bell.ends() == ""


# -- who asks, and for what --------------------------------------------------------------------------------------------


FITS = """
import json, sys, uuid
from prefect.server.events.filters import EventFilter
from prefect.server.events.schemas.events import Event
wanted = EventFilter.model_validate(json.load(sys.stdin))
names = "flow-run.Running flow-run.Half_done task-run.Completed flow-run.heartbeat deployment.ready".split()
for name in names:
    event = Event(occurred=sys.argv[1], event="prefect." + name, resource={"prefect.resource.id": "x"}, id=uuid.uuid4())
    print(name, wanted.includes(event))
"""


def test_the_states_of_runs_are_asked_for_in_words_that_prefect_understands(events: Events) -> None:
    """Not its heartbeats, nor the past."""
    with ringing(events.url):
        events.subscriber()
    wanted = [events.said.get(timeout=60) for _ in range(2)][1]
    assert (wanted["type"], wanted["backfill"], events.asked.get()) == ("filter", False, "/api/events/out")
    between = wanted["filter"]["occurred"]["since"].replace(":00", ":01")
    command = [python_of("prefect"), "-c", FITS, between]
    done = subprocess.run(command, input=json.dumps(wanted["filter"]), capture_output=True, text=True, check=True)
    assert dict(line.split() for line in done.stdout.splitlines()) == {
        "flow-run.Running": "True", "flow-run.Half_done": "True", "task-run.Completed": "True", "flow-run.heartbeat": "False",
        "deployment.ready": "False",
    }  # fmt: skip


@pytest.mark.parametrize(
    "settings",
    [{"PREFECT_API_KEY": "pnu_1"}, {"PREFECT_API_AUTH_STRING": "admin:pass"}, {}],
)
def test_who_observes_says_who_it_is_as_prefect_s_client_does(events: Events, settings: dict[str, str], tmp_path: Path) -> None:
    """The key of Prefect Cloud, or the password of a server of one's own as it is."""
    where = clean_environment(ROTA_HOME=str(tmp_path), ROTA_ENDPOINT="http://127.0.0.1:1", ROTA_AGENT="off", ROTA_DETACH="off")
    with subprocess.Popen([*OBSERVE, "--url", events.url], env=where | settings, stderr=subprocess.DEVNULL) as observer:
        said = events.said.get(timeout=60)
        observer.terminate()
    assert said == {"type": "auth", "token": next(iter(settings.values()), None)}
    assert observer.returncode == 0


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def test_a_connection_that_is_lost_is_made_again(events: Events) -> None:
    """And it rings, as nobody knows what happened meanwhile."""
    with ringing(events.url) as bell:
        for _ in range(3):
            subscriber = events.subscriber()
            assert bell.rings()
            subscriber.close()
        events.subscriber()
        assert bell.rings()
        assert bell.ends() == ""


def test_a_server_that_is_away_is_found_when_it_is_there() -> None:
    """Without a word: that it is away the looks say."""
    (port,), events = free_ports(1), Events()
    with ringing(f"http://127.0.0.1:{port}/api") as bell:
        for _ in range(2):
            with events.serving(port):
                events.subscriber()
                assert bell.rings()
        assert bell.ends() == ""


def test_who_is_refused_says_so_once_and_tries_again() -> None:
    """With the server's own words; and without its password."""
    events = Events(password="admin:right")
    with events.serving(), ringing(events.url, "admin:wrong") as bell:
        assert "its stream of events is not understood, and left out (ConnectionClosed" in (said := bell.says())
        assert "Invalid token" in said
        assert "wrong" not in said
        for _ in range(5):  # tries
            events.said.get(timeout=60)
        events.password = "admin:wrong"
        events.subscriber()
        assert bell.rings()
        assert bell.ends() == ""


def test_a_server_without_events_is_said_once() -> None:
    """Or a proxy that lets no websocket through."""

    class Handler(Answering):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer(404, b"")

    with serving(Handler) as url, ringing(url + "/api") as bell:
        assert "HTTP 404" in bell.says()
        assert bell.ends() == ""


def test_without_the_package_it_never_rings(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """And says nothing: nobody has to install it."""
    monkeypatch.setitem(sys.modules, "websockets.sync.client", None)
    Bell("http://127.0.0.1:1/api", None)(pytest.fail)
    until(lambda: "prefect events" not in [thread.name for thread in threading.enumerate()], "its thread to end")
    assert capsys.readouterr().err == ""


# -- Prefect's own -----------------------------------------------------------------------------------------------------


@pytest.mark.soak
@pytest.mark.parametrize("password", [None, "admin:pass"])
def test_a_run_of_prefect_s_is_here_without_a_wait_for_the_next_look(password: str | None, tmp_path: Path) -> None:
    """Looks are so far apart that only its own events can have told."""
    home = tmp_path / "home"
    nobody = {"ROTA_AGENT": "off", "ROTA_DETACH": "off", "ROTA_ENDPOINT": "http://127.0.0.1:1", "ROTA_HOME": str(home)}
    secret = {"PREFECT_SERVER_API_AUTH_STRING": password, "PREFECT_API_AUTH_STRING": password} if password else {}
    with server(tmp_path / "prefect", clean_environment(**nobody, **secret)) as there:
        where = there | {"PYTHONPATH": SOURCES}
        with subprocess.Popen([*OBSERVE, "--every", "1h"], env=where) as observer:
            until(lambda: list(home.glob("observers/*.json")), "the first look")
            program = [python_of("prefect"), str(PROGRAMS / "prefect_flow.py"), "success"]
            subprocess.run(program, env=where, capture_output=True, check=True)
            until(lambda: [run.states[-1] for run in seen(home)] == ["succeeded"], "the run to be seen")
            observer.terminate()
