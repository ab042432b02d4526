"""The commands about what is expected, against a real collector that watches: policies, slots, incidents, quiet times."""

from __future__ import annotations

import json
import time

import otlp
import pytest
from collectors import until

POLICIES = """\
# two workflows
workflow: etl.nightly
schedule: {cron: "0 2 * * *", tz: Europe/Berlin, grace: 15m}
expect: {max_duration: 2h}
---
workflow: team/report
schedule: {every: 10m, grace: 20m}
"""


@pytest.fixture
def applied(rota, tmp_path):
    """Two workflows with policies that were never run."""
    file = tmp_path / "rota.yaml"
    file.write_text(POLICIES)
    rota("policy", "apply", "-f", str(file), "--reason", "as the crontab has it")
    return file


@pytest.fixture
def incident(shared_collector):
    """An open incident, of a run that failed just now."""
    n = time.time_ns() // otlp.SECOND - otlp.T0 // otlp.SECOND
    workflow = f"broken{n}"
    shared_collector.send(
        *otlp.whole_run(n, "failed", workflow=workflow, error_type="ValueError", error_message="no \x1b[31mred")
    )
    (found,) = until(lambda: shared_collector.item("/incidents", workflow=workflow)["items"], "an incident")
    return found


def test_policies_of_a_file_are_applied(rota, applied, shared_collector):
    """A line for each; the warning is for people, the items for programs; a second time is no other version."""
    out = rota("policy", "apply", "-f", str(applied)).splitlines()
    assert [line.split()[:2] for line in out[1:3]] == [["etl.nightly", "expect"], ["team/report", "expect"]]
    assert out[3].startswith("warning: team/report: schedule: the grace of 20 min")
    items = json.loads(rota("policy", "apply", "-f", "-", "--json", stdin=POLICIES))
    assert (items[0].pop("change"), items[0].pop("before")) == ("same", items[0]["stored"])
    assert items[0] == shared_collector.item("/workflows/etl.nightly/policy")


def test_json_is_a_file_too(rota, tmp_path, shared_collector):
    """By its name: one document, or a list of them."""
    file = tmp_path / "rota.json"
    file.write_text('[\n\t{"workflow": "of.json", "expect": {"max_duration": "2h"}}]')
    rota("policy", "apply", "-f", str(file))
    assert shared_collector.item("/workflows/of.json/policy")["stored"] == {"expect": {"max_duration": "2h"}}


def test_a_dry_run_changes_nothing(rota, shared_collector):
    """It says what would be in force."""
    out = rota("policy", "apply", "-f", "-", "--dry-run", stdin="workflow: dry\nschedule: {every: 1h}\n")
    assert out.endswith("nothing was stored: --dry-run\n")
    assert shared_collector.get("/api/v1/workflows/dry/policy").status_code == 404


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("workflow: a\nschedul: {}\n", "did you mean schedule?"),
        ("workflow: a\nschedule: {cron: 0 0 30 2 *}\n", "never comes"),
        ("workflow: a\nschedule: {cron: [0\n", "line 3"),
        ("schedule: {every: 1h}\n", "does not say whose it is"),
    ],
)
def test_a_policy_that_cannot_be_used_is_refused_in_one_sentence(rota, text, said):
    """On stderr, with exit status 1."""
    said_it = rota("policy", "apply", "-f", "-", stdin=text, status=1)
    assert said_it.startswith("rota: ")
    assert said_it.count("\n") == 1
    assert said in said_it


def test_a_file_that_is_not_there_is_said(rota):
    """With its name."""
    assert "cannot read /nowhere.yaml: No such file" in rota("policy", "apply", "-f", "/nowhere.yaml", status=1)


def test_policy_get_says_who_set_what(rota, applied, shared_collector):
    """Level, version and the keys with their origin; --json prints the API's item."""
    out = rota("policy", "get", "etl.nightly")
    assert "level     expect" in out
    assert [line.split()[:2] for line in out.splitlines() if "stored" in line] == [["expect", "stored"], ["schedule", "stored"]]
    assert json.loads(rota("policy", "get", "team/report", "--json")) == shared_collector.item("/workflows/team%2Freport/policy")
    assert "'none'" in rota("policy", "get", "none", status=1)


def test_policy_versions_say_who_and_why(rota, applied, shared_collector):
    """The newest first."""
    newest = rota("policy", "get", "etl.nightly", "--versions").splitlines()[1]
    assert "ada@" in newest
    assert "as the crontab has it" in newest
    versions = json.loads(rota("policy", "get", "etl.nightly", "--versions", "--json"))
    assert versions == shared_collector.item("/workflows/etl.nightly/policy/versions")["items"]


def test_ls_says_what_is_next(rota, applied, shared_collector):
    """Workflows that never ran are there, with the time of their next slot."""
    until(lambda: shared_collector.item("/workflows/etl.nightly")["next_due_at"], "the monitor to plan the slot")
    heading, *lines = rota("ls").splitlines()
    assert heading.split()[5:7] == ["NEXT", "VERDICT"]
    nightly = next(line for line in lines if line.startswith("etl.nightly "))
    assert "never ran" in nightly
    assert ", in " in nightly
    until(  # the monitor may plan the other one's slot between the two readings
        lambda: json.loads(rota("ls", "--json")) == shared_collector.item("/workflows")["items"], "--json to be the API's items"
    )


