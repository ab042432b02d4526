"""Flyte 2 and Flyte 1 (flytekit): their local runs."""

from __future__ import annotations

from observers.system import System, program

NO_SCHEDULE = "its triggers and launch plans are the platform's: they start no local run"
# Flyte does not skip: what is there already comes from its cache, and counts as done
CACHED = {"run": ["running", "succeeded"], "tasks": {"load": "succeeded"}}
_WHERE = "Error encountered while executing 'load':\n  "  # what flytekit puts before an error's own text

SYSTEMS = {
    "flyte": System(
        program("flyte"),
        together=("success", "failure", "retry", "skip", "upstream", "fan_out"),
        except_for={"schedule": NO_SCHEDULE},
        # a task is known once it is called, and after the failure nobody calls it
        instead={"skip": CACHED, "upstream": {"tasks": {"extract": "failed"}}},
    ),
    "flytekit": System(
        program("flytekit"),
        together=("success", "failure", "skip", "upstream", "fan_out"),
        except_for={"schedule": NO_SCHEDULE, "retry": "retries are the platform's: local runs ignore them"},
        instead={"skip": CACHED, "failure": {"error": {"load": f"ValueError: {_WHERE}row 7"}}},
    ),
}
