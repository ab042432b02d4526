"""Flyte 1 (flytekit): its local runs."""

from __future__ import annotations

from observers.system import System, program

_WHERE = "Error encountered while executing 'load':\n  "  # what flytekit puts before an error's own text

SYSTEMS = {
    "flytekit": System(
        program("flytekit"),
        together=("success", "failure", "skip", "upstream", "fan_out"),
        except_for={
            "schedule": "its launch plans are the platform's: they start no local run",
            "retry": "retries are the platform's: local runs ignore them",
        },
        instead={
            # Flyte does not skip: what is there already comes from its cache, and counts as done
            "skip": {"run": ["running", "succeeded"], "tasks": {"load": "succeeded"}},
            "failure": {"error": {"load": f"ValueError: {_WHERE}row 7"}},
        },
    ),
}
