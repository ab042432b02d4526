"""The observer of DBOS, on its own databases: what the contract's scenarios do not show."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import postgres
import pytest
from collectors import clean_environment
from observed import seen
from observers.dbos import look
from observers.system import PROGRAMS
from orchestrators import SOURCES, python_of

from rota.foreign import Source
from rota.rules.fold import RunEvent
from rota_collector.decode.events import run_events
from rota_collector.journal import Record, Signal
from rota_integrations.dbos import Follower
from rota_integrations.dbos.database import Database, address
from rota_integrations.dbos.telling import Teller
from rota_integrations.states import table_of

FLOW = """
import os, sys, time
from dbos import DBOS

@DBOS.step()
def first(): ...

@DBOS.step()
def second():
    print("up", flush=True)
    time.sleep(60 if sys.argv[2] == "begin" else 0)

@DBOS.workflow()
def nightly():
    first()
    second()

DBOS(config={"name": "flow", "system_database_url": sys.argv[1], "run_admin_server": False, "log_level": "CRITICAL"})
DBOS.launch()
if sys.argv[2] == "begin":
    DBOS.start_workflow(nightly)
elif sys.argv[2] == "resume":
    DBOS.resume_workflow(sys.argv[3])
for each in DBOS.list_workflows():
    DBOS.retrieve_workflow(each.workflow_id).get_result(polling_interval_sec=0.05)
DBOS.destroy()
"""
CANCEL = """
import sys
from dbos import DBOSClient
client = DBOSClient(system_database_url=sys.argv[1])
for each in client.list_workflows():
    client.cancel_workflow(each.workflow_id)
    print(each.workflow_id)
client.destroy()
"""


@pytest.fixture
def told(tmp_path: Path) -> dict[str, str]:
    """The environment of an observer whose spool stays where it is."""
    nobody = {"ROTA_AGENT": "off", "ROTA_DETACH": "off", "ROTA_ENDPOINT": "http://127.0.0.1:1"}
    return clean_environment(ROTA_HOME=str(tmp_path / "home"), **nobody)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Of a database that DBOS makes; where a scenario has left an empty one, of a copy of that, as its tables take seconds."""
    empty = Path(python_of("dbos")).parents[1] / "empty.sqlite"
    if empty.exists():
        shutil.copy(empty, tmp_path / "dbos.sqlite")
    return f"sqlite:///{tmp_path}/dbos.sqlite"


