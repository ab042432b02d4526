"""Incidents and quiet times over HTTP: what is wrong, what people do about it, and when nothing is expected."""

from __future__ import annotations

import pytest
from asking import SECOND, T0, Api, new_stores

from rota.rules.fold import RunEvent
from rota_collector.domain.incident import Alerting, Incident, Transition, close, incident_id, told
from rota_collector.store import incidents as store

HOUR = 3600 * SECOND
RUN = "01990000-0000-7000-8000-000000000001"


@pytest.fixture
def api(tmp_path):
    stores = new_stores(tmp_path)
    stores.control.apply([RunEvent(RUN + "s", RUN, "etl.nightly", "running", T0)], 1)
    yield Api(stores)
    stores.control.close()


def broken(api, kind="missed", workflow="etl.nightly", ago=HOUR, **fields) -> str:
    """Open an incident, which people are told of; its id."""
    at = T0 - ago
    incident = Incident(incident_id(kind, workflow, "", at), kind, workflow, "", at, at - SECOND, "no run started", **fields)
    keep(api, told("opened", incident, Alerting(), at))
    return incident.id


def keep(api, *transitions: Transition) -> None:
    with api.stores.expectations.transaction() as connection:
        store.keep(connection, list(transitions))


def test_an_incident_has_the_fields_that_others_rely_on(api):
    """The item of an incident, name by name."""
    identity = broken(api, due_ns=T0 - HOUR - 60 * SECOND, run_id=RUN, error="ValueError: no")
    assert api.item("/incidents")["items"] == [
        {
            "id": identity, "kind": "missed", "state": "open", "workflow": "etl.nightly", "host": None,
            "summary": "no run started", "opened_at": "2026-09-21T13:13:20.000000Z", "since_at": "2026-09-21T13:13:19.000000Z",
            "closed_at": None, "reason": None, "run_id": RUN,
            "due_at": "2026-09-21T13:12:20.000000Z", "error": "ValueError: no", "acked_by": None,
            "snoozed_until": None, "group_id": None, "suppressed_by": None, "told_at": "2026-09-21T13:13:20.000000Z",
        }
    ]  # fmt: skip


def test_incidents_are_filtered_and_paged(api):
    """The last opened first; `state=open` is all that are not closed."""
    first, second, third = broken(api, "failed", ago=3 * HOUR), broken(api, "silent", "other", 2 * HOUR), broken(api)
    api.change("POST", f"/incidents/{first}/close")
    api.change("POST", f"/incidents/{second}/ack")
    assert [each["id"] for each in api.item("/incidents")["items"]] == [third, second, first]
    assert [each["id"] for each in api.item("/incidents", state="open")["items"]] == [third, second]
    assert [each["id"] for each in api.item("/incidents", state="closed")["items"]] == [first]
    assert [each["id"] for each in api.item("/incidents", workflow="other")["items"]] == [second]
    page = api.item("/incidents", limit=2)
    assert [each["id"] for each in api.item("/incidents", limit=2, cursor=page["next"])["items"]] == [first]
    assert api.refusal("GET", "/incidents?state=happy")[:2] == (422, "invalid")
    assert api.refusal("GET", "/incidents?cursor=x")[:2] == (400, "bad_cursor")


def test_a_group_comes_with_its_members(api):
    """An incident of a host has no workflow of its own: it speaks for those of others."""
    group = Incident("b" * 8, "host_silent", "", "box", T0, T0, "nothing was heard of box")
    keep(api, told("opened", group, Alerting(), T0))
    member = broken(api, group_id=group.id)
    detail = api.item(f"/incidents/{group.id}")
    assert (detail["workflow"], detail["host"]) == (None, "box")
    assert [each["id"] for each in detail["members"]] == [member]
    assert api.item(f"/incidents/{member}")["members"] == []
    assert api.item(f"/incidents/{member}")["group_id"] == group.id


