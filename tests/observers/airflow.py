"""Airflow: `dags test` in one process for all; rota is found by its entry point."""

from __future__ import annotations

import subprocess
from pathlib import Path

from orchestrators import installed, python_of

from observers.system import PROGRAMS, System


def run(scenarios: str, folder: Path, environment: dict[str, str]) -> None:
    """DAGs of these names."""
    command = [python_of("airflow"), str(PROGRAMS / "airflow_flow.py"), scenarios, str(folder / "work")]
    where = environment | {"PYTHONPATH": installed(folder / "installed")}
    done = subprocess.run(command, env=where, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr


SYSTEMS = {
    "airflow": System(
        run,
        except_for={
            "cancel": "Airflow has no such state: a run that somebody ends has failed",
            "killed": "a worker that dies is found out by the scheduler, which fails its task: there is none in `dags test`",
        },
        instead={
            "skip": {"run": ["running", "succeeded"]},  # tasks are skipped, never the run
        },
        together=("success", "failure", "retry", "skip", "upstream", "fan_out", "schedule"),
    ),
}