@pytest.fixture
def begun(tmp_path: Path, url: str) -> Iterator[subprocess.Popen[str]]:
    """An application whose workflow is in its second step, and stays there."""
    del tmp_path
    command = [python_of("dbos"), "-c", FLOW, url, "begin"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield process
        process.kill()


def test_who_goes_on_looking_tells_what_is_new(begun: subprocess.Popen[str], url: str) -> None:
    """And nothing where there is nothing; a restart between two looks tells what is open again, and adds what it missed."""
    source, memory = Kept(), dict[str, Any]()
    following = follower_of(url, source)
    following.look(memory)
    assert source.taken() == ["first succeeded", "nightly running"]
    following.look(memory)
    assert source.taken() == []
    begun.kill()
    in_dbos(FLOW, url, "go on")
    again = follower_of(url, source)
    again.look(json.loads(json.dumps(memory)))
    assert source.taken() == ["first succeeded", "second succeeded", "nightly running", "nightly succeeded"]
    following.look(memory)
    assert source.taken() == ["second succeeded", "nightly running", "nightly succeeded"]
    following.look(memory)
    assert source.taken() == []


def test_a_recovery_is_another_attempt_and_steps_are_told_once(
    begun: subprocess.Popen[str], tmp_path: Path, url: str, told: dict[str, str]
) -> None:
    """Each look in a process of its own; the last one has lost its memory, and tells nothing that was not told."""
    look(url, told)
    assert states(tmp_path) == [(1, "running")]
    begun.send_signal(signal.SIGKILL)
    in_dbos(FLOW, url, "go on")
    look(url, told)
    assert states(tmp_path) == [(1, "running"), (2, "running"), (2, "succeeded")]
    ids = {event.event_id for event in events(tmp_path)}
    shutil.rmtree(tmp_path / "home" / "observers")
    look(url, told)
    assert {event.event_id for event in events(tmp_path)} == ids
    (run,) = seen(tmp_path / "home")
    assert {name: list(task.attempts.values()) for name, task in run.tasks.items()} == {
        "first": [{1: "succeeded"}],
        "second": [{1: "succeeded"}],
    }


@pytest.mark.soak
def test_one_that_is_resumed_after_its_cancellation_is_another_attempt(
    begun: subprocess.Popen[str], tmp_path: Path, url: str, told: dict[str, str]
) -> None:
    """Which DBOS counts as its first."""
    look(url, told)
    (run_id,) = in_dbos(CANCEL, url)
    begun.send_signal(signal.SIGKILL)
    look(url, told)
    in_dbos(FLOW, url, "resume", run_id)
    look(url, told)
    assert states(tmp_path) == [(1, "running"), (1, "cancelled"), (2, "running"), (2, "succeeded")]


@pytest.mark.soak
def test_a_workflow_that_is_deleted_while_it_is_open_has_ended(
    begun: subprocess.Popen[str], tmp_path: Path, url: str, told: dict[str, str]
) -> None:
    """How, nobody knows any more."""
    look(url, told)
    begun.kill()
    in_dbos(CANCEL.replace("cancel_workflow(", "delete_workflow("), url)
    look(url, told)
    assert states(tmp_path) == [(1, "running"), (1, "ended")]


def test_a_database_of_postgresql_is_read_as_one_of_sqlite_is(tmp_path: Path, told: dict[str, str]) -> None:
    """With the tables in their schema."""
    with postgres.running() as where:
        port = where.split("port=")[1].split()[0]
        url = f"postgresql://rota@127.0.0.1:{port}/postgres"
        program = [str(PROGRAMS / "dbos_flow.py"), "success failure cancel schedule", str(tmp_path)]
        environment = told | {"DBOS_SYSTEM_DATABASE_URL": url}
        done = subprocess.run([python_of("dbos"), *program], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        look(url, told)
    runs = {run.workflow: run for run in seen(tmp_path / "home")}
    assert {name: run.states[-1] for name, run in runs.items()} == {
        "success": "succeeded",
        "failure": "failed",
        "cancel": "cancelled",
        "schedule": "succeeded",
    }
    assert runs["failure"].tasks["load"].errors == ["ValueError: row 7"]
    assert runs["schedule"].declared["schedule"] == "0 2 * * *"


@pytest.mark.parametrize(
    ("database", "said"),
    [
        ("sqlite:///{folder}/none.sqlite", "unable to open database file"),
        ("sqlite:///{folder}/other.sqlite", "other.sqlite has no workflow_status (completed_at"),
        ("postgresql://rota:secret@127.0.0.1:1/dbos", "postgresql://rota:***@127.0.0.1:1/dbos: connection"),
        ("secret", "argument --database: this is no URL. Example: sqlite:///dbos.sqlite"),
        ("mysql://rota:secret@127.0.0.1/dbos", "argument --database: DBOS has no mysql: it is sqlite or postgresql"),
    ],
)
def test_a_database_that_cannot_be_read_is_said(database: str, said: str, tmp_path: Path, told: dict[str, str]) -> None:
    """And none is made; no password is shown."""
    (tmp_path / "other.sqlite").touch()
    where = database.format(folder=tmp_path)
    command = [python_of("dbos"), "-m", "rota", "observe", "dbos", "--once", "--database", where]
    done = subprocess.run(command, env=told | {"PYTHONPATH": SOURCES}, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert said in done.stderr
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "none.sqlite").exists()


def test_each_status_that_dbos_has_is_in_the_table() -> None:
    """As the installed version has them."""
    words = in_dbos("from dbos._sys_db import WorkflowStatusString as S\nfor each in S: print(each.value)")
    assert "PENDING" in words
    assert [word for word in words if (table_of("dbos").of_run(word).reason or "").startswith("unknown")] == []


class Kept(Source):
    """Keeps what it is to tell."""

    def __init__(self) -> None:
        super().__init__("dbos")
        self._told: list[str] = []

    def run(self, workflow: str, key: Any, state: str, at_ns: int, **more: Any) -> None:
        self._told.append(f"{workflow} {state}")

    def task(self, workflow: str, key: Any, task: str, state: str, at_ns: int, **more: Any) -> None:
        self._told.append(f"{task} {state}")

    def taken(self) -> list[str]:
        """What was told since the last time."""
        told, self._told = self._told, []
        return told


def follower_of(url: str, source: Source) -> Follower:
    return Follower(Database(address(url)), Teller(source), since_seconds=3600)


def in_dbos(program: str, *words: str) -> list[str]:
    """The lines that a program prints in DBOS's environment."""
    done = subprocess.run([python_of("dbos"), "-c", program, *words], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def events(folder: Path) -> list[RunEvent]:
    lines = [line for path in (folder / "home" / "spool").rglob("*.logs.jsonl") for line in path.read_bytes().splitlines()]
    return run_events([Record(0, 0, Signal.LOGS_JSON, 0, line) for line in lines])


def states(folder: Path) -> list[tuple[int, str]]:
    """(attempt, state), each once, in the order of DBOS's own times."""
    rank: Callable[[Any], Any] = lambda event: (event.attempt, event.at_ns, event.state != "running")  # noqa: E731
    return list(dict.fromkeys((event.attempt, event.state) for event in sorted(events(folder), key=rank)))
