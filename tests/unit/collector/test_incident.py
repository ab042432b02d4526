"""Incidents: when people are told of what, and when not."""

from __future__ import annotations

from rota_collector.domain import groups
from rota_collector.domain import incident as incidents
from rota_collector.domain.expect import Downtime, Problem
from rota_collector.domain.incident import Alerting, Incident, Transition, transitions
from rota_collector.domain.review import Review

S = 10**9
MINUTE, HOUR = 60 * S, 3600 * S
NOW = 1_700_000_000 * S
TOLD = Alerting()
DOWNTIMES = [Downtime("d1", NOW - HOUR, NOW, NOW)]
MISSED = Problem("missed", NOW - HOUR, "no run started within 10 min of its time", NOW, None, NOW - HOUR)


def found(*problems: Problem, healed: dict[str, str] | None = None) -> Review:
    return Review([], [], list(problems), healed or {}, [], None)


def opened(
    workflow: str = "etl", on_host: str = "h1", now_ns: int = NOW, problem: Problem = MISSED, **more: object
) -> Transition:
    return transitions(workflow, "", on_host, found(problem), {}, TOLD, now_ns, **more)[0]  # type: ignore[arg-type]


def test_a_problem_opens_one_incident():
    """Once, with people told; the same problem again changes nothing."""
    change = opened()
    assert (change.name, change.is_told, change.incident.told_ns) == ("opened", True, NOW)
    assert transitions("etl", "", "h1", found(MISSED), {"missed": change.incident}, TOLD, NOW + S) == []


def test_a_worse_problem_updates_its_incident_silently():
    """A second missed slot changes what the incident says, and tells nobody."""
    there = {"missed": opened().incident}
    [change] = transitions("etl", "", "h1", found(MISSED._replace(due_ns=NOW)), there, TOLD, NOW + HOUR)
    assert (change.name, change.is_told, change.incident.due_ns, change.incident.since_ns) == ("updated", False, NOW, NOW - HOUR)


def test_what_heals_closes_and_says_so():
    """People who were told that it began are told that it is over, and why."""
    there = {"missed": opened().incident}
    [change] = transitions("etl", "", "h1", found(healed={"missed": "a run succeeded"}), there, TOLD, NOW + HOUR)
    assert (change.name, change.is_told, change.incident.closed_ns) == ("closed", True, NOW + HOUR)
    assert change.incident.reason == "a run succeeded"


def test_news_that_came_late_retracts():
    """An alert that turns out wrong is taken back in so many words."""
    there = {"missed": opened().incident}
    [change] = transitions("etl", "", "h1", found(healed={"missed": incidents.RETRACTED}), there, TOLD, NOW + HOUR)
    assert (change.name, change.is_told) == ("retracted", True)


def test_a_reminder_comes_after_its_time_and_then_again():
    """As often as the policy says, as long as it is open."""
    alerting = Alerting(remind_ns=4 * HOUR)
    first = incidents.told("opened", opened().incident, alerting, NOW).incident
    assert first.next_ns == NOW + 4 * HOUR
    change = incidents.due(first, alerting, NOW + 4 * HOUR)
    assert (change.name, change.is_told, change.incident.next_ns) == ("reminder", True, NOW + 8 * HOUR)


def test_an_escalation_goes_to_its_channel():
    """After its time, once a step; recovery is told there too."""
    alerting = Alerting(("ops",), None, ((30 * MINUTE, "oncall"), (HOUR, "boss")))
    incident = incidents.told("opened", opened().incident, alerting, NOW).incident
    change = incidents.due(incident, alerting, NOW + 30 * MINUTE)
    assert (change.name, change.channels, change.incident.next_ns) == ("escalated", ("oncall",), NOW + HOUR)
    assert incidents.close(change.incident, "fine", NOW + 40 * MINUTE, alerting).channels == ("ops", "oncall")


def test_an_acknowledged_incident_is_quiet_but_its_end_is_told():
    """No reminders while somebody works on it."""
    alerting = Alerting(remind_ns=HOUR)
    incident = incidents.acknowledge(opened().incident, "ada", NOW + MINUTE).incident
    assert incident.next_ns is None
    assert incidents.close(incident, "a run succeeded", NOW + HOUR, alerting).is_told


