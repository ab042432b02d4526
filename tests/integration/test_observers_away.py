"""Workflows that are known from another system through an observer: what it has not looked at yet is not missed."""

from __future__ import annotations

import pytest
from watched import HOUR, MINUTE, T0, S, Watched

from rota_collector.store.slots import SlotFilter

HOURLY = {"schedule": "0 * * * *", "grace": "10m"}
DEADLINE = T0 + HOUR + 10 * MINUTE


@pytest.fixture
def world(tmp_path):
    """A monitor whose messages go to one channel, and a workflow that an observer of Prefect tells of."""
    world = Watched(tmp_path)
    world.channel()
    world.run("r0", T0 + S, source="prefect", declared=HOURLY)
    world.at(T0 + 5 * S)
    return world


def looked_until(world, until_ns, **more):
    """The observer looks every ten seconds, and the monitor ticks."""
    while world.clock.now_ns() < until_ns:
        world.look(**more)
        world.pass_until(min(until_ns, world.clock.now_ns() + 10 * S))


def test_it_is_missed_once_somebody_has_looked_after_the_deadline(world):
    """Not before: the run may have started, and only the next look tells."""
    looked_until(world, DEADLINE - 5 * S)
    world.pass_until(DEADLINE + 20 * S)
    assert world.verdicts() == ["on_time", None, None]
    world.look()
    world.at(DEADLINE + 26 * S)
    assert world.verdicts() == ["on_time", "missed", None]
    assert [incident.kind for incident in world.incidents()] == ["missed"]


def test_while_nobody_looks_it_is_unknown(world):
    """The observer is killed: one incident and one message say so, and no slot is called missed."""
    looked_until(world, T0 + 30 * MINUTE)
    world.pass_until(T0 + 4 * HOUR)
    assert world.verdicts() == ["on_time", "unknown", "unknown", "unknown", None]
    assert {slot.reason for slot in world.slots()[1:4]} == {"nobody looked at prefect"}
    (incident,) = world.incidents()
    assert (incident.kind, incident.host) == ("observer_silent", "prefect")
    assert incident.summary == (
        "`rota observe prefect` on watcher was not heard of again; what becomes of 1 scheduled workflow is unknown"
    )
    assert world.told() == ["prefect is not looked at"]


def test_when_it_is_back_what_ran_meanwhile_is_known(world):
    """It catches up from the system's own history before it says that it looked: nothing is called missed that ran."""
    looked_until(world, T0 + 30 * MINUTE)
    world.pass_until(T0 + 4 * HOUR - MINUTE)
    for hour in (3, 1, 2):  # in whatever order a history is told
        world.run(f"r{hour}", T0 + hour * HOUR + S, source="prefect")
        world.at(world.clock.now_ns() + 5 * S)
    looked_until(world, T0 + 4 * HOUR)
    assert world.verdicts() == ["on_time", "on_time", "on_time", "on_time", None]
    assert world.incidents() == []
    assert world.told() == ["prefect is not looked at", "Over: prefect is not looked at"]


def test_what_did_not_run_meanwhile_is_told_together(world):
    """Three workflows missed their times while nobody looked: one message."""
    for name in "bc":
        world.run(name, T0 + S, workflow=name, source="prefect", declared=HOURLY)
    looked_until(world, T0 + 30 * MINUTE)
    world.pass_until(T0 + 2 * HOUR - MINUTE)
    looked_until(world, T0 + 2 * HOUR)
    assert [world.verdicts(name) for name in ("etl", "b", "c")] == [["on_time", "missed", None]] * 3
    assert world.slots()[1].reason == "found after nobody looked at prefect"
    group = next(incident for incident in world.incidents() if incident.kind == "downtime")
    assert group.summary == "3 workflows did not run while nobody looked at prefect, as far as anybody reported since"
    assert len(world.told()) == 3


def test_one_that_cannot_look_says_why(world):
    """The system does not answer: that is told, which the system itself cannot."""
    looked_until(world, T0 + 30 * MINUTE)
    looked_until(world, T0 + 40 * MINUTE, problem="ConnectionRefusedError: no")
    (incident,) = world.incidents()
    assert incident.summary.startswith("`rota observe prefect` on watcher cannot look: ConnectionRefusedError: no;")
    looked_until(world, T0 + 41 * MINUTE)
    assert world.incidents() == []