def test_the_beginning_of_an_id_is_enough(api):
    """For people who type; an id of nothing is a 404."""
    identity = broken(api)
    assert api.item(f"/incidents/{identity[:6]}")["id"] == identity
    assert api.change("POST", f"/incidents/{identity[:6]}/ack")["id"] == identity
    for path in ("/incidents/zzz", "/incidents/zzz/ack"):
        method = "POST" if path.endswith("ack") else "GET"
        assert api.refusal(method, path)[:2] == (404, "not_found")


def test_who_acknowledges_is_kept(api):
    """The body may say who; without one it was somebody who uses the API."""
    identity = broken(api)
    assert api.change("POST", f"/incidents/{identity}/ack", {"by": "ada"})["state"] == "acknowledged"
    assert api.item(f"/incidents/{identity}")["acked_by"] == "ada"
    assert api.change("POST", f"/incidents/{broken(api, 'failed')}/ack")["acked_by"] == "api"


def test_a_snooze_ends_by_itself(api):
    """It is snoozed until then, and open again afterwards."""
    identity = broken(api)
    snoozed = api.change("POST", f"/incidents/{identity}/snooze", {"seconds": 3600})
    assert (snoozed["state"], snoozed["snoozed_until"]) == ("snoozed", "2026-09-21T15:13:20.000000Z")
    api.stores.clock.advance(3600)
    assert api.item(f"/incidents/{identity}")["state"] == "open"
    again = api.change("POST", f"/incidents/{identity}/snooze", {"until": "2026-09-21T20:00:00+02:00"})
    assert again["snoozed_until"] == "2026-09-21T18:00:00.000000Z"


@pytest.mark.parametrize(
    "asked", [{}, {"seconds": 0}, {"seconds": -1}, {"until": "2020-01-01T00:00:00Z"},
              {"seconds": 60, "until": "2027-01-01T00:00:00Z"},
              {"until": "2027-01-01T00:00:00"}, {"second": 60}, {"seconds": 1e300}],
    ids=str,
)  # fmt: skip
def test_a_snooze_needs_one_end_that_is_to_come(api, asked):
    """Neither, both, an end that is over, a time without a zone, or a misspelt key is a 422."""
    assert api.refusal("POST", f"/incidents/{broken(api)}/snooze", json=asked)[0] == 422


def test_what_is_closed_stays_closed(api):
    """A person closes it once; after that, nothing can be done about it."""
    identity = broken(api)
    closed = api.change("POST", f"/incidents/{identity}/close", {"by": "ada"})
    assert (closed["state"], closed["closed_at"], closed["reason"]) == ("closed", "2026-09-21T14:13:20.000000Z", "closed by ada")
    for action, body in (("ack", {}), ("close", {}), ("snooze", {"seconds": 60})):
        assert api.refusal("POST", f"/incidents/{identity}/{action}", json=body)[:2] == (409, "closed")


def test_an_incident_that_healed_says_why(api):
    """The facts closed it, nobody did."""
    identity = broken(api)
    incident = api.stores.expectations.incidents.get(identity)
    keep(api, close(incident, "a run succeeded", T0, Alerting()))
    healed = api.item(f"/incidents/{identity}")
    assert (healed["state"], healed["reason"], healed["acked_by"]) == ("closed", "a run succeeded", None)


def test_a_workflow_counts_its_open_incidents(api):
    """Closed ones, and those of others, are not its trouble."""
    broken(api)
    broken(api, "failed", "other")
    gone = broken(api, "silent")
    api.change("POST", f"/incidents/{gone}/close")
    assert api.item("/workflows/etl.nightly")["open_incidents"] == 1


def test_a_pause_lasts_until_it_is_resumed(api):
    """While it is on, the workflow says so."""
    pause = api.change("POST", "/workflows/etl.nightly/pause", {"reason": "holidays", "by": "ada"})
    assert (pause["kind"], pause["workflow"], pause["until_at"], pause["reason"], pause["by"]) == (
        "pause", "etl.nightly", None, "holidays", "ada",
    )  # fmt: skip
    assert api.item("/workflows/etl.nightly")["paused"] is True
    assert api.item("/maintenance")["items"] == [pause]
    assert api.change("POST", "/workflows/etl.nightly/resume") == {"workflow": "etl.nightly", "was_paused": True}
    assert api.item("/workflows/etl.nightly")["paused"] is False
    assert api.change("POST", "/workflows/etl.nightly/resume", {"by": "ada"})["was_paused"] is False


