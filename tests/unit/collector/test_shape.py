"""Stored rows → items of the API: what is decided on the way."""

from __future__ import annotations

from typing import get_args

import pytest

from rota_collector.api import slots as slots_api
from rota_collector.api.shape import incident_item, incident_state, policy_item, quiet_item, slot_item, workflow_item
from rota_collector.domain.incident import Incident
from rota_collector.domain.slots import VERDICTS, Slot
from rota_collector.store.control_queries import Workflow
from rota_collector.store.policy_rows import PolicyView
from rota_collector.store.quiet import QuietTime
from rota_collector.store.slots import Outlook, SlotRow

NOW = 1_790_000_000 * 10**9
INCIDENT = Incident("i", "missed", "w", "", NOW, NOW, "it did not run")


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, "open"),
        ({"snoozed_until_ns": NOW + 1}, "snoozed"),
        ({"snoozed_until_ns": NOW}, "open"),
        ({"acked_ns": NOW}, "acknowledged"),
        ({"acked_ns": NOW, "snoozed_until_ns": NOW + 1}, "acknowledged"),
        ({"acked_ns": NOW, "snoozed_until_ns": NOW + 1, "closed_ns": NOW}, "closed"),
    ],
    ids=str,
)
def test_the_state_of_an_incident_is_what_says_most(fields, state):
    """Closed before acknowledged before snoozed, and a snooze that is over is none."""
    assert incident_state(INCIDENT._replace(**fields), NOW) == state


def test_who_acknowledged_is_told_as_long_as_it_holds():
    """A snooze takes an acknowledgement back."""
    assert incident_item(INCIDENT._replace(acked_ns=NOW, acked_by="ada"), NOW)["acked_by"] == "ada"
    assert incident_item(INCIDENT._replace(acked_ns=None, acked_by="ada"), NOW)["acked_by"] is None


@pytest.mark.parametrize(
    ("stored", "in_force", "source"),
    [
        (None, {"schedule": {"every": "1h"}}, {"schedule": "code"}),
        ({"schedule": {"every": "2h"}}, {"schedule": {"every": "2h"}}, {"schedule": "stored"}),
        ({"expect": {"failures": 2}}, {"expect": {"failures": 2, "max_duration": "1h"}}, {"expect": "both"}),
        ({"expect": {"failures": None}}, {"expect": {"max_duration": "1h"}}, {"expect": "both"}),
        ({"kind": None}, {"per": "host"}, {"per": "code"}),
        ({"kind": "script"}, {"kind": "script", "per": "host"}, {"kind": "stored", "per": "code"}),
    ],
    ids=str,
)
def test_each_key_of_a_policy_says_who_set_it(stored, in_force, source):
    """Stored, code, or both where a key has parts of either."""
    assert policy_item(PolicyView("w", 1, in_force, stored, {}, []), [])["source"] == source


def test_a_workflow_that_never_ran_has_no_state():
    """And no last run, and no tags; what is ahead of it is there."""
    item = workflow_item(Workflow("w", None, [], None, None), Outlook(NOW, "missed", True, 2), "expect")
    assert (item["state"], item["last_run"], item["tags"], item["outcomes"]) == (None, None, [], [])
    assert (item["level"], item["verdict"], item["paused"], item["open_incidents"]) == ("expect", "missed", True, 2)
    assert item["next_due_at"] == "2026-09-21T14:13:20.000000Z"


def test_what_spans_all_hosts_has_none():
    """An empty name is no name."""
    assert slot_item(SlotRow("w", "", Slot(NOW, NOW, NOW, 1)))["host"] is None
    assert slot_item(SlotRow("w", "box", Slot(NOW, NOW, NOW, 1)))["host"] == "box"
    group = incident_item(INCIDENT._replace(workflow="", host="box"), NOW)
    assert (group["workflow"], group["host"]) == (None, "box")
    assert quiet_item(QuietTime("q", "pause", "w", "*", NOW, None, "", "ada"))["reason"] is None


def test_slots_can_be_asked_for_by_every_verdict():
    """The words of the API are the words of the decision."""
    assert get_args(slots_api.Verdict) == VERDICTS
