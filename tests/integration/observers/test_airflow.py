"""The observer of Airflow, and its sensor: what the contract's scenarios do not show."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from collectors import CollectorProcess, clean_environment
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
from rota_integrations.airflow.telling import declared
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
