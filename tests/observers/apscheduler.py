"""APScheduler: jobs in threads, in processes, on an event loop."""

from __future__ import annotations

from typing import Any

from observers.system import System, program

NOT_THERE = {
    "retry": "APScheduler runs a job again at its next time only",
    "upstream": "no job depends on another",
    "fan_out": "a job is one call",
}
TOGETHER = ("success", "failure", "skip", "schedule")
INSTEAD: dict[str, dict[str, Any]] = {
    "success": {"tasks": {}},  # a job has no parts
    "failure": {"tasks": {}, "error": {}},
    "skip": {"run": ["skipped"], "tasks": {}},  # it is left out before it begins
}

SYSTEMS = {
    "apscheduler": System(
        program("apscheduler"),
        except_for=NOT_THERE | {"cancel": "a thread cannot be ended"},
        instead=INSTEAD,
        together=TOGETHER,
    ),
    "apscheduler with processes": System(
        program("apscheduler", POOL="processes"),
        except_for=NOT_THERE | {"cancel": "it has no way to end a job", "killed": "the signal goes to one process of several"},
        instead=INSTEAD,
        together=TOGETHER,
    ),
    "apscheduler on an event loop": System(
        program("apscheduler", POOL="loop"), except_for=NOT_THERE, instead=INSTEAD, together=TOGETHER
    ),
}
