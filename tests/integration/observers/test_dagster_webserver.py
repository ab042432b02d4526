"""Dagster's schedules, which its webserver knows and its database does not."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from collectors import clean_environment, until
from orchestrators import SOURCES, python_of
from scripts import Outcome, read_back
from servers import free_ports

from rota.wire import names

DEFINITIONS = """
from dagster import *
@op
def load(): pass
@job
def nightly(): load()
@job
def paused(): load()
@job
def twice(): load()
@job
def many(): load()
@job
def never(): load()
on = DefaultScheduleStatus.RUNNING
defs = Definitions(jobs=[nightly, paused, twice, many, never], schedules=[
    ScheduleDefinition(job=nightly, cron_schedule="30 2 * * *", execution_timezone="Europe/Berlin", default_status=on),
    ScheduleDefinition(job=paused, cron_schedule="0 3 * * *"),
    ScheduleDefinition(job=twice, cron_schedule=["0 3 * * *", "0 4 * * *"], default_status=on),
    ScheduleDefinition(name="a", job=many, cron_schedule="0 3 * * *", default_status=on),
    ScheduleDefinition(name="b", job=many, cron_schedule="0 4 * * *", default_status=on),
])
"""


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ``dagster.yaml``."""
    folder = tmp_path_factory.mktemp("instance")
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return folder


@pytest.fixture(scope="module")
def webserver(instance: Path) -> Iterator[str]:
    """The address of one that has these definitions."""
    (instance / "defs.py").write_text(DEFINITIONS)
    (port,) = free_ports(1)
    command = [python_of("dagster"), "-m", "dagster_webserver", "-f", "defs.py", "-h", "127.0.0.1", "-p", str(port)]
    environment = clean_environment(DAGSTER_HOME=str(instance))
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, cwd=instance, stdout=quiet, stderr=quiet) as process:
        until(lambda: _answers(f"http://127.0.0.1:{port}/server_info"), "the webserver to be there")
        yield f"http://127.0.0.1:{port}"
        process.terminate()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def observe(home: Path, instance: Path, webserver: str, status: int = 0) -> tuple[Outcome, str]:
    """What is told, and what is said, when the instance is looked at once."""
    nobody = {"ROTA_AGENT": "off", "ROTA_DETACH": "off", "ROTA_ENDPOINT": "http://127.0.0.1:1"}
    environment = clean_environment(ROTA_HOME=str(home), PYTHONPATH=SOURCES, **nobody)
    options = ["--dagster-home", str(instance), "--webserver", webserver]
    command = [python_of("dagster"), "-m", "rota", "observe", "dagster", "--once", *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == status, done.stderr
    return read_back(Outcome(0, b"", b"", home)), done.stderr


def test_a_job_that_never_ran_has_its_schedule(instance: Path, webserver: str, tmp_path: Path) -> None:
    """One whose schedule is off, that has several times or several schedules, has none."""
    found, said = observe(tmp_path, instance, webserver + "/")
    assert said == ""
    told = {each[names.WORKFLOW]: (each[names.SCHEDULE_SPEC], each[names.SCHEDULE_TZ]) for each in found.events}
    assert told == {"nightly": ("30 2 * * *", "Europe/Berlin")}


@pytest.mark.parametrize("path", ["/nothing", ""], ids=["no webserver", "nobody"])
def test_without_a_webserver_the_history_is_told(path: str, instance: Path, webserver: str, tmp_path: Path) -> None:
    """What is wrong with the address is said."""
    _, said = observe(tmp_path, instance, webserver + path if path else "http://127.0.0.1:1")
    assert "rota observe dagster: what is scheduled is not understood, and left out" in said
    assert "Traceback" not in said


def test_an_address_that_is_none_is_refused(instance: Path, tmp_path: Path) -> None:
    """With one that would do."""
    _, said = observe(tmp_path, instance, "dagster:3000", status=2)
    assert "'dagster:3000' is no address: write it like http://127.0.0.1:3000" in said
