"""Policies over HTTP: what is in force and who set it, every version, and what is refused; slots and levels besides."""

from __future__ import annotations

import json

import pytest
from asking import SECOND, T0, Api, new_stores

from rota.rules.declared import Declared
from rota.rules.fold import RunEvent
from rota_collector.domain.slots import Slot
from rota_collector.store.dialect import driver_sql, upsert
from rota_collector.store.expectations_schema import slots

NIGHTLY = {"schedule": {"cron": "0 2 * * *", "tz": "Europe/Berlin", "grace": "15m"}}
YAML = {"Content-Type": "application/yaml"}
RUN = "01990000-0000-7000-8000-000000000001"


@pytest.fixture
def api(tmp_path):
    stores = new_stores(tmp_path)
    yield Api(stores)
    stores.control.close()


def ran(api, workflow="etl.nightly", run_id=RUN, at_ns=T0, declared=None) -> None:
    api.stores.control.apply([RunEvent(run_id + "s", run_id, workflow, "running", at_ns, declared=declared)], 1)


def add_slots(api, *found: tuple[str, str, Slot]) -> None:
    with api.stores.expectations.transaction() as connection:
        connection.exec_driver_sql(driver_sql(upsert(slots)).sql, [(workflow, host, *slot) for workflow, host, slot in found])


def test_a_policy_is_in_force_once_it_is_stored(api):
    """The answer is the policy in force, its level, and that every key of it was stored."""
    policy = api.change("PUT", "/workflows/etl.nightly/policy", NIGHTLY)
    assert (policy["workflow"], policy["version"], policy["level"]) == ("etl.nightly", 1, "expect")
    assert policy["policy"] == policy["stored"]
    assert policy["policy"]["schedule"]["cron"] == "0 2 * * *"
    assert (policy["declared"], policy["source"]) == (None, {"schedule": "stored"})
    assert (policy["problems"], policy["warnings"]) == ([], [])
    assert api.item("/workflows/etl.nightly/policy") == policy


def test_yaml_is_as_good_as_json(api):
    """The same document in YAML is the same policy; `on`, `no` and dates in it are words."""
    text = "# nightly\nschedule: {cron: 0 2 * * *, tz: Europe/Berlin, grace: 15m}\nalert: {channels: [on, no, 010, 2026-01-01]}\n"
    policy = api.change("PUT", "/workflows/a/policy", content=text, headers=YAML)["policy"]
    assert policy["schedule"] == api.change("PUT", "/workflows/b/policy", NIGHTLY)["policy"]["schedule"]
    assert policy["alert"]["channels"] == ["on", "no", "010", "2026-01-01"]


def test_a_stored_policy_overrides_code_key_by_key(api):
    """Each key says who set it; what is not stored stays as code declares it, in parts where a key has parts."""
    ran(api, declared=Declared(schedule="every 1h", grace="5m", max_duration="2h"))
    before = api.item("/workflows/etl.nightly/policy")
    assert before["source"] == {"schedule": "code", "expect": "code"}
    assert before["stored"] is None
    after = api.change("PUT", "/workflows/etl.nightly/policy", NIGHTLY)
    assert after["source"] == {"schedule": "stored", "expect": "code"}
    assert after["declared"] == before["policy"]
    assert after["policy"]["schedule"]["cron"] == "0 2 * * *"
    mixed = api.change("PUT", "/workflows/etl.nightly/policy", {"expect": {"failures": 2}})
    assert mixed["source"] == {"schedule": "code", "expect": "both"}
    assert mixed["policy"]["expect"] == {"max_duration": "2h", "failures": 2}
    without = api.change("PUT", "/workflows/etl.nightly/policy", {"schedule": None})
    assert without["source"] == {"expect": "code"}


def test_the_empty_document_gives_code_its_say_again(api):
    """PUT {} takes the stored policy away; a workflow without any observes."""
    ran(api, declared=Declared(schedule="every 1h"))
    api.change("PUT", "/workflows/etl.nightly/policy", NIGHTLY)
    policy = api.change("PUT", "/workflows/etl.nightly/policy", {})
    assert (policy["stored"], policy["source"]) == (None, {"schedule": "code"})
    api.change("PUT", "/workflows/other/policy", NIGHTLY)
    assert api.change("PUT", "/workflows/other/policy", {})["level"] == "observe"


def test_every_version_is_kept_with_who_and_why(api):
    """The newest first, those that code declared among them."""
    ran(api, declared=Declared(schedule="every 1h"))
    api.change("PUT", "/workflows/etl.nightly/policy", NIGHTLY, params={"author": "ada", "reason": "it moved"})
    newest, oldest = api.item("/workflows/etl.nightly/policy/versions")["items"]
    assert (newest["version"], newest["origin"], newest["author"], newest["reason"]) == (2, "stored", "ada", "it moved")
    assert newest["policy"]["schedule"]["cron"] == "0 2 * * *"
    assert (oldest["version"], oldest["origin"], oldest["author"]) == (1, "code", f"run {RUN}")


