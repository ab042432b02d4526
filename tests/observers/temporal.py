"""Temporal: its development server, a worker, and a look from outside when all is over."""

from __future__ import annotations

from observers.system import System, program

SYSTEMS = {
    "temporal": System(
        program("temporal"),
        except_for={
            "skip": "a workflow of Temporal's does what its code says: it is never skipped",
            "killed": "a workflow outlives its workers: another one goes on with it",
        },
        instead={"upstream": {"tasks": {"extract": "failed"}}},  # nobody knows what the code would have called
        together=("success", "failure", "retry", "upstream", "fan_out", "cancel", "schedule"),
    )
}