def test_a_pause_may_have_an_end(api):
    """After so many seconds, or at a time; a pause that is on is replaced."""
    assert api.change("POST", "/workflows/etl.nightly/pause", {"seconds": 60})["until_at"] == "2026-09-21T14:14:20.000000Z"
    assert api.change("POST", "/workflows/etl.nightly/pause", {"until": "2026-09-22T00:00:00Z"})["reason"] is None
    assert len(api.item("/maintenance")["items"]) == 1
    api.stores.clock.advance(86_400)
    assert api.item("/workflows/etl.nightly")["paused"] is False


def test_a_time_beyond_all_clocks_is_the_last_there_is(api):
    """Year 9999 means for ever, and is no error of ours."""
    assert api.change("POST", "/workflows/etl.nightly/pause", {"until": "9999-12-31T00:00:00Z"})["until_at"].startswith("2262")
    assert api.item("/runs", since="0001-01-01T00:00:00Z", until="9999-12-31T00:00:00Z")["items"]


def test_only_what_is_known_can_be_paused(api):
    """A misspelt name would pause nothing; a workflow that has a policy and never ran is known."""
    assert api.refusal("POST", "/workflows/etl.nihgtly/pause")[:2] == (404, "not_found")
    assert api.refusal("POST", "/workflows/etl.nihgtly/resume")[:2] == (404, "not_found")
    api.change("PUT", "/workflows/team%2Fnew/policy", {"schedule": {"every": "1h"}})
    assert api.change("POST", "/workflows/team%2Fnew/pause")["workflow"] == "team/new"


def test_maintenance_is_of_a_pattern_and_has_an_end(api):
    """From now or from then, of workflows and hosts that match; listed until it is over."""
    window = api.change("POST", "/maintenance", {"workflow": "etl.*", "host": "db-*", "seconds": 7200, "reason": "upgrade"})
    assert (window["kind"], window["workflow"], window["host"], window["from_at"], window["until_at"]) == (
        "maintenance", "etl.*", "db-*", "2026-09-21T14:13:20.000000Z", "2026-09-21T16:13:20.000000Z",
    )  # fmt: skip
    later = api.change("POST", "/maintenance", {"from": "2026-09-22T00:00:00Z", "until": "2026-09-22T01:00:00Z"})
    assert (later["workflow"], later["host"]) == ("*", "*")
    assert len(api.item("/maintenance")["items"]) == 2
    api.stores.clock.advance(3 * 3600)
    assert [each["id"] for each in api.item("/maintenance")["items"]] == [later["id"]]


@pytest.mark.parametrize(
    "asked", [{"workflow": "a"}, {"workflow": "", "seconds": 60},
              {"from": "2026-09-22T00:00:00Z", "until": "2026-09-21T20:00:00Z"},
              {"from": "2026-09-21T00:00:00Z", "seconds": 60}, {"hosts": "a", "seconds": 60},
              {"from": "7600-01-01T00:00:00Z", "seconds": 60}],
    ids=str,
)  # fmt: skip
def test_maintenance_that_makes_no_sense_is_refused(api, asked):
    """Without an end, of nothing, before it begins, over already, or with a misspelt key: 422."""
    assert api.refusal("POST", "/maintenance", json=asked)[0] == 422


def test_a_quiet_time_can_be_ended_early(api):
    """A window or a pause; one that is over cannot be ended again."""
    window = api.change("POST", "/maintenance", {"seconds": 7200})
    assert api.change("DELETE", f"/maintenance/{window['id']}") == {"removed": window["id"]}
    assert api.item("/maintenance")["items"] == []
    assert api.refusal("DELETE", f"/maintenance/{window['id']}")[:2] == (404, "not_found")
