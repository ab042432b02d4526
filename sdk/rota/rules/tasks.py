"""What a policy asks of a task: the entry of its ``tasks`` whose pattern matches the task's name."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, Mapping, NamedTuple

from rota.rules import gates

ANSWERS = (gates.GO, gates.WAIT, gates.SKIP, gates.DENY)


class Terms(NamedTuple):
    """One entry, read."""

    permit: bool = False
    raises: bool = True  # whether a denied call raises, or returns ``denied_value``
    denied_value: Any = None
    skipped_value: Any = None
    entry: Mapping[str, Any] = {}  # as it stands in the document

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Terms:
        """The terms in an entry such as ``{"permit": true, "on_unreachable": "wait(30m)"}``."""
        is_declared = "denied_value" in entry
        return cls(entry.get("permit") is True, not is_declared, entry.get("denied_value"), entry.get("skipped_value"), entry)


def entry_of(tasks: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """The first entry whose pattern matches the whole name; ``*`` also stands for dots, so that ``*`` is every task."""
    for pattern, entry in tasks.items():
        if fnmatchcase(name, pattern):
            return entry if isinstance(entry, dict) else {}
    return None


def unreachable(terms: Terms, waited_seconds: float, why: str) -> dict[str, Any]:
    """What the SDK says itself when nobody answers: the entry's ``on_unreachable``. What is not understood lets pass: a job must
    not stop for a typing error.
    """
    try:
        answer, reason, _, again_seconds = gates.on_unreachable(terms.entry, waited_seconds, why)
    except (ValueError, TypeError):
        answer, reason, again_seconds = "", "", None
    if answer not in ANSWERS or (answer == gates.WAIT and again_seconds is None):
        answer, reason = gates.GO, "nobody answers (%s), and on_unreachable is not understood" % why
    return {"answer": answer, "reason": reason, "look_again_seconds": again_seconds, "by": "sdk"}