def test_slots_are_listed(rota, applied, shared_collector):
    """Those of one workflow, or of all; filters as the API has them."""
    until(lambda: shared_collector.item("/slots", workflow="etl.nightly")["items"], "the monitor to plan the slot")
    heading, line = rota("slots", "etl.nightly").splitlines()
    assert heading.split() == ["DUE", "WORKFLOW", "HOST", "VERDICT", "STARTED", "RUN"]
    assert "etl.nightly" in line
    (slot,) = json.loads(rota("slots", "etl.nightly", "--json"))
    assert (slot["verdict"], slot["run_id"]) == (None, None)
    assert rota("slots", "etl.nightly", "--verdict", "missed") == "no such slot\n"
    assert "verdict" in rota("slots", "--verdict", "good", status=1)


def test_a_missed_slot_is_told_in_sql_too(rota, shared_collector):
    """From the policy to the verdict: nobody ran it, so it is missed, and `slot_events` and `incident_events` say so."""
    rota("policy", "apply", "-f", "-", stdin="workflow: never\nschedule: {every: 1s, grace: 1s}\n")
    try:
        query = "SELECT count(*) AS n FROM slot_events WHERE workflow = 'never' AND verdict = 'missed' AND revision = 1"
        until(lambda: json.loads(rota("sql", query, "--json"))[0]["n"], "a missed slot")
        (opened,) = json.loads(rota("sql", "SELECT * FROM incident_events WHERE workflow = 'never'", "--json"))[:1]
        assert (opened["kind"], opened["transition"]) == ("missed", "opened")
        assert shared_collector.item("/workflows/never")["verdict"] == "missed"
        assert json.loads(rota("slots", "never", "--verdict", "missed", "--limit", "1", "--json"))
    finally:
        rota("policy", "apply", "-f", "-", stdin="workflow: never\n")


def test_incidents_are_listed_and_shown(rota, incident, shared_collector):
    """Open ones; nothing that a script wrote reaches the terminal as a command."""
    line = next(line for line in rota("incidents").splitlines() if line.startswith(incident["id"][:8]))
    assert line.split()[1:4] == [incident["workflow"], "failed", "open"]
    out = rota("incidents", "show", incident["id"][:8])
    assert "ValueError: no \\x1b[31mred" in out
    assert "\x1b" not in out
    assert json.loads(rota("incidents", "show", incident["id"], "--json")) == shared_collector.item(
        f"/incidents/{incident['id']}"
    )
    items = json.loads(rota("incidents", "--workflow", incident["workflow"], "--json"))
    assert [each["id"] for each in items] == [incident["id"]]


def test_incidents_are_acted_on(rota, incident, shared_collector):
    """Acknowledged, snoozed, closed, by whoever types; what is closed is listed with --all only."""
    short = incident["id"][:8]
    assert "acknowledged by ada@" in rota("incidents", "ack", short)
    assert "snoozed until" in rota("incidents", "snooze", short, "--for", "2h")
    assert json.loads(rota("incidents", "close", short, "--json"))["state"] == "closed"
    assert short not in rota("incidents")
    assert short in rota("incidents", "--all")
    assert "is closed already" in rota("incidents", "ack", short, status=1)
    assert "no incident 'zzz'" in rota("incidents", "show", "zzz", status=1)
    assert "'soon' is no duration" in rota("incidents", "snooze", short, "--for", "soon", status=1)


def test_a_workflow_is_paused_and_resumed(rota, applied, shared_collector):
    """For a while, or until it is resumed; `rota ls` says so."""
    assert rota("pause", "team/report", "--for", "2h", "--reason", "holidays").startswith("team/report is paused until ")
    line = next(line for line in rota("ls").splitlines() if line.startswith("team/report"))
    assert "paused" in line
    assert rota("pause", "team/report").endswith("until somebody resumes it: rota resume team/report\n")
    assert rota("resume", "team/report") == "team/report is expected again\n"
    assert rota("resume", "team/report") == "team/report was not paused\n"
    assert "'none'" in rota("pause", "none", status=1)


def test_maintenance_is_added_listed_and_removed(rota):
    """By pattern; the beginning of an id is enough to end one."""
    assert rota("maintenance", "ls") == "no pause and no maintenance is on or to come\n"
    added = rota(
        "maintenance", "add", "etl.*", "--from", "2030-01-31T20:00", "--until", "2030-01-31T22:00Z", "--reason", "upgrade"
    )
    assert added.splitlines()[1].split()[1:4] == ["maintenance", "etl.*", "*"]
    (window,) = json.loads(rota("maintenance", "ls", "--json"))
    assert (window["from_at"], window["by"][:4]) == ("2030-01-31T20:00:00.000000Z", "ada@")
    assert "none begin with 'zzz'" in rota("maintenance", "rm", "zzz", status=1)
    assert rota("maintenance", "rm", window["id"][:6]) == f"{window['id'][:8]} is over\n"
    assert json.loads(rota("maintenance", "ls", "--json")) == []
    assert "'tomorrow' is no time" in rota("maintenance", "add", "x", "--until", "tomorrow", status=1)


@pytest.mark.parametrize(
    "words", [["policy"], ["maintenance"], ["incidents", "snooze", "x"], ["maintenance", "add", "x"], ["pause"]]
)
def test_what_is_missing_is_wrong_usage(rota, words):
    """Exit status 2."""
    assert "usage: " in rota(*words, status=2)
