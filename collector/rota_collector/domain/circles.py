"""Who waits for whom, by the policies: workflows that wait for each other in a circle would never begin. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from rota.rules import gates

Policy = Mapping[str, Any]


class Edge(NamedTuple):
    """One workflow that another one names. ``at``: where its policy does."""

    at: str
    workflow: str


def awaited(policy: Policy) -> list[Edge]:
    """The workflows without whose success this one does not begin."""
    after = ((policy.get("schedule") or {}).get("after") or {}).get("workflow")
    found = [Edge("schedule.after.workflow", after)] if after else []
    for gate in gates.of(policy):
        if gate.kind == "upstream":
            at, one = f"gates[{gate.number}]", gate.terms.get("workflow")
            found += [Edge(f"{at}.workflow", one)] if one else [Edge(f"{at}.all_of", each) for each in gate.terms["all_of"]]
    return found


def needed(policy: Policy) -> list[Edge]:
    """The workflows whose incidents keep this one's quiet."""
    return [Edge("expect.upstream", each) for each in (policy.get("expect") or {}).get("upstream") or ()]


def problems(workflow: str, policy_of: Callable[[str], Policy]) -> list[str]:
    """The circles that the policy of a workflow is part of, as ``policy_of`` tells policies; each by its shortest way."""
    return [
        *_circles(workflow, policy_of, awaited, "none of them could ever begin: one has to go first"),
        *_circles(workflow, policy_of, needed, "each would keep quiet about the other's incidents"),
    ]


def _circles(
    workflow: str, policy_of: Callable[[str], Policy], edges: Callable[[Policy], list[Edge]], why: str
) -> Iterator[str]:  # fmt: skip
    for edge in edges(policy_of(workflow)):
        way = _way(edge.workflow, workflow, lambda name: [each.workflow for each in edges(policy_of(name))])
        if way:
            yield f"{edge.at}: {' → '.join([workflow, *way])}: {why}"


def _way(start: str, goal: str, following: Callable[[str], list[str]]) -> list[str]:
    """The shortest way from one to another, both included; empty when there is none."""
    came: dict[str, str] = {start: ""}
    line = [start]
    for name in line:
        if name == goal:
            return _back(came, goal)
        for each in following(name):
            if each not in came:
                came[each] = name
                line.append(each)
    return []


def _back(came: Mapping[str, str], goal: str) -> list[str]:
    way = [goal]
    while came[way[0]]:
        way.insert(0, came[way[0]])
    return way
