"""How far along the spectrum a policy puts its workflow. Derived, never stored."""

from __future__ import annotations

from typing import Any, Mapping

LEVELS = ("observe", "expect", "retry", "gate", "orchestrate")


def level(policy: Mapping[str, Any]) -> str:
    """The level of a policy document (an empty one observes)."""
    tasks = {pattern: terms or {} for pattern, terms in (policy.get("tasks") or {}).items()}
    if tasks.get("*", {}).get("permit"):
        return "orchestrate"
    if policy.get("gates") or policy.get("rules") or any(terms.get("permit") for terms in tasks.values()):
        return "gate"
    if policy.get("retry") or any(terms.get("retry") for terms in tasks.values()):
        return "retry"
    if policy.get("schedule") or policy.get("expect"):
        return "expect"
    return "observe"
