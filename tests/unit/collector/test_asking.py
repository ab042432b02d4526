"""Which policies ask something of a run, and the number by which a host sees that they changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rota_collector.store.asking import Asking

GATE = {"kind": "concurrency", "limit": 2}


def noted(**policies: dict[str, Any]) -> Asking:
    asking = Asking()
    for name, document in policies.items():
        asking.note(name, 1, json.dumps(document, separators=(",", ":")))
    return asking


@pytest.mark.parametrize(
    "asks",
    [
        {"retry": {"attempts": 2}}, {"gates": [GATE]}, {"tasks": {"load_*": {"permit": True}}},
        {"rules": [{"when": "run.seconds > 9", "do": "cancel"}]},
    ],
)  # fmt: skip
def test_a_policy_asks_by_any_of_four_parts(asks: dict[str, Any]) -> None:
    """A host gets these, and none of what only the collector needs."""
    asking = noted(w={**asks, "schedule": {"every": "1h"}, "priority": 3})
    assert asking.documents() == {"w": {**asks, "version": 1}}
    assert asking.number != 0


@pytest.mark.parametrize(
    "quiet", [{}, {"schedule": {"every": "1h"}, "expect": {"failures": 3}}, {"share": {"gate": ["a"]}}, {"gates": []}]
)
def test_without_one_that_asks_the_number_is_0(quiet: dict[str, Any]) -> None:
    """Nothing is asked of any run then, and a host need not look."""
    asking = noted(w=quiet)
    assert (asking.number, asking.documents()) == (0, {})


def test_the_number_changes_with_what_is_asked_and_with_nothing_else() -> None:
    """Another policy, another version, one that goes: another number. The same policies: the same one, in whatever order."""
    asking = noted(a={"gates": [GATE]})
    numbers = [asking.number]
    asking.note("b", 1, json.dumps({"gates": [GATE]}))
    numbers.append(asking.number)
    asking.note("b", 2, json.dumps({"gates": [GATE]}))
    numbers.append(asking.number)
    asking.note("b", 3, "{}")
    assert asking.number == numbers[0]
    asking.note("quiet", 1, '{"expect":{}}')
    assert asking.number == numbers[0]
    assert len(set(numbers)) == 3
    begun = Asking()
    begun.begin({name: (1, json.dumps({"gates": [GATE]})) for name in ("b", "a")})
    assert begun.number == numbers[1] < 2**53


def test_whoever_listens_is_told_of_each_workflow_that_asks_anew() -> None:
    """And of none that asked nothing and asks nothing."""
    asking, told = Asking(), list[str]()
    asking.changed.append(told.append)
    for name, document in (("a", "{}"), ("a", json.dumps({"gates": [GATE]})), ("b", '{"expect":{}}'), ("a", "{}"), ("a", "{}")):
        asking.note(name, 1, document)
    assert told == ["a", "a"]


def test_a_pool_has_the_smallest_limit_that_a_policy_gives() -> None:
    """Of all policies that name it; the scopes that are no pools are none's."""

    def sharing(limit: int, scope: str = "gpu") -> dict[str, Any]:
        return {"gates": [{"kind": "concurrency", "limit": limit, "scope": scope}]}

    asking = noted(a=sharing(5), b=sharing(2), c=sharing(1, "workflow"), d=sharing(1, "instance"))
    assert asking.pool_limit("gpu") == 2
    asking.note("b", 2, json.dumps(sharing(9)))
    assert asking.pool_limit("gpu") == 5
    asking.note("a", 2, "{}")
    asking.note("b", 3, "{}")
    assert [asking.pool_limit(name) for name in ("gpu", "workflow", "instance")] == [None] * 3
