"""The smallest policy that puts a workflow on a level, with what its history teaches; and the one that takes it back. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rota.rules.level import LEVELS, level
from rota_collector.domain.advise import Advice

_KEYS: dict[str, tuple[str, ...]] = {
    "expect": ("schedule", "expect"), "retry": ("retry",), "gate": ("gates", "rules"), "orchestrate": ("tasks",),
}  # fmt: skip
_ROOM = 3.0  # how many times its usual duration a run may take before people are told
_LEAST_SECONDS = 60
_RETRY = {"attempts": 2, "wait": "60s"}
_GATE = {"kind": "concurrency", "limit": 1}


class NoPromotion(ValueError):
    """The workflow is on that level or above (below, for a demotion) already; says where it is."""


def promoted(
    to: str, in_force: Mapping[str, Any], stored: Mapping[str, Any], advice: Sequence[Advice], usual_ns: tuple[int, int] | None
) -> dict[str, Any]:
    """The document to store. ``in_force``, ``stored``: the policy now; ``usual_ns``: how long it usually takes.

    Raises:
        NoPromotion: it is there.
    """
    here = level(in_force)
    if LEVELS.index(here) >= LEVELS.index(to):
        raise NoPromotion(f"it is on the level {here} already")
    added: dict[str, Any] = {}
    if to == "expect":
        longest = max(_LEAST_SECONDS, round(_ROOM * usual_ns[1] / 1e9)) if usual_ns else 3600
        added["expect"] = {"max_duration": f"{longest}s"}
    elif to == "retry":
        added["retry"] = next((each.policy["retry"] for each in advice if each.kind == "retry"), _RETRY)
    elif to == "gate":
        added["gates"] = [gate for each in advice for gate in each.policy.get("gates", ())] or [_GATE]
    else:
        added["tasks"] = {**(stored.get("tasks") or {}), "*": {"permit": True}}
    return {
        **stored,
        **{key: {**(stored.get(key) or {}), **value} if isinstance(value, dict) else value for key, value in added.items()},
    }


def demoted(to: str, in_force: Mapping[str, Any], stored: Mapping[str, Any], declared: Mapping[str, Any]) -> dict[str, Any]:
    """The document to store so that nothing above the level is asked; what code declares is taken away by null.

    Raises:
        NoPromotion: it is on that level or below.
    """
    here = level(in_force)
    if LEVELS.index(here) <= LEVELS.index(to):
        raise NoPromotion(f"it is on the level {here} already")
    document = dict(stored)
    for above in LEVELS[LEVELS.index(to) + 1 :]:
        for key in _KEYS[above]:
            document.pop(key, None)
            if declared.get(key):
                document[key] = None
    return document