def test_a_workflow_that_only_ran_has_the_empty_policy(api):
    """Version 0, level observe; one that nobody ever heard of is a 404."""
    ran(api)
    policy = api.item("/workflows/etl.nightly/policy")
    assert (policy["version"], policy["level"], policy["policy"]) == (0, "observe", {})
    assert api.item("/workflows/etl.nightly/policy/versions")["items"] == []
    for path in ("/workflows/none/policy", "/workflows/none/policy/versions"):
        assert api.refusal("GET", path)[:2] == (404, "not_found")


def test_a_name_with_slashes_and_dots_has_a_policy(api):
    """What comes after the name is told from the name."""
    path = "/workflows/team%2Fetl.policy%2Fnightly/policy"
    assert api.change("PUT", path, NIGHTLY)["workflow"] == "team/etl.policy/nightly"
    assert len(api.item(path + "/versions")["items"]) == 1


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"schedul": {"cron": "0 2 * * *"}}, "schedul"),
        ({"schedule": {"cron": "0 0 30 2 *"}}, "never"),
        ({"schedule": {"cron": "0 2 * * *", "tz": "Mars/Olympus"}}, "Mars/Olympus"),
        ({"workflow": "other", **NIGHTLY}, "'other'"),
        ([], ""),
        ("etl.nightly", ""),
        (None, ""),
    ],
    ids=str,
)
def test_a_policy_that_cannot_be_meant_is_refused(api, document, said):
    """A misspelt key, a schedule that never comes, an unknown zone, another's name: 422 with the reason; nothing is stored."""
    status, code, message = api.refusal(
        "PUT", "/workflows/w/policy", content=json.dumps(document), headers={"Content-Type": "application/json"}
    )
    assert (status, code in ("bad_policy", "invalid")) == (422, True)
    assert said in message
    assert api.refusal("GET", "/workflows/w/policy")[0] == 404


def test_every_problem_is_said_at_once(api):
    """Nobody likes to be corrected one error at a time."""
    message = api.refusal("PUT", "/workflows/w/policy", json={"schedul": {}, "expct": {}})[2]
    assert "schedul" in message
    assert "expct" in message


