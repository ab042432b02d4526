"""Temporal: its development server, a worker, and a look from outside when all is over; or the worker tells itself."""

from __future__ import annotations

from observers.system import System, program

EXCEPT_FOR = {
    "skip": "a workflow of Temporal's does what its code says: it is never skipped",
    "killed": "a workflow outlives its workers: another one goes on with it",
}
INSTEAD = {"upstream": {"tasks": {"extract": "failed"}}}  # nobody knows what the code would have called
TOGETHER = ("success", "failure", "retry", "upstream", "fan_out", "cancel")

SYSTEMS = {
    "temporal": System(
        program("temporal"),
        except_for=EXCEPT_FOR,
        instead=INSTEAD,
        together=(*TOGETHER, "schedule"),
        tells_schedules=True,
    ),
    "temporal, inside": System(
        program("temporal", OBSERVED="inside"),
        except_for=EXCEPT_FOR | {"schedule": "a worker is not told of schedules: the server begins their workflows"},
        instead=INSTEAD,
        together=TOGETHER,
        soak=TOGETHER,  # each time, a worker and an observer that tell one run are tested together
    ),
}
