"""What is said of policies that cannot be meant: what is wrong, and what to do. Where they come from, and who was faster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from asking import T0, Api, new_stores

from rota.rules.declared import Declared
from rota.rules.fold import RunEvent
from rota.wire.names import PERMISSION_UNMATCHED

Documents = dict[str, dict[str, Any]]
FILE = "git.example.org/acme/etl/rota.yaml"


@pytest.fixture
def api(tmp_path: Path) -> Any:
    stores = new_stores(tmp_path)
    yield Api(stores)
    stores.control.close()


def gate(*workflows: str) -> dict[str, Any]:
    return {"gates": [{"kind": "upstream", "all_of": list(workflows)}]}


def after(workflow: str) -> dict[str, Any]:
    return {"schedule": {"after": {"workflow": workflow}}}


def needs(*workflows: str) -> dict[str, Any]:
    return {"expect": {"upstream": list(workflows)}}


def send(api: Api, documents: Documents, **query: Any) -> Any:
    given = [{"workflow": name, **document} for name, document in documents.items()]
    return api("POST", "/api/v1/policies", params=query, json=given)


def apply(api: Api, documents: Documents, **query: Any) -> dict[str, Any]:
    """The items of a good answer by workflow, which is as the OpenAPI document says."""
    given = [{"workflow": name, **document} for name, document in documents.items()]
    return {item["workflow"]: item for item in api.change("POST", "/policies", given, params=query)["items"]}


def ran(api: Api, workflow: str, run_id: str = "r1", **more: Any) -> None:
    api.stores.control.apply([RunEvent(run_id + "s", run_id, workflow, "running", T0, **more)], 1)


@pytest.mark.parametrize(
    ("stored", "given", "said"),
    [
        ({}, {"a": after("a")}, "schedule.after.workflow: a workflow cannot come after itself"),
        ({}, {"a": gate("b"), "b": gate("a")}, "gates[0].all_of: a → b → a: none of them could ever begin: one has to go first"),
        ({}, {"a": gate("b"), "b": after("c"), "c": gate("x", "a")}, "a: gates[0].all_of: a → b → c → a: none"),
        ({}, {"a": gate("b"), "b": after("c"), "c": gate("x", "a")}, "b: schedule.after.workflow: b → c → a → b: none"),
        ({"b": gate("a")}, {"a": gate("b")}, "gates[0].all_of: a → b → a: none"),
        ({"b": after("c"), "c": gate("a")}, {"a": gate("b")}, "gates[0].all_of: a → b → c → a: none"),
        ({"b": needs("a")}, {"a": needs("b")}, "expect.upstream: a → b → a: each would keep quiet about the other's incidents"),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_circle_is_refused(api: Api, stored: Documents, given: Documents, said: str, dry_run: bool) -> None:
    """Workflows that wait for each other, in one file or with what is stored: the whole way is told, and nothing is stored."""
    if stored:
        apply(api, stored)
    answer = send(api, given, dry_run=dry_run)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "bad_policy")
    assert said in answer.json()["error"]["message"]
    assert {item["workflow"] for item in api.item("/policies")["items"]} == set(stored)


@pytest.mark.parametrize(
    ("stored", "given"),
    [
        ({"b": gate("a")}, {"a": gate("c"), "c": gate("d")}),
        ({"b": gate("a")}, {"a": gate("b"), "b": {"schedule": {"every": "1h"}}}),  # the file takes the other half away
        ({"b": needs("a")}, {"a": gate("b")}),  # it waits for b, whose incidents wait for nobody's start
        ({}, {"a": gate("b", "c"), "b": gate("d"), "c": gate("d")}),
    ],
)
def test_no_circle(api: Api, stored: Documents, given: Documents) -> None:
    """What only meets is none, nor what a document of the same file undoes."""
    if stored:
        apply(api, stored)
    assert set(apply(api, given)) == set(given)


def test_a_circle_with_code(api: Api) -> None:
    """What code declares counts: a stored policy that overrides it ends a circle, and PUT is refused like a file."""
    apply(api, {"b": gate("a")})
    status, code, message = api.refusal("PUT", "/workflows/a/policy", json=gate("b"))
    assert (status, code) == (422, "bad_policy")
    assert "a → b → a" in message


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"gates": [{"kind": "concurrency", "limit": 0, "scope": "db"}]}, "gates[0].limit: 0 is no number from 1 to 1000"),
        ({"gates": [{"kind": "concurrency", "limit": -1}]}, "gates[0].limit: -1 is no number from 1 to 1000"),
        ({"gates": [{"kind": "window", "only": "Mon", "wait_at_most": "-5m"}]}, "gates[0].wait_at_most: '-5m' is no duration"),
        ({"gates": [{"kind": "approval", "within": 0}]}, "gates[0].within: 0 is no length of time: it must be above 0"),
        ({"gates": [{"kind": "rate", "limit": 1, "per": -60}]}, "gates[0].per: -60 is no duration: write it like 90s, 15m, 2h"),
        ({"retry": {"wait": "-1s"}}, "retry.wait: '-1s' is no duration: write it like 90s, 15m, 2h"),
        ({"retry": {"attempts": 0}}, "retry.attempts: 0 is no number from 1 to 1000"),
        ({"retry": {"budget": {"percent": -1}}}, "retry.budget.percent: -1 is no number from 0 to 100"),
        ({"retry": {"budget": {"precent": 5}}}, "did you mean retry.budget.percent?"),
        ({"gates": [{"kind": "probe", "http": "x", "on_unreachable": "wait(0)"}]}, "on_unreachable: 'wait(0)' is no length"),
    ],
)
def test_what_cannot_be_is_said(api: Api, document: dict[str, Any], said: str) -> None:
    """A pool of nothing, waits below zero: the key, the value and what may stand there, from PUT and from a file alike."""
    assert said in api.refusal("PUT", "/workflows/w/policy", json=document)[2]
    assert said in send(api, {"w": document}).json()["error"]["message"]


@pytest.mark.parametrize("limit", [0, -3, 1.5, "many"])
def test_a_pool_of_nothing(api: Api, limit: Any) -> None:
    """A pool has at least one place; who wants none pauses what uses it."""
    status, code, message = api.refusal("PUT", "/pools/db", json={"limit": limit})
    assert (status, code) == (422, "invalid")
    assert "limit" in message


def test_a_workflow_that_nobody_knows(api: Api) -> None:
    """It is a warning with the nearest name: the other one may come to run tomorrow. Documents of one file know each other."""
    ran(api, "ingest.orders")
    given = {"a": {**gate("ingest.ordres", "b"), **needs("nowhere")}, "b": after("ingest.orders")}
    found = apply(api, given)
    assert found["a"]["warnings"] == [
        "gates[0].all_of: no run and no policy of 'ingest.ordres' was ever seen; did you mean 'ingest.orders'?",
        "expect.upstream: no run and no policy of 'nowhere' was ever seen",
    ]
    assert found["b"]["warnings"] == []
    assert api.item("/workflows/a/policy")["warnings"] == found["a"]["warnings"]


def test_a_pattern_that_matches_nothing(api: Api) -> None:
    """Once a run has told that it found no function for a pattern, the policy says so: a rename must not silently ungate."""
    apply(api, {"w": {"tasks": {"laod_*": {"permit": True}, "load_*": {"permit": True}}}})
    ran(api, "w")
    api.stores.telemetry.attributes["r1"] = {PERMISSION_UNMATCHED: ["laod_*", "gone"]}  # type: ignore[attr-defined]
    said = ["tasks.laod_*: matched no function of the last run; was one renamed?"]
    assert api.item("/workflows/w/policy")["warnings"] == said


def test_two_at_once(api: Api) -> None:
    """Who read before another one stored is told who it was, and when, and stores nothing; what code declares is no change."""
    tried = send(api, {"a": {"per": "host"}, "b": {"per": "host"}}, dry_run=True).json()
    api.stores.clock.advance(1.0)  # type: ignore[attr-defined]
    ran(api, "b", declared=Declared(max_duration="2h"))
    apply(api, {"a": {"per": "workflow"}}, author="ada")
    answer = send(api, {"a": {"per": "host"}, "b": {"per": "host"}}, as_of=tried["as_of"], author="bob")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (409, "changed")
    assert error["message"].startswith("the policy of 'a' was changed meanwhile: 'ada' stored version 1 at 20")
    assert error["hint"] == "nothing was stored; look at it with `rota policy diff`, then apply again"
    assert api.item("/workflows/b/policy")["stored"] is None
    assert send(api, {"b": {"per": "host"}}, as_of=tried["as_of"]).status_code == 200
    status, code, _ = api.refusal("PUT", "/workflows/a/policy", json={}, params={"if_version": 0})
    assert (status, code) == (409, "changed")


def test_where_a_policy_comes_from(api: Api) -> None:
    """Place and commit are of the version that they brought; one that is the same has no further version; a change by hand is of
    no commit.
    """
    brought = {"source": FILE, "revision": "3f2a91c"}
    first = apply(api, {"a": {"per": "host"}, "b": {"per": "host"}}, **brought)
    assert [(item["change"], item["from"], item["revision"]) for item in first.values()] == [("new", FILE, "3f2a91c")] * 2
    second = apply(api, {"a": {"per": "host"}, "b": {"per": "workflow"}}, source=FILE, revision="77aa001")
    assert [(item["change"], item["version"], item["revision"]) for item in second.values()] == [
        ("same", 1, "3f2a91c"),
        ("changed", 2, "77aa001"),
    ]
    assert second["b"]["before"] == {"per": "host"}
    by_hand = api.change("PUT", "/workflows/a/policy", {"per": "workflow"})
    assert (by_hand["from"], by_hand["revision"]) == (FILE, None)
    versions = api.item("/workflows/a/policy/versions")["items"]
    assert [(each["version"], each["from"], each["revision"]) for each in versions] == [(2, FILE, None), (1, FILE, "3f2a91c")]


def test_pruning(api: Api) -> None:
    """What came from the same place and is not in it any more is taken away, only when asked, and nothing else."""
    apply(api, {"a": {"per": "host"}, "b": {"per": "host"}}, source=FILE)
    apply(api, {"other": {"per": "host"}}, source="git.example.org/acme/web/rota.yaml")
    api.change("PUT", "/workflows/hand/policy", {"per": "host"})
    assert set(apply(api, {"a": {"per": "host"}}, source=FILE)) == {"a"}
    tried = apply(api, {"a": {"per": "host"}}, source=FILE, prune=True, dry_run=True)
    assert {name: item["change"] for name, item in tried.items()} == {"a": "same", "b": "removed"}
    assert len(api.item("/policies")["items"]) == 4
    apply(api, {"a": {"per": "host"}}, source=FILE, prune=True)
    assert [item["workflow"] for item in api.item("/policies")["items"]] == ["a", "hand", "other"]
    assert [item["workflow"] for item in api.item("/policies", source=FILE)["items"]] == ["a"]
    assert send(api, {"a": {}}, prune=True).json()["error"]["message"] == "prune needs a source"


def test_order_of_patterns(api: Api) -> None:
    """The first pattern that matches holds, so their order is kept, and another order is another policy."""
    first = {"tasks": {"load_*": {"permit": True}, "*": {"permit": False}}}
    number = lambda: api.item("/policies/asking")["version"]  # noqa: E731
    apply(api, {"a": first})
    before = number()
    assert list(api.item("/workflows/a/policy")["stored"]["tasks"]) == ["load_*", "*"]
    turned = {"tasks": dict(reversed(first["tasks"].items()))}
    assert apply(api, {"a": turned})["a"]["change"] == "changed"
    assert number() != before
    assert json.dumps(api.item("/policies/asking")["items"]["a"]["tasks"]).startswith('{"*"')
