"""How far along the spectrum a policy puts its workflow. Derived, never stored."""

from __future__ import annotations

from typing import Any, Mapping

LEVELS = ("observe", "expect", "retry", "gate", "orchestrate")


def level(policy: Mapping[str, Any]) -> str:
    """The level of a policy document (an empty one observes)."""
    tasks = policy.get("tasks") or {}
    if (tasks.get("*") or {}).get("permit"):
        return "orchestrate"
    if policy.get("gates") or policy.get("rules"):
        return "gate"
    if policy.get("retry"):
        return "retry"
    if policy.get("schedule") or policy.get("expect"):
        return "expect"
    return "observe"