def test_other_workflows_do_not_wait(world):
    """Those of scripts and of systems that tell by themselves are judged at their deadline."""
    world.run("mine", T0 + S, workflow="mine", declared=HOURLY)
    world.run("dag", T0 + S, workflow="dag", source="airflow", declared=HOURLY)
    looked_until(world, T0 + 30 * MINUTE)
    world.pass_until(DEADLINE + 5 * S)
    assert [world.verdicts(name)[1] for name in ("mine", "dag", "etl")] == ["missed", "missed", "unknown"]


def test_an_observer_of_a_host_is_not_waited_for_elsewhere(world):
    """Cron of one host is looked at by nobody any more; what cron of another one runs is judged."""
    per_host = {**HOURLY, "named_by": "script"}
    for host in ("h1", "h2"):
        world.run(host, T0 + S, workflow="backup", host=host, source="cron", declared=per_host)
    for _ in range(3):
        world.look(source="cron", on_host="h1")
        world.look(source="cron", on_host="h2")
        world.pass_until(world.clock.now_ns() + 10 * S)
    looked_until(world, DEADLINE + 30 * S, source="cron", on_host="h2")
    found = {(row.host, row.slot.verdict) for row in world.expectations.slots.page(SlotFilter("backup"), None, 100).items}
    assert found >= {("h1", "unknown"), ("h2", "missed")}


def test_a_workflow_that_never_ran_is_known_by_its_schedule(tmp_path):
    """A deployment that was only declared: it is the observer's as well."""
    world = Watched(tmp_path)
    world.scheduled("0 * * * *", T0, source="prefect")
    looked_until(world, T0 + 30 * MINUTE)
    world.pass_until(T0 + 2 * HOUR)
    assert world.verdicts()[0] == "unknown"


def test_what_was_known_before_anybody_said_that_they_look_is_theirs(tmp_path):
    """A collector that was updated: its runs and schedules of that system are older than the first such word."""
    world = Watched(tmp_path)
    world.run("r0", T0 + S, source="prefect", declared=HOURLY)
    world.scheduled("0 * * * *", T0, workflow="never", source="prefect")
    looked_until(world, T0 + 30 * MINUTE)
    world.pass_until(T0 + 90 * MINUTE)
    assert (world.verdicts()[1], world.verdicts("never")[0]) == ("unknown", "unknown")


def test_whoever_closes_the_incident_waits_no_longer(world):
    """The observer was taken away for good: what was due meanwhile stays unknown, what follows is missed as any workflow's."""
    looked_until(world, T0 + 30 * MINUTE)
    world.pass_until(T0 + 90 * MINUTE)
    (incident,) = world.incidents()
    world.expectations.incidents.close(incident.id, "ada", world.clock.now_ns())
    world.pass_until(T0 + 2 * HOUR + 11 * MINUTE)
    assert world.verdicts() == ["on_time", "unknown", "missed", None]


def test_after_a_restart_of_ours_it_has_time_to_be_heard(world):
    """The collector was away, and not the observer, whose words wait in its spool."""
    looked_until(world, T0 + 30 * MINUTE)
    world.restart()
    world.at(T0 + 3 * HOUR)
    world.run("r1", T0 + HOUR + S, source="prefect")
    world.run("r2", T0 + 2 * HOUR + S, source="prefect")
    looked_until(world, T0 + 3 * HOUR + MINUTE)
    assert world.verdicts()[:3] == ["on_time"] * 3
    assert world.told() == []


def test_nothing_at_stake_is_no_incident(tmp_path):
    """An observer of a system without schedules and open runs may go."""
    world = Watched(tmp_path)
    world.run("r0", T0 + S, source="prefect")
    looked_until(world, T0 + MINUTE)
    world.pass_until(T0 + 10 * MINUTE)
    assert world.incidents() == []


def test_a_failure_is_told_at_once(world):
    """What is known needs no look."""
    looked_until(world, T0 + MINUTE)
    world.run("r1", T0 + MINUTE, "failed", source="prefect")
    world.at(T0 + MINUTE + 2 * S)
    assert [incident.kind for incident in world.incidents()] == ["failed"]
