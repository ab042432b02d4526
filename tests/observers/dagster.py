"""Dagster: all steps in the process of the run, or each in one of its own; or its history, looked at from outside."""

from __future__ import annotations

import subprocess
from pathlib import Path

from orchestrators import SOURCES, python_of

from observers.system import System, program

INSTEAD = {"skip": {"run": ["running", "succeeded"]}}  # a run whose steps are skipped has succeeded, for Dagster
FROM_OUTSIDE = {"cancel": {"run": ["running", "cancelling", "cancelled"]}}  # the wish is in the history, before the end
TOGETHER = ("success", "failure", "retry", "skip", "upstream", "fan_out")


def history(scenario: str, folder: Path, environment: dict[str, str]) -> None:
    """The runs are over when somebody looks."""
    program("dagster", OBSERVED="no")(scenario, folder, environment)
    command = [python_of("dagster"), "-m", "rota", "observe", "dagster", "--once"]
    where = environment | {"PYTHONPATH": SOURCES, "DAGSTER_HOME": str(folder / "work" / "dagster")}
    subprocess.run(command, env=where, check=True, timeout=60)


SYSTEMS = {
    "dagster": System(program("dagster"), instead=INSTEAD, together=(*TOGETHER, "schedule")),
    "dagster with step processes": System(
        program("dagster", EXECUTOR="multiprocess"),
        except_for={"schedule": "made as in one process", "killed": "the signal goes to one process of several"},
        instead=INSTEAD,
        soak=(*TOGETHER, "cancel"),
    ),
    "dagster by its history": System(
        history,
        except_for={
            "schedule": "an instance keeps no time zone with a schedule",
            "killed": "the run stays STARTED until Dagster's own monitoring looks after it, which is what is told",
        },
        instead=INSTEAD | FROM_OUTSIDE,
        together=TOGETHER,
        soak=("cancel",),
    ),
}
