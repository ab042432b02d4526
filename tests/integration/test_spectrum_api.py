"""What the spectrum, the editor and the line of those who wait are made of: the API without a network, on real stores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asking import SECOND, T0, Api, Telemetry, new_stores
from rooms import ONE

from rota.rules.fold import RunEvent
from rota_collector.api import spectrum

YAML = {"Content-Type": "application/yaml"}


class Functions(Telemetry):
    """The functions that runs did."""

    def __init__(self, of_run: Callable[[str], list[str]]) -> None:
        super().__init__()
        self._of_run, self.asked = of_run, 0

    def run_functions(self, run_ids: list[str], since_ns: int) -> list[tuple[str, str]]:
        self.asked += 1
        return [(run_id, task) for run_id in run_ids for task in self._of_run(run_id)]


@pytest.fixture
def api(tmp_path):
    stores = new_stores(tmp_path, Functions(lambda _: ["extract", "load_a", "load_b"]))
    yield Api(stores)
    stores.control.close()


def runs(api: Api, workflow: str, states: str, every_seconds: int = 60, **error: str) -> None:
    """Runs that ended so, the last one now: ``s`` succeeded, ``f`` failed."""
    events = []
    for number, word in enumerate(states):
        run, at_ns = f"{workflow} {number}", T0 - (len(states) - number) * every_seconds * SECOND
        told = {"error_type": "ConnectionError", **error} if word == "f" else {}
        events.append(RunEvent(run + "s", run, workflow, "running", at_ns))
        state = {"s": "succeeded", "f": "failed"}[word]
        events.append(RunEvent(run + "e", run, workflow, state, at_ns + SECOND, started_ns=at_ns, **told))
    api.stores.control.apply(events, api.stores.control.offset() + 1)


def by_name(api: Api) -> dict[str, Any]:
    return {each["workflow"]: each for each in api.item("/advice")["items"]}


def test_advice_for_all_is_that_for_each(api):
    """The same pieces in the same words, for every workflow that failed; those that never failed are left out."""
    runs(api, "flaky", "sfs" * 4)
    runs(api, "broken", "s" * 5 + "f" * 12)
    runs(api, "fine", "s" * 9)
    found = by_name(api)
    assert found.keys() == {"flaky", "broken"}
    assert (found["flaky"]["runs"], found["flaky"]["failed"]) == (12, 4)
    for name, each in found.items():
        alone = api.item(f"/advice/{name}")["items"]
        assert each["items"] == [{key: one[key] for key in ("level", "kind", "saved", "of", "reason")} for one in alone]
        assert alone


def test_it_is_worked_out_once_in_a_while(api):
    """What happens meanwhile is not in it, until ten minutes have passed."""
    runs(api, "flaky", "sfs" * 4)
    first = api.item("/advice")
    runs(api, "other", "sfs" * 4)
    assert api.item("/advice") == first
    api.stores.clock.advance(601)
    assert by_name(api).keys() == {"flaky", "other"}


def test_where_too_many_fail_the_rest_is_unknown(api, monkeypatch):
    """Those that failed most often are looked at; of the others nothing is said but that they failed."""
    monkeypatch.setattr(spectrum, "_MOST_RUNS", 10)
    runs(api, "often", "sfs" * 4)
    runs(api, "once", "sfs")
    found = by_name(api)
    assert (found["often"]["failed"], found["once"]["failed"], found["once"]["items"]) == (4, None, [])


def test_a_policy_that_was_stored_counts_at_once(api):
    """What it has already is not advised any more."""
    runs(api, "flaky", "sfs" * 4)
    assert [each["kind"] for each in by_name(api)["flaky"]["items"]] == ["retry"]
    api.change("PUT", "/workflows/flaky/policy", {"retry": {"attempts": 2}})
    found = by_name(api)["flaky"]
    assert (found["level"], found["items"]) == ("retry", [])


def test_coverage_counts_the_functions_that_ran(api):
    """By the first pattern that matches each; of workflows of which no task asks nothing is said."""
    runs(api, "covered", "ss")
    runs(api, "retried", "ss")
    api.change("PUT", "/workflows/covered/policy", {"tasks": {"extract": {"permit": False}, "load_*": {"permit": True}}})
    api.change("PUT", "/workflows/retried/policy", {"tasks": {"load_*": {"retry": {"attempts": 2}}}})
    found = by_name(api)
    assert found.keys() == {"covered"}
    assert (found["covered"]["level"], found["covered"]["coverage"]) == ("gate", {"asking": 2, "functions": 3})
    api.change("PUT", "/workflows/covered/policy", {"tasks": {"*": {"permit": True}}})
    assert by_name(api)["covered"]["coverage"] == {"asking": 3, "functions": 3}
    assert api.stores.telemetry.asked == 1


def test_a_draft_is_read_and_examined(api):
    """Its document, its level as it would be in force, its warnings; nothing is stored."""
    text = "schedule: {every: 10m, grace: 20m}\nretry: {attempts: 3}\n"
    (draft,) = api.change("POST", "/policies/check", content=text, headers=YAML, params={"workflow": "w"})["items"]
    assert draft["document"] == {"schedule": {"every": "10m", "grace": "20m"}, "retry": {"attempts": 3}}
    assert (draft["workflow"], draft["level"], draft["problems"]) == ("w", "retry", [])
    assert len(draft["warnings"]) == 1
    assert api.refusal("GET", "/workflows/w/policy")[0] == 404


def test_a_draft_that_cannot_be_used_is_read_all_the_same(api):
    """With what is wrong, the nearest key named, so that an editor can go on with it."""
    text = "workflow: w\nretries: {attempts: 3}\nexpect: {failures: many}\n"
    (draft,) = api.change("POST", "/policies/check", content=text, headers=YAML, params={"workflow": "w"})["items"]
    assert draft["document"] == {"retries": {"attempts": 3}, "expect": {"failures": "many"}}
    assert draft["level"] is None
    assert any("did you mean retry?" in each for each in draft["problems"])
    assert any("'many'" in each for each in draft["problems"])


def test_a_draft_of_another_workflow_says_so(api):
    """Whoever edits a cannot store b by mistake; what is no document at all is said to be none."""
    (draft,) = api.change("POST", "/policies/check", {"workflow": "b"}, params={"workflow": "a"})["items"]
    assert "the document is of 'b'" in draft["problems"][0]
    (draft,) = api.change("POST", "/policies/check", content="- 1", headers=YAML, params={"workflow": "a"})["items"]
    assert (draft["document"], draft["level"]) == (1, None)
    status, code, message = api.refusal("POST", "/policies/check", content="a: [", headers=YAML)
    assert (status, code) == (422, "unreadable")
    assert "line 1" in message


def test_who_waits_is_listed_until_it_goes(api):
    """Who asked first first, of one workflow or of all, page by page; whoever was let go waits no more."""
    api.change("PUT", "/workflows/w/policy", ONE)
    api.change("PUT", "/workflows/v/policy", {"gates": [{"kind": "approval"}]})
    holder = api.change("POST", "/permission", {"workflow": "w", "run_id": "r0"})
    for run, workflow in (("r1", "w"), ("r2", "v"), ("r3", "w")):
        api.stores.clock.advance(1)
        assert api.change("POST", "/permission", {"workflow": workflow, "run_id": run})["answer"] == "wait"
    assert [each["run_id"] for each in api.item("/waiting")["items"]] == ["r1", "r2", "r3"]
    first = api.item("/waiting", workflow="w", limit=1)
    assert first["items"] == [
        {"workflow": "w", "run_id": "r1", "attempt": 1, "task": None, "asked_at": "2026-09-21T14:13:21.000000Z"}
    ]
    assert [each["run_id"] for each in api.item("/waiting", workflow="w", cursor=first["next"])["items"]] == ["r3"]
    (lease,) = holder["leases"]
    api.change("POST", f"/leases/{lease['id']}/release", {"token": lease["token"]})
    assert api.change("POST", "/permission", {"workflow": "w", "run_id": "r1"})["answer"] == "go"
    assert [each["run_id"] for each in api.item("/waiting")["items"]] == ["r2", "r3"]


def test_the_approvals_of_a_run_are_found_by_it(api):
    """As its page asks for them."""
    api.change("PUT", "/workflows/v/policy", {"gates": [{"kind": "approval"}]})
    for run in ("r1", "r2"):
        api.change("POST", "/permission", {"workflow": "v", "run_id": run})
    (found,) = api.item("/approvals", run="r2", state="asked")["items"]
    assert found["run_id"] == "r2"
    assert api.item("/approvals", run="r3")["items"] == []


def test_two_who_edit_one_policy_hear_of_each_other(api):
    """Whoever is second is told who was faster and when, and nothing of either is lost; without a version the last one wins."""
    first = {"expect": {"failures": 2}}
    api.change("PUT", "/workflows/w/policy", first, params={"if_version": 0, "author": "ada"})
    refused = api.refusal("PUT", "/workflows/w/policy", json={"expect": {"failures": 3}}, params={"if_version": 0})
    assert refused[:2] == (409, "changed")
    assert refused[2] == "the policy of 'w' was changed meanwhile: 'ada' stored version 1 at 2026-09-21T14:13:20.000000Z"
    assert api.item("/workflows/w/policy")["stored"] == first
    assert api.change("PUT", "/workflows/w/policy", {"expect": {"failures": 3}}, params={"if_version": 1})["version"] == 2
    assert api.change("PUT", "/workflows/w/policy", first)["version"] == 3
