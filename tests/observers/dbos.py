"""DBOS on SQLite: workflows in one process, then one look from outside."""

from __future__ import annotations

import subprocess
from pathlib import Path

from orchestrators import SOURCES, python_of

from observers.system import PROGRAMS, System


def run(scenarios: str, folder: Path, environment: dict[str, str]) -> None:
    """Workflows of these names."""
    work = folder / "work"
    command = [python_of("dbos"), str(PROGRAMS / "dbos_flow.py"), scenarios, str(work)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        if scenarios == "killed" and process.stdout is not None:
            assert process.stdout.readline() == "up\n"
            process.kill()
        _, said = process.communicate(timeout=300)
    assert process.returncode == (-9 if scenarios == "killed" else 0), said
    look(f"sqlite:///{work}/dbos.sqlite", environment)


def look(url: str, environment: dict[str, str]) -> None:
    """Look once at a database of DBOS's."""
    command = [python_of("dbos"), "-m", "rota", "observe", "dbos", "--once", "--database", url]
    where = environment | {"PYTHONPATH": SOURCES}
    done = subprocess.run(command, env=where, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


SYSTEMS = {
    "dbos": System(
        run,
        except_for={"skip": "DBOS has no such state"},
        instead={
            "retry": {"attempts": {"extract": ["succeeded"]}},  # a step is in its database once, when it is over
            "upstream": {"tasks": {"extract": "failed"}},  # what a workflow would have called next is known to its code only
            "killed": {"run": ["running"]},  # it goes on when its executor is back, and is PENDING until then
        },
        together=("success", "failure", "retry", "upstream", "cancel", "fan_out", "schedule"),
        tells_schedules=True,
    ),
}