def test_a_grace_as_long_as_the_gap_is_a_warning(api):
    """It can be meant, so it is stored; the answer says what it does."""
    policy = api.change("PUT", "/workflows/w/policy", {"schedule": {"every": "10m", "grace": "20m"}})
    assert "grace" in " ".join(policy["warnings"])
    assert api.item("/workflows/w/policy")["warnings"] == policy["warnings"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schedule: {cron: 0 2 * * *\n", "line 2"),
        ("kind: script\nkind: service\n", "the key 'kind' is there twice"),
        ("a: &a [x]\nb: *a\n", "aliases"),
        ("? [a]\n: b\n", "a key must be text"),
        ("a: !!python/object:os.system {}\n", "python/object"),
        ("a: !!timestamp 2026-01-01\n", "JSON"),
        ("a: !!float .nan\n", "JSON"),
        ("[" * 5000, "nested"),
        (b"\xff\xfe", "decode"),
        ('a: "\\ud800"\n', ""),
        ("", "0 documents"),
        ("a: 1\n---\nb: 2\n", "2 documents"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_text_that_is_no_document_says_where(api, text, said):
    """422 with the place and the reason; nothing in a text does more than be read."""
    status, _, message = api.refusal("PUT", "/workflows/w/policy", content=text, headers=YAML)
    assert status == 422
    assert said in message


def test_json_with_a_key_twice_is_refused(api):
    """Which of the two was meant nobody can know."""
    text = '{"kind": "script", "kind": "service"}'
    assert "twice" in api.refusal("PUT", "/workflows/w/policy", content=text, headers={"Content-Type": "application/json"})[2]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_of_another_type_is_refused(api, kind):
    """What a page can send unasked is no policy."""
    assert api.refusal("PUT", "/workflows/w/policy", content="kind: script", headers={"Content-Type": kind})[:2] == (
        415,
        "unsupported_media_type",
    )


def test_a_foreign_page_changes_no_policy(api):
    """Its Origin is not of this machine."""
    sent = {"json": NIGHTLY, "headers": {"Origin": "http://evil.example"}}
    assert api.refusal("PUT", "/workflows/w/policy", **sent)[:2] == (403, "foreign_origin")


def test_a_body_without_end_is_refused(api):
    """4 MiB are enough for every policy that there is."""
    assert api.refusal("PUT", "/workflows/w/policy", content=b"#" * (5 << 20), headers=YAML)[0] == 413


def test_several_policies_are_stored_together(api):
    """Documents of one text, each with its name; the answer has them in their order."""
    text = "workflow: a\nschedule: {every: 1h}\n---\n---\nworkflow: team/b\nexpect: {max_duration: 2h}\n"
    answer = api.change("POST", "/policies", content=text, headers=YAML, params={"author": "ada"})
    assert answer["applied"] is True
    assert [(each["workflow"], each["level"]) for each in answer["items"]] == [("a", "expect"), ("team/b", "expect")]
    assert api.item("/workflows/team%2Fb/policy/versions")["items"][0]["author"] == "ada"


def test_one_bad_document_stores_none(api):
    """The refusal names each document that is wrong, and why."""
    text = (
        "workflow: a\nschedule: {every: 1h}\n---\nworkflow: b\nschedul: {}\n---\nkind: script\n---\nworkflow: a\nkind: script\n"
    )
    status, code, message = api.refusal("POST", "/policies", content=text, headers=YAML)
    assert (status, code) == (422, "bad_policy")
    assert "b: " in message
    assert "does not say whose it is" in message
    assert "two documents are of 'a'" in message
    assert api.refusal("GET", "/workflows/a/policy")[0] == 404


def test_a_dry_run_says_what_would_be_and_stores_nothing(api):
    """Level, source and warnings as after storing it."""
    ran(api, "a", declared=Declared(max_duration="2h"))
    text = "workflow: a\nschedule: {every: 10m, grace: 20m}\n"
    dry = api.change("POST", "/policies", content=text, headers=YAML, params={"dry_run": 1})
    assert dry["applied"] is False
    assert api.item("/workflows/a/policy")["stored"] is None
    assert api.change("POST", "/policies", content=text, headers=YAML)["items"] == dry["items"]


def test_a_workflow_shows_what_is_ahead_of_it(api):
    """Its level, its next slot, its last verdict; one that has a policy and never ran is there too."""
    api.change("PUT", "/workflows/new/policy", NIGHTLY)
    ran(api, "old")
    new, old = api.item("/workflows")["items"]
    assert (new["name"], new["level"], new["state"], new["last_run"], new["outcomes"]) == ("new", "expect", None, None, [])
    assert (old["name"], old["level"], old["state"], old["next_due_at"]) == ("old", "observe", "running", None)
    assert api.item("/workflows/new") == new


def test_slots_are_listed_by_time_and_filtered(api):
    """The last due first, page by page, with the run that filled each; `since` is inclusive, `until` is not."""
    day = 86_400 * SECOND
    due = [T0 + n * day for n in range(4)]
    add_slots(
        api,
        ("a", "", Slot(due[0], due[0], due[0] + 60 * SECOND, 2, "on_time", None, RUN, due[0] + SECOND, 1)),
        ("a", "", Slot(due[1], due[1], due[1] + 60 * SECOND, 2, "missed", None, None, None, 1)),
        ("b", "box", Slot(due[2], due[2], due[2] + 60 * SECOND, 1)),
    )
    first, second, third = api.item("/slots")["items"]
    assert third == {
        "workflow": "a", "host": None, "due_at": "2026-09-21T14:13:20.000000Z", "deadline_at": "2026-09-21T14:14:20.000000Z",
        "verdict": "on_time", "reason": None, "run_id": RUN, "started_at": "2026-09-21T14:13:21.000000Z", "revision": 1,
        "policy_version": 2,
    }  # fmt: skip
    assert (first["host"], first["verdict"], first["revision"]) == ("box", None, 0)
    assert [each["workflow"] for each in api.item("/slots", workflow="a")["items"]] == ["a", "a"]
    assert api.item("/slots", verdict="missed")["items"] == [second]
    assert api.item("/slots", since="2026-09-22T14:13:20Z", until="2026-09-23T14:13:20Z")["items"] == [second]
    page = api.item("/slots", limit=2)
    assert api.item("/slots", limit=2, cursor=page["next"])["items"] == [third]
    assert api.refusal("GET", "/slots?verdict=good")[:2] == (422, "invalid")
    assert api.refusal("GET", "/slots?cursor=x")[:2] == (400, "bad_cursor")


def test_a_run_says_which_slot_it_filled(api):
    """In lists, alone, and as a workflow's last run, although its own events name none."""
    ran(api, "a")
    add_slots(api, ("a", "", Slot(T0 - SECOND, T0 - SECOND, T0 + SECOND, 1, "on_time", None, RUN, T0, 1)))
    at = "2026-09-21T14:13:19.000000Z"
    assert api.item("/runs")["items"][0]["slot_at"] == at
    assert api.item(f"/runs/{RUN}")["slot_at"] == at
    assert api.item("/workflows/a")["last_run"]["slot_at"] == at
