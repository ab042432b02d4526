"""The observer of Airflow, and its sensor: what the contract's scenarios do not show."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bench.servers import reserved
from collectors import CollectorProcess, clean_environment, until
from observed import seen
from observers.system import PROGRAMS
from orchestrators import SOURCES, installed, python_of

ASK = """
import sys
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from rota_integrations.airflow.gates import RotaSensor
for workflow in sys.argv[1:]:
    try:
        print(RotaSensor(task_id="wait", workflow=workflow, wait_seconds=1).poke({}))
    except (AirflowFailException, AirflowSkipException) as error:
        print(type(error).__name__, error)
"""
TIMETABLES = """
from datetime import timedelta
from types import SimpleNamespace
from airflow.timetables.interval import CronDataIntervalTimetable, DeltaDataIntervalTimetable
from airflow.timetables.simple import ContinuousTimetable, NullTimetable, OnceTimetable
from airflow.timetables.trigger import CronTriggerTimetable, DeltaTriggerTimetable
from rota_integrations.airflow.schedules import declared
for timetable in (
    CronTriggerTimetable("0 2 * * *", timezone="Europe/Berlin"), CronDataIntervalTimetable("@daily", timezone="UTC"),
    DeltaDataIntervalTimetable(timedelta(minutes=10)), DeltaTriggerTimetable(timedelta(hours=1)),
    NullTimetable(), OnceTimetable(), ContinuousTimetable(), None,
):
    print(list(declared(SimpleNamespace(timetable=timetable)).values()))
