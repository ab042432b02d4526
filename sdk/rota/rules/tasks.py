"""What a policy asks of a task: the entry of its ``tasks`` whose pattern matches the task's name."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple

from rota.rules.durations import seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

ANSWERS = ("go", "wait", "skip", "deny")


class Terms(NamedTuple):
    """One entry, read. What cannot be understood reads as if it were left out: a host must not stop for a typing error."""

    permit: bool = False
    unreachable: str = "go"  # one of ANSWERS: what is said when nobody answers
    wait_seconds: float = 0.0  # how long, for wait; then it is a deny
    raises: bool = True  # whether a denied call raises, or returns ``denied_value``
    denied_value: Any = None
    skipped_value: Any = None

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Terms:
        """The terms in an entry such as ``{"permit": true, "on_unreachable": "wait(30m)"}``."""
        answer, wait_seconds = unreachable_of(entry.get("on_unreachable"))
        return cls(
            entry.get("permit") is True, answer, wait_seconds,
            "denied_value" not in entry, entry.get("denied_value"), entry.get("skipped_value"),
        )  # fmt: skip


def entry_of(tasks: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """The first entry whose pattern matches the whole name; ``*`` also stands for dots, so that ``*`` is every task."""
    for pattern, entry in tasks.items():
        if fnmatchcase(name, pattern):
            return entry if isinstance(entry, dict) else {}
    return None


def unreachable_of(text: object) -> tuple[str, float]:
    """(answer, seconds to wait) of ``on_unreachable``: ``go``, ``skip``, ``deny``, ``wait(30m)``."""
    said = text.strip().lower() if isinstance(text, str) else "go"
    if said.startswith("wait(") and said.endswith(")"):
        try:
            return "wait", seconds(said[5:-1])
        except ValueError:
            return "go", 0.0
    return (said if said in ("go", "skip", "deny") else "go"), 0.0
