"""Incidents: the list, and each of them with what happened to it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dashboard_items import BERLIN, HOSTILE, NIGHT, NOW, an_incident, iso

from rota_dashboard.shape.incident import Known, detail, listing

HOUR = timedelta(hours=1)


def listed(*items: Any, chosen: str = "open", cursor: str = "", following: str | None = None) -> dict[str, Any]:
    return listing({"items": list(items), "next": following}, chosen, cursor, BERLIN, NOW, None)


def told(history: list[Any] | None = None, alerts: list[Any] | None = None, **fields: Any) -> dict[str, Any]:
    return detail(Known({"members": [], **an_incident(**fields)}, history or [], alerts or [], None, NOW), BERLIN, None)


def test_the_title_counts_those_that_are_open():
    """Or says that nothing is; of closed ones nobody needs a number."""
    assert listed()["title"] == "Nothing needs you."
    assert listed(an_incident())["title"] == "1 open incident"
    assert listed(an_incident("1"), an_incident("2"))["title"] == "2 open incidents"
    assert listed(chosen="closed")["title"] == "Closed incidents"


def test_an_empty_list_says_what_that_means():
    """Nothing is wrong as far as anybody knows, or nothing has closed yet."""
    assert listed()["empty"] == "Nothing is wrong, as far as anybody knows."
    assert listed(chosen="closed")["empty"] == "No incident has closed yet."


def test_those_that_another_explains_stand_under_it():
    """Each once, dim, whatever explains what, and none is lost: neither of a chain, nor of a ring, nor without its leader."""
    items = [
        an_incident("mail", workflow="mail", suppressed_by="report"),
        an_incident("report", workflow="report", suppressed_by="up"),
        an_incident("alone", workflow="alone", group_id="on another page"), an_incident("up", workflow="ingest"),
        an_incident("ring1", workflow="x", suppressed_by="ring2"), an_incident("ring2", workflow="y", suppressed_by="ring1"),
    ]  # fmt: skip
    rows = listed(*items)["rows"]
    assert [(row["name"], row["under"]) for row in rows] == [
        ("alone", False), ("ingest", False), ("report", True), ("mail", True), ("x", False), ("y", True)
    ]  # fmt: skip
    assert {row["name"]: row["note"] for row in rows if row["note"]} == {
        "alone": "one of several", "x": "explained by another one",
        **dict.fromkeys(("report", "mail", "y"), "explained by the one above"),
    }  # fmt: skip


def test_a_closed_one_says_when_after_how_long_and_why():
    """And ticks no more."""
    closed = an_incident(state="closed", opened_at=iso(NIGHT), closed_at=iso(NIGHT + HOUR), reason="a run succeeded")
    [row] = listed(closed, chosen="closed")["rows"]
    assert (row["since"], row["note"], row["dim"]) == (None, "closed today 03:00 after 1h 00m: a run succeeded", True)
    assert listed(closed | {"reason": None}, chosen="closed")["rows"][0]["note"] == "closed today 03:00 after 1h 00m"


def test_pages_are_reached_by_links():
    """Back to the newest from a later page; onwards while there are more; the filter stays."""
    first, later = listed(following="abc", chosen="closed"), listed(cursor="abc", chosen="closed")
    assert (first["newest"], first["older"]) == (None, "/incidents?show=closed&from=abc")
    assert (later["newest"], later["older"]) == ("/incidents?show=closed", None)
    assert [(each["href"], each["on"]) for each in first["filters"]] == [("/incidents", False), ("/incidents?show=closed", True)]


@pytest.mark.parametrize(
    ("fields", "tone", "facts"),
    [
        ({}, "bad", ["since today 09:32", "people were last told today 09:32"]),
        ({"told_at": None}, "bad", ["since today 09:32", "nobody was told"]),
        ({"state": "acknowledged", "acked_by": "ada"}, "mute",
         ["since today 09:32", "acknowledged by ada", "people were last told today 09:32"]),
        ({"state": "snoozed", "snoozed_until": iso(NOW + 24 * HOUR), "told_at": None}, "mute",
         ["since today 09:32", "snoozed until tomorrow 10:02", "nobody was told"]),
        ({"state": "closed", "closed_at": iso(NOW), "told_at": None}, "mute",
         ["since today 09:32", "closed today 10:02: no reason given", "nobody was told"]),
    ],
)  # fmt: skip
def test_its_facts_are_how_long_who_has_it_and_who_knows(fields, tone, facts):
    """Only what nobody has taken is coloured."""
    found = told(**fields)
    assert (found["tone"], found["facts"]) == (tone, facts)


def test_it_leads_to_its_workflow_its_run_its_leader_and_what_else_ran_then():
    """Whichever there are; the timeline opens at the time of the slot, else at that of the trouble, where the reader is."""
    found = told(kind="missed", due_at=iso(NIGHT), group_id="g", run_id=None)
    assert (found["workflow"], found["run"], found["leader"]) == ("/workflow?name=etl.nightly", None, "/incident?id=g")
    assert found["timeline"] == "/timeline?day=2026-11-23&at=02%3A00"
    of_host = told(workflow=None, host="etl-2", kind="host_silent")
    assert (of_host["workflow"], of_host["run"], of_host["leader"]) == (None, "/run?id=0193-1", None)
    assert of_host["timeline"] == "/timeline?day=2026-11-23&at=09%3A32"


def test_it_ticks_until_it_closes():
    """By the collector's clock."""
    found = told()
    assert (found["since"], found["now"]) == (round((NOW.timestamp() - 1800) * 1000), NOW.timestamp() * 1000)
    assert told(state="closed", closed_at=iso(NOW))["since"] is None


