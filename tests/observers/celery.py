"""Celery: a worker that forks processes, or has threads; its broker is a folder."""

from __future__ import annotations

from typing import Any

from observers.system import System, program

TOGETHER = ("success", "failure", "retry", "skip", "upstream", "fan_out", "schedule")
INSTEAD: dict[str, dict[str, Any]] = {
    "schedule": {"run": ["queued", "running", "succeeded"]},  # beat tells that it was sent
}

SYSTEMS = {
    "celery": System(
        program("celery"),
        except_for={"killed": "the signal goes to one process of several"},
        instead=INSTEAD,
        together=(*TOGETHER, "cancel"),
        tells_schedules=True,
    ),
    "celery with threads": System(
        program("celery", POOL="threads"),
        except_for={"cancel": "a thread cannot be ended"},
        instead=INSTEAD,
        together=TOGETHER,
        soak=(*TOGETHER, "killed"),
        tells_schedules=True,
    ),
}
