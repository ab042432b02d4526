"""What is said of policies that needs more than the documents: of circles among them, of names that nobody knows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from rota.rules.policy import merge
from rota.wire.names import PERMISSION_UNMATCHED
from rota_collector.api.documents import Examined
from rota_collector.api.stores import Stores
from rota_collector.domain import circles
from rota_collector.domain.reach import Reach
from rota_collector.store.policy_rows import PolicyView

Policy = Mapping[str, Any]
_MOST_NAMES = 5000  # among which the nearest is looked for


def add_circles(stores: Stores, found: Sequence[Examined]) -> None:
    """Note with the documents that would be stored the circles that they would make, with each other and with what is stored."""
    policy_of = _as_if_stored(stores, found)
    for each in found:
        if not each.problems:
            each.problems.extend(circles.problems(each.workflow, policy_of))


def warnings(stores: Stores, reads: Reach, view: PolicyView, also: Sequence[str] = ()) -> list[str]:
    """What of a policy is hardly meant: workflows that nobody knows, but for those named ``also``; patterns without functions."""
    named = [*circles.awaited(view.in_force), *circles.needed(view.in_force)]
    unknown = [edge for edge in named if edge.workflow not in also and not stores.expectations.policies.is_known(edge.workflow)]
    return [
        *(f"{at}: no run and no policy of {name!r} was ever seen{_nearest(stores, reads, name)}" for at, name in unknown),
        *_without_functions(stores, view),
    ]


def _nearest(stores: Stores, reads: Reach, name: str) -> str:
    names = filter(reads.allows, stores.expectations.policies.names(_MOST_NAMES))
    near = get_close_matches(name, names, 1, 0.7)
    return f"; did you mean {near[0]!r}?" if near else ""


def _without_functions(stores: Stores, view: PolicyView) -> list[str]:
    """Patterns that the last run found no function for, as it told."""
    patterns = view.in_force.get("tasks")
    workflow = stores.control.workflow(view.workflow, stores.clock.now_ns()) if patterns else None
    if not patterns or workflow is None or workflow.last_run is None:
        return []
    told = stores.telemetry.run_attributes(workflow.last_run.run_id).get(PERMISSION_UNMATCHED)
    unmatched = told if isinstance(told, list) else []
    return [f"tasks.{each}: matched no function of the last run; was one renamed?" for each in unmatched if each in patterns]


def _as_if_stored(stores: Stores, found: Sequence[Examined]) -> Callable[[str], Policy]:
    """The policy of each workflow, as it will be once these are stored."""
    known = stores.expectations.policies
    given = {each.workflow: each.document for each in found if not each.problems}

    def policy_of(name: str) -> Policy:
        if name in given:
            view = known.view(name)
            return merge((view.declared if view else None) or {}, given[name])
        there = known.known.get(name)
        return json.loads(there.document) if there is not None else {}

    return policy_of
