"""Who holds and who waits, on the page of a workflow."""

from __future__ import annotations

from typing import Any

import pytest
from dashboard_items import NIGHT, a_run, iso

from rota_dashboard.shape import line

ONE = {"gates": [{"kind": "concurrency", "limit": 1}]}


def a_lease(scope: str = "workflow w", **fields: Any) -> dict[str, Any]:
    return {
        "scope": scope, "workflow": "w", "run_id": "r0", "task": None, "host": "h1", "granted_at": iso(NIGHT),
        "expires_at": iso(NIGHT), **fields,
    }  # fmt: skip


def a_waiter(run: str = "r1", **fields: Any) -> dict[str, Any]:
    return {"workflow": "w", "run_id": run, "attempt": 1, "task": None, "asked_at": iso(NIGHT), **fields}


def test_the_scopes_are_those_of_its_gates():
    """The workflow's, a pool's, and an instance's on each host that it ran on."""
    gates = [{"kind": "concurrency", "limit": 1, **scope} for scope in ({}, {"scope": "db"}, {"scope": "instance"})]
    gates.append({"kind": "window", "not": ["Sat"]})
    assert line.scopes("w", {"gates": gates}, {"h1", "h2"}) == ["instance w@h1", "instance w@h2", "pool db", "workflow w"]
    assert line.scopes("w", ONE, set()) == ["workflow w"]
    assert line.scopes("w", {}, {"h1"}) == []


@pytest.mark.parametrize(
    ("policy", "asks"),
    [({}, False), (ONE, True), ({"tasks": {"a": {"permit": True}}}, True), ({"tasks": {"a": {"retry": {}}, "b": None}}, False)],
)
def test_a_line_is_only_where_something_asks(policy: dict[str, Any], asks: bool):
    """Gates, or functions that ask."""
    assert line.asks(policy) is asks


def test_who_holds_and_who_waits_with_what_is_known_of_each():
    """Of a pool also the workflow that holds it; of those who wait the host and the reason that their runs told."""
    runs = [a_run(id="r1", state="blocked", reason="1 of 1 in use", host="h2")]
    held = [a_lease(), a_lease("pool db", workflow="v", task="load")]
    found = line.line("w", ONE, held, [a_waiter(), a_waiter("r2", attempt=2)], runs)
    assert [(each["name"], each["scope"], each["what"]) for each in found["held"]] == [(None, "", None), ("v", "pool db", "load")]
    assert [each["note"] for each in found["waiting"]] == ["on h2 · 1 of 1 in use", "attempt 2"]
    assert [each["place"] for each in found["waiting"]] == [1, 2]
    assert found["facts"] == ["2 places taken of 1", "2 waiting"]


def test_without_capacity_no_places_are_counted():
    """An approval has no places to take."""
    found = line.line("w", {"gates": [{"kind": "approval"}]}, [], [a_waiter()], [])
    assert found["facts"] == ["1 waiting"]


def test_a_long_line_is_counted_and_not_drawn():
    """Ten thousand may wait."""
    found = line.line("w", ONE, [], [a_waiter(f"r{n}") for n in range(100)], [])
    assert (len(found["waiting"]), found["more"], found["facts"]) == (12, [0, 88], ["0 places taken of 1", "100 waiting"])