"""


def in_airflow(folder: Path, program: str, *words: str, **settings: str) -> list[str]:
    """The lines that a program prints in Airflow's environment."""
    home = {"AIRFLOW_HOME": str(folder / "airflow"), "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
    environment = clean_environment(PYTHONPATH=SOURCES, ROTA_HOME=str(folder / "home"), **home, **settings)
    command = [python_of("airflow"), "-W", "ignore", "-c", program, *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_sensor_waits_until_the_gates_of_a_workflow_are_open(shared_collector: CollectorProcess, tmp_path: Path) -> None:
    """It goes on, waits, skips, or fails for good, as rota's policy says; and waits while nobody can tell."""
    nothing: dict[str, Any] = {"kind": "probe", "file": str(tmp_path / "nothing")}
    for workflow, gate in {
        "sensed.go": {"kind": "concurrency", "limit": 1},
        "sensed.wait": nothing,
        "sensed.skip": nothing | {"wait_at_most": "100ms", "otherwise": "skip"},
        "sensed.deny": nothing | {"wait_at_most": "100ms"},
    }.items():
        shared_collector.put(f"/api/v1/workflows/{workflow}/policy", {"gates": [gate]})
    names = ("sensed.go", "sensed.wait", "sensed.skip", "sensed.deny")
    told = in_airflow(tmp_path, ASK, *names, ROTA_ENDPOINT=shared_collector.url)
    assert told[:2] == ["True", "False"]
    assert [line.split()[0] for line in told[2:]] == ["AirflowSkipException", "AirflowFailException"]
    assert "nothing is not there" in told[3]
    assert in_airflow(tmp_path, ASK, "sensed.go", ROTA_ENDPOINT="http://127.0.0.1:9") == ["False"]


def test_the_schedule_of_each_timetable(tmp_path: Path) -> None:
    """Cron with its zone, an interval; others have none that rota could know a miss by."""
    assert in_airflow(tmp_path, TIMETABLES) == [
        "['0 2 * * *', 'Europe/Berlin']", "['0 0 * * *', 'UTC']", "['every 600s']", "['every 3600s']", "[]", "[]", "[]", "[]",
    ]  # fmt: skip


SCHEDULED = """
import json
from airflow.models.dag import DagModel
from airflow.utils.session import create_session
from rota_integrations.airflow import schedules

class Recorder:
    def schedule(self, workflow, declared, at_ns):
        said[workflow] = list(declared.values())

def look():
    global said
    said, looking._looked_at = {}, float("-inf")
    with create_session() as session:
        looking.look(session)
    told.append(said)

def change(dag_id, **what):
    with create_session() as session:
        for name, value in what.items():
            setattr(session.get(DagModel, dag_id), name, value)

told, looking = [], schedules.Schedules(Recorder())
look()
for dag_id in ("nightly", "daily", "often", "by_hand"):
    change(dag_id, is_paused=False)
look()
look()
change("daily", is_paused=True)
change("often", is_stale=True)
look()
told.append([looking.is_idle("daily"), looking.is_idle("nightly")])
change("daily", is_paused=False)
look()
print(json.dumps(told))
"""
PAUSED = """
from datetime import datetime, timedelta
from airflow.sdk import DAG
from airflow.timetables.trigger import CronTriggerTimetable

nightly = CronTriggerTimetable("0 2 * * *", timezone="Europe/Berlin")
for name, schedule in {"nightly": nightly, "daily": "@daily", "often": timedelta(minutes=10), "by_hand": None}.items():
    globals()[name] = DAG(name, schedule=schedule, start_date=datetime(2026, 1, 1), catchup=False)
"""


def test_schedules_are_told_of_dags_that_never_ran_and_taken_back_when_they_are_paused(tmp_path: Path) -> None:
    """As Airflow's own database has them; what did not change is not told again."""
    python, folder = python_of("airflow"), tmp_path / "airflow"
    (folder / "dags").mkdir(parents=True)
    (folder / "dags" / "dags.py").write_text(PAUSED)
    where = {"AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags")}
    environment = clean_environment(AIRFLOW_HOME=str(folder), ROTA_DISABLED="1", **where)
    for command in (["db", "migrate"], ["dags", "reserialize"]):
        subprocess.run([python, "-m", "airflow", *command], env=environment, check=True, capture_output=True, timeout=120)
    assert json.loads(in_airflow(tmp_path, SCHEDULED, **where)[-1]) == [
        {},
        {"nightly": ["0 2 * * *", "Europe/Berlin"], "daily": ["0 0 * * *", "UTC"], "often": ["every 600s"]},
        {},
        {"daily": [], "often": []},
        [True, False],
        {"daily": ["0 0 * * *", "UTC"]},
    ]


def test_airflow_goes_on_as_ever_where_rota_cannot(tmp_path: Path) -> None:
    """With a home that cannot be one, and nobody to tell: a DAG runs to its end, and nothing is said of rota."""
    (tmp_path / "home").write_text("a file")
    where = clean_environment(
        PYTHONPATH=installed(tmp_path / "installed"), ROTA_HOME=str(tmp_path / "home"), ROTA_ENDPOINT="http://127.0.0.1:9",
        ROTA_DETACH="off", ROTA_AGENT="off",
    )  # fmt: skip
    command = [python_of("airflow"), str(PROGRAMS / "airflow_flow.py"), "success", str(tmp_path / "work")]
    done = subprocess.run(command, env=where, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "rota" not in done.stderr


MINUTELY = """
import os
from datetime import datetime, timedelta
from airflow.sdk import DAG, task
from airflow.timetables.trigger import CronTriggerTimetable

@task(retries=1, retry_delay=timedelta(seconds=1))
def extract(**context):
    if context["ti"].try_number == 1:
        raise ValueError("row 7")

@task
def load():
    raise OSError("disk")

@task
def report(): ...

@task
def killed():
    os.kill(os.getpid(), 9)

every_minute = CronTriggerTimetable("* * * * *", timezone="Europe/Berlin")
with DAG("minutely", schedule=every_minute, start_date=datetime(2026, 1, 1), catchup=False):
    extract() >> load() >> report()
    killed()
"""


@contextmanager
def standalone(folder: Path, dags: str) -> Iterator[Path]:
    """A whole Airflow with these DAGs, and what tells of it; the home of rota in its processes."""
    (folder / "dags").mkdir()
    (folder / "dags" / "dags.py").write_text(dags)
    python, home = python_of("airflow"), folder / "home"
    with reserved() as port:
        pass
    url = f"http://127.0.0.1:{port}"
    core = {"DAGS_FOLDER": str(folder / "dags"), "LOAD_EXAMPLES": "False", "DAGS_ARE_PAUSED_AT_CREATION": "False"}
    core |= {"EXECUTOR": "LocalExecutor", "EXECUTION_API_SERVER_URL": f"{url}/execution/"}
    settings = {f"AIRFLOW__CORE__{name}": value for name, value in core.items()}
    settings |= {"AIRFLOW__API__HOST": "127.0.0.1", "AIRFLOW__API__PORT": str(port), "AIRFLOW__API__BASE_URL": url}
    environment = clean_environment(
        AIRFLOW_HOME=str(folder / "airflow"), PATH=f"{Path(python).parent}:{os.environ['PATH']}", ROTA_HOME=str(home),
        PYTHONPATH=installed(folder / "installed"), ROTA_ENDPOINT="http://127.0.0.1:9", ROTA_AGENT="off", ROTA_DETACH="off",
        **settings,
    )  # fmt: skip
    command = [python, "-m", "airflow", "standalone"]
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        yield home
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.soak
def test_a_scheduler_and_its_workers_tell_of_one_run(tmp_path: Path) -> None:
    """Each process its part, also of a task whose process was killed; the run is for its slot, and its DAG has a schedule."""
    with standalone(tmp_path, MINUTELY) as home:

        def over() -> list[str]:
            lines = [line for path in home.rglob("*.jsonl") for line in path.read_text().splitlines()]
            return [line for line in lines if '"rota.run.state","value":{"stringValue":"failed"}' in line]

        (line,) = until(over, "a run to end", 300)[:1]
    run = next(run for run in seen(home) if "failed" in run.states)
    assert (run.workflow, run.states) == ("minutely", ["running", "failed"])
    assert (run.declared["schedule"], run.declared["tz"]) == ("* * * * *", "Europe/Berlin")
    assert run.tasks["extract"].attempts[""] == {1: "failed", 2: "succeeded"}
    assert (run.tasks["load"].last, run.tasks["load"].errors) == ({"failed"}, ["OSError: disk"])
    assert (run.tasks["report"].last, run.tasks["killed"].last) == ({"upstream_failed"}, {"failed"})
    (slot,) = set(re.findall(r'"rota.slot","value":{"intValue":"(\d+)"', line))
    assert int(slot) % (60 * 10**9) == 0