def test_a_snooze_ends_with_a_reminder():
    """Nothing is said until then; then people hear that it is still open."""
    incident = incidents.snooze(opened().incident, NOW + 2 * HOUR, NOW + MINUTE).incident
    change = incidents.due(incident, TOLD, NOW + 2 * HOUR)
    assert (change.name, change.is_told, change.incident.snoozed_until_ns) == ("reminder", True, None)


def test_a_workflow_whose_upstream_is_down_is_suppressed_and_says_so():
    """The upstream's incident explains it: nobody is told a second time."""
    change = opened(upstream="upstream-id")
    assert (change.name, change.is_told, change.incident.suppressed_by) == ("suppressed", False, "upstream-id")


def test_a_released_member_is_told_of_when_it_does_not_heal():
    """When the upstream is well again, the workflow has ten minutes, then people hear of it."""
    released = incidents.release(opened(upstream="up").incident, NOW)
    assert (released.is_told, released.incident.next_ns) == (False, NOW + incidents.RELEASE_NS)
    change = incidents.due(released.incident, TOLD, NOW + incidents.RELEASE_NS)
    assert (change.name, change.is_told) == ("opened", True)


def test_many_workflows_of_a_silent_host_are_one_incident():
    """Three workflows missed on a host of which nothing was heard since: one message, naming them."""
    changes = [opened(name) for name in ("a", "b", "c")]
    result = groups.grouped(changes, {}, {}, {"h1": NOW - 2 * HOUR}, DOWNTIMES, NOW)
    told = [change for change in result if change.is_told]
    assert [(change.incident.kind, change.incident.host, change.members) for change in told] == [
        ("host_silent", "h1", ("a", "b", "c"))
    ]
    assert {change.incident.group_id for change in result if change.name == "grouped"} == {told[0].incident.id}


def test_a_host_that_was_heard_of_is_not_silent():
    """Three misses on a host that is alive are three incidents."""
    changes = [opened(name) for name in ("a", "b", "c")]
    result = groups.grouped(changes, {}, {}, {"h1": NOW - MINUTE}, DOWNTIMES, NOW)
    assert [change.is_told for change in result] == [True, True, True]


def test_the_third_miss_of_a_silent_host_adopts_the_first_two():
    """Those that were told already are members too, and send no reminders of their own."""
    first, second = opened("a").incident, opened("b").incident
    result = groups.grouped([opened("c")], {"h1": [first, second]}, {}, {"h1": NOW - 2 * HOUR}, DOWNTIMES, NOW)
    assert [(change.name, change.incident.workflow) for change in result] == [
        ("opened", ""),
        ("grouped", "a"),
        ("grouped", "b"),
        ("grouped", "c"),
    ]


def test_a_miss_on_a_host_that_is_known_to_be_silent_joins_its_incident():
    """Nobody is told again."""
    group = Incident("g", "host_silent", "", "h1", NOW - HOUR, NOW - HOUR, "", "h1", told_ns=NOW - HOUR)
    [change] = groups.grouped([opened("d")], {}, {"g": group}, {"h1": NOW - 2 * HOUR}, DOWNTIMES, NOW)
    assert (change.name, change.is_told, change.incident.group_id) == ("grouped", False, "g")


def test_what_a_downtime_of_ours_brought_to_light_is_one_notice():
    """However many slots: one grouped message, never a storm."""
    changes = [opened(name, problem=MISSED._replace(downtime_id="d1")) for name in ("a", "b")]
    result = groups.grouped(changes, {}, {}, {}, DOWNTIMES, NOW)
    assert [(change.incident.kind, change.members) for change in result if change.is_told] == [("downtime", ("a", "b"))]


def test_a_person_s_close_tells_nobody():
    """Who closes it knows."""
    change = incidents.close(opened().incident, "closed by ada", NOW, TOLD, "ada")
    assert (change.is_told, change.incident.closed_by) == (False, "ada")
