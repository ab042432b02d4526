"""Dagster: all steps in the process of the run, or each in one of its own."""

from __future__ import annotations

from observers.system import System, program

INSTEAD = {"skip": {"run": ["running", "succeeded"]}}  # a run whose steps are skipped has succeeded, for Dagster
TOGETHER = ("success", "failure", "retry", "skip", "upstream", "fan_out")

SYSTEMS = {
    "dagster": System(program("dagster"), instead=INSTEAD, together=(*TOGETHER, "schedule")),
    "dagster with step processes": System(
        program("dagster", EXECUTOR="multiprocess"),
        except_for={"schedule": "made as in one process", "killed": "the signal goes to one process of several"},
        instead=INSTEAD,
        together=TOGETHER,
        soak=(*TOGETHER, "cancel"),
    ),
}
