"""A source that keeps what it is asked to tell, in the order of asking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rota.foreign import Source


class Telling(Source):
    """Keeps; the states are checked as a real one checks them, and the ids are its ids."""

    def __init__(self, system: str, ends_with_process: bool = False) -> None:
        super().__init__(system, ends_with_process)
        self.runs: list[dict[str, Any]] = []
        self.tasks: list[dict[str, Any]] = []

    def run(self, workflow: str, key: Sequence[str], state: str, at_ns: int, **more: Any) -> None:
        self.runs.append({"workflow": workflow, "run": self.run_id(key), "state": state, "at_ns": at_ns, **_said(more)})

    def task(self, workflow: str, key: Sequence[str], task: str, state: str, at_ns: int, **more: Any) -> None:
        self.tasks.append({"run": self.run_id(key), "task": task, "state": state, "at_ns": at_ns, **_said(more)})

    @property
    def ended(self) -> list[tuple[str, str, int, str]]:
        """(task, instance, attempt, state) of all that is over."""
        over = [each for each in self.tasks if each["state"] not in ("running", "queued", "blocked", "starting", "scheduled")]
        return [(each["task"], each.get("instance", ""), each.get("attempt", 1), each["state"]) for each in over]

    def states(self) -> list[str]:
        """Of runs."""
        return [each["state"] for each in self.runs]


def _said(more: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in more.items() if value is not None}