def test_a_slot_is_named_in_the_zone_of_its_schedule():
    """As the policy means it, wherever the reader is."""
    incident = {"members": [], **an_incident(kind="missed", due_at=iso(NIGHT))}
    found = detail(Known(incident, [], [], ZoneInfo("Asia/Tokyo"), NOW), BERLIN, None)
    assert found["title"] == "Missed its 10:00 slot"


def test_what_happened_to_it_is_told_in_order():
    """When, what, by whom, why."""
    history = [
        {"at": iso(NIGHT), "transition": "opened", "summary": "the run failed", "by": None},
        {"at": iso(NOW), "transition": "acknowledged", "summary": None, "by": HOSTILE},
    ]
    assert told(history)["history"] == [
        {"at": "Today 02:00", "what": "opened", "by": "", "why": "the run failed"},
        {"at": "Today 10:02", "what": "acknowledged", "by": HOSTILE, "why": ""},
    ]


@pytest.mark.parametrize(
    ("state", "fields", "at", "what"),
    [
        ("sent", {"sent_at": iso(NOW)}, "Today 10:02", "sent"),
        ("dead", {"dead_at": iso(NOW), "error": "410 Gone"}, "Today 10:02", "given up"),
        ("waiting", {}, "Today 02:00", "waits"),
    ],
)
def test_who_was_told_is_said_with_what_became_of_it(state, fields, at, what):
    """Sent, given up with the reason, or still waiting."""
    alert = {"channel": "ops", "state": state, "title": HOSTILE, "created_at": iso(NIGHT), "sent_at": None, "dead_at": None,
             "error": None, **fields}  # fmt: skip
    found = told(alerts=[alert])["alerts"]
    assert found == [{"at": at, "channel": "ops", "what": what, "title": HOSTILE, "error": fields.get("error", "")}]


def test_who_was_told_is_in_the_order_of_time():
    """As what happened is, although the collector lists the newest first."""
    alert = {"channel": "ops", "state": "waiting", "title": "", "sent_at": None, "dead_at": None, "error": None}
    alerts = [{**alert, "created_at": iso(at)} for at in (NOW, NIGHT)]
    assert [each["at"] for each in told(alerts=alerts)["alerts"]] == ["Today 02:00", "Today 10:02"]


def test_a_group_lists_those_that_it_speaks_for():
    """Each a row with a link; the group is named by how many they are."""
    members = [an_incident("1", workflow="a"), an_incident("2", workflow="b")]
    found = told(workflow=None, kind="downtime", summary="…", members=members)
    assert (found["name"], [row["href"] for row in found["members"]]) == ("2 workflows", ["/incident?id=1", "/incident?id=2"])
    assert found["detail"] == ""


def test_the_error_is_shown_whole_and_as_it_was_written():
    """With its lines, unlike in a list; of one that is very long its head and its tail."""
    assert told(error=f"{HOSTILE}\nmore")["error"] == f"{HOSTILE}\nmore"
    assert told(error=None)["error"] is None
    long = told(error="x" * 1_000_000)["error"]
    assert len(long) < 50_000
    assert "characters left out" in long
