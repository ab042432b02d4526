"""Flyte 2: its local runs."""

from __future__ import annotations

from observers.system import System, program

SYSTEMS = {
    "flyte": System(
        program("flyte"),
        together=("success", "failure", "retry", "skip", "upstream", "fan_out"),
        except_for={"schedule": "its triggers are the platform's: they start no local run"},
        instead={
            # Flyte does not skip: what is there already comes from its cache, and counts as done
            "skip": {"run": ["running", "succeeded"], "tasks": {"load": "succeeded"}},
            # a task is known once it is called, and after the failure nobody calls it
            "upstream": {"tasks": {"extract": "failed"}},
        },
    ),
}
