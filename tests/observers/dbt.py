"""dbt: seen by a callback in its process, and from outside by its log."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from orchestrators import SOURCES, python_of

from observers.system import ENDED_BY, System, program

EXCEPT_FOR = {"schedule": "dbt has none: cron starts it"}
INSTEAD = {
    "failure": {"error": {"load": "Runtime Error: Invalid Input Error: row 7"}},  # what dbt says of what DuckDB says
    "retry": {"run": ["running", "failed", "succeeded"]},  # by `dbt retry`, a further attempt of the run
    "skip": {"tasks": {}},  # what is not selected is no part of the invocation
    "fan_out": {"parts": {"extract": 4}},  # three batches, and the model that they make
}
TOGETHER = ("success", "failure", "retry", "upstream", "skip", "fan_out")


def by_log(scenario: str, folder: Path, environment: dict[str, str]) -> None:
    """The command logs as JSON, which is looked at when it is over; when it is to be ended, also before."""
    log = environment | {"PYTHONPATH": "", "BY": "log", "DBT_LOG_FORMAT_FILE": "json"}
    flow = Path(__file__).parents[1] / "contract" / "observers" / "programs" / "dbt_flow.py"
    command = [python_of("dbt"), str(flow), scenario, str(folder / "work")]
    with subprocess.Popen(command, env=log, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        if scenario in ENDED_BY and process.stdout is not None:
            assert process.stdout.readline() == "up\n"
            observe(scenario, folder, environment)
            os.kill(process.pid, ENDED_BY[scenario])
        process.communicate(timeout=120)
    for each in scenario.split():
        observe(each, folder, environment)


def observe(scenario: str, folder: Path, environment: dict[str, str]) -> None:
    """One look at the project of a scenario."""
    command = [sys.executable, "-m", "rota", "observe", "dbt", "--once", "--workflow", scenario]
    where = environment | {"PYTHONPATH": SOURCES}
    subprocess.run([*command, "--project", str(folder / "work" / scenario)], env=where, check=True, timeout=60)


SYSTEMS = {
    "dbt": System(program("dbt"), except_for=EXCEPT_FOR, instead=INSTEAD, together=TOGETHER, soak=("killed",)),
    # A log that was recorded is read each time: tests/integration/observers/test_dbt.py.
    "dbt by its log": System(by_log, except_for=EXCEPT_FOR, instead=INSTEAD, together=TOGETHER, soak=(*TOGETHER, "cancel")),
}
