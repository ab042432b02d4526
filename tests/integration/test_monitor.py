"""The monitor on real stores: from facts to verdicts, incidents and messages."""

from __future__ import annotations

import pytest
from watched import DAY, HOUR, MINUTE, T0, S, Watched

from rota_collector.store.quiet import QuietTimes

HOURLY = {"schedule": {"cron": "0 * * * *", "grace": "10m"}}


@pytest.fixture
def world(tmp_path):
    """A monitor whose messages go to one channel."""
    world = Watched(tmp_path)
    world.channel()
    return world


def test_a_declared_schedule_makes_slots_and_the_declaring_run_fills_the_first(world):
    """Two lines in a script are enough: the run that declares a schedule is on time, the next slot is waited for."""
    world.run("r1", T0 + 2 * S, declared={"schedule": "0 * * * *", "grace": "10m"})
    world.at(T0 + 5 * S)
    assert world.verdicts() == ["on_time", None]
    assert world.slots()[1].due_ns == T0 + HOUR


def test_a_missed_slot_is_one_incident_and_one_message(world):
    """At the deadline, not before; once, not at every tick."""
    world.run("r1", T0 + 2 * S, declared={"schedule": "0 * * * *", "grace": "10m"})
    world.pass_until(T0 + HOUR + 9 * MINUTE)
    assert world.told() == []
    world.pass_until(T0 + HOUR + 50 * MINUTE)
    assert world.verdicts() == ["on_time", "missed", None]
    assert [incident.kind for incident in world.incidents()] == ["missed"]
    assert len(world.told()) == 1


def test_a_workflow_that_never_ran_is_missed_too(world):
    """A stored policy alone is enough: nothing has to run for rota to notice that nothing runs."""
    world.policy("etl", **HOURLY)
    world.pass_until(T0 + 2 * HOUR)
    assert world.verdicts()[0] == "missed"
    assert world.control.workflow("etl", T0) is not None


def test_the_next_success_closes_and_says_so(world):
    """A recovery is told once."""
    world.policy("etl", **HOURLY)
    world.pass_until(T0 + HOUR + 30 * MINUTE)
    world.run("r2", T0 + 2 * HOUR)
    world.at(T0 + 2 * HOUR + 5 * S)
    assert world.incidents() == []
    assert len(world.told()) == 2


def test_a_failure_without_any_policy_is_told(world):
    """Whoever watches wants to know of failures; nothing has to be set up for that."""
    world.run("r1", T0, "failed", error_type="ValueError", error_message="boom")
    world.at(T0 + 5 * S)
    [incident] = world.incidents()
    assert (incident.kind, incident.error) == ("failed", "ValueError: boom")


def test_a_run_beyond_max_duration_is_ended_as_timed_out_and_evidence_outranks_that(world):
    """The conclusion from a run's age goes through the journal like any fact, and gives way to the real end."""
    world.policy("etl", expect={"max_duration": "30m"})
    world.run("r1", T0, "running")
    world.pass_until(T0 + 31 * MINUTE)
    run = world.control.run("r1")
    assert (run.state, run.reason, run.source) == ("timed_out", "max_duration", "collector")
    assert [incident.kind for incident in world.incidents()] == ["too_long"]
    world.apply(world.event("r1", "succeeded", T0 + 40 * MINUTE))
    world.at(T0 + 40 * MINUTE)
    assert world.control.run("r1").state == "succeeded"
    assert [incident.kind for incident in world.incidents()] == ["too_long"]
    world.run("r2", T0 + HOUR)
    world.at(T0 + HOUR + 5 * S)
    assert world.incidents() == []


def test_own_downtime_is_unknown_then_judged_with_one_notice(world):
    """Ten workflows missed while we were down: unknown first, then missed, in one message."""
    for i in range(10):
        world.policy(f"w{i}", **HOURLY)
    world.pass_until(T0 + 30 * MINUTE)
    world.restart()
    world.at(T0 + HOUR + 40 * MINUTE)
    assert world.verdicts("w0")[0] == "unknown"
    assert world.told() == []
    world.run("late", T0 + HOUR, workflow="w3")
    world.pass_until(T0 + HOUR + 50 * MINUTE)
    assert world.verdicts("w0")[0] == "missed"
    assert world.verdicts("w3")[0] == "on_time"
    assert len(world.told()) == 1
    assert sorted(incident.kind for incident in world.incidents()) == ["downtime", *["missed"] * 9]


def test_a_short_restart_makes_slots_unknown_too(world):
    """However short we were away: a job that ran meanwhile may have its facts in a spool."""
    world.policy("etl", **HOURLY)
    world.pass_until(T0 + HOUR + 9 * MINUTE + 55 * S)
    world.restart()
    world.at(T0 + HOUR + 10 * MINUTE + 5 * S)
    assert (world.verdicts()[0], world.told()) == ("unknown", [])


def test_late_news_postpones_the_judgement_of_a_downtime(world):
    """As long as spooled facts keep coming in, what is missing is unknown."""
    for name in ("a", "b"):
        world.policy(name, **HOURLY)
    world.pass_until(T0 + 30 * MINUTE)
    world.restart()
    now = T0 + HOUR + 40 * MINUTE
    world.at(now)
    for i in range(20):
        now += 20 * S
        world.clock.set_ns(now)
        world.run(f"old{i}", T0 + 40 * MINUTE + i * S, workflow="other")
        world.at(now)
    assert world.verdicts("a")[0] == "unknown"
    world.pass_until(now + MINUTE)
    assert world.verdicts("a")[0] == "missed"


def test_a_host_that_goes_silent_is_one_incident(world):
    """Four workflows of one host stop together: one message names them, and its return closes it."""
    for i in range(4):
        world.run(f"r{i}", T0 + S, workflow=f"w{i}", host="h1", declared={"schedule": "0 * * * *", "grace": "10m"})
    world.pass_until(T0 + HOUR + 11 * MINUTE)
    assert len(world.told()) == 1
    assert "h1" in world.told()[0]
    for i in range(4):
        world.run(f"back{i}", T0 + 2 * HOUR + S, workflow=f"w{i}", host="h1")
    world.at(T0 + 2 * HOUR + 5 * S)
    assert world.incidents() == []
    assert len(world.told()) == 2


def test_a_host_whose_agent_falls_silent_during_a_run_is_one_incident(world):
    """After two minutes, not before; it is told once, and closed by the next heartbeat."""
    world.beat("h1")
    world.run("r1", T0, "running", host="h1")
    world.pass_until(T0 + 2 * MINUTE)
    assert world.incidents() == []
    world.pass_until(T0 + 10 * MINUTE)
    [incident] = world.incidents()
    assert (incident.kind, incident.host, incident.since_ns) == ("host_silent", "h1", T0)
    assert incident.summary == "the agent of h1 fell silent, with 1 open run there"
    world.beat("h1")
    world.at(T0 + 10 * MINUTE + 5 * S)
    assert (world.incidents(), len(world.told())) == ([], 2)


def test_a_host_with_a_schedule_is_missed_before_the_slot_is(world):
    """Its agent's silence is enough; the slot that is missed later belongs to the same incident, and a run closes it."""
    world.run("r1", T0 + S, host="h1", declared={"schedule": "0 * * * *", "grace": "10m"})
    world.beat("h1")
    world.pass_until(T0 + 3 * MINUTE)
    [incident] = world.incidents()
    assert incident.summary == "the agent of h1 fell silent, with 1 scheduled workflow there"
    world.pass_until(T0 + HOUR + 20 * MINUTE)
    assert [each.kind for each in world.incidents()] == ["host_silent", "missed"]
    assert len(world.told()) == 1
    world.run("r2", T0 + 2 * HOUR, host="h1")
    world.at(T0 + 2 * HOUR + 5 * S)
    assert (world.incidents(), len(world.told())) == ([], 2)


def test_an_agent_is_missed_where_something_is_at_stake_only(world):
    """Nothing runs and nothing is expected there: its silence is nobody's concern, then and later."""
    world.beat("h1")
    world.run("r1", T0, host="h1")
    world.run("r2", T0, "running", host="h2")
    world.pass_until(T0 + 10 * MINUTE)
    world.run("r3", T0 + 10 * MINUTE, "running", host="h1")
    world.pass_until(T0 + 20 * MINUTE)
    assert world.incidents() == []


def test_an_agent_that_ended_in_good_order_is_not_missed(world):
    """Somebody stopped or removed it: what it said in the end."""
    world.beat("h1")
    world.run("r1", T0, "running", host="h1")
    world.at(T0 + MINUTE)
    world.beat("h1", is_last=True)
    world.pass_until(T0 + 10 * MINUTE)
    assert world.incidents() == []


def test_heartbeats_keep_a_host_alive(world):
    """As long as they come, whatever else is silent there."""
    world.run("r1", T0, "running", host="h1")
    for _ in range(20):
        world.beat("h1")
        world.pass_until(world.clock.now_ns() + 30 * S)
    assert world.incidents() == []


def test_nobody_is_missed_while_we_were_away(world):
    """After a downtime of ours, agents have two minutes to be heard."""
    world.beat("h1")
    world.run("r1", T0, "running", host="h1")
    world.pass_until(T0 + MINUTE)
    world.restart()
    world.at(T0 + HOUR)
    world.pass_until(T0 + HOUR + 2 * MINUTE)
    assert world.incidents() == []
    world.pass_until(T0 + HOUR + 3 * MINUTE)
    assert [each.kind for each in world.incidents()] == ["host_silent"]


def test_an_agent_may_be_silent_in_a_maintenance_window(world):
    """When that is over and it still is, it is missed."""
    world.beat("h1")
    world.run("r1", T0, "running", host="h1")
    QuietTimes(world.control.engine).add_maintenance(
        workflow="*", host="h1", from_ns=T0, until_ns=T0 + 10 * MINUTE, reason="kernel", by="test"
    )
    world.pass_until(T0 + 9 * MINUTE)
    assert world.incidents() == []
    world.pass_until(T0 + 11 * MINUTE)
    assert [each.kind for each in world.incidents()] == ["host_silent"]


def test_a_child_whose_upstream_is_down_is_suppressed(world):
    """One message about the upstream; the child's incident says why it is silent, and is told when it does not heal."""
    world.policy("up", **HOURLY)
    world.policy("down", schedule={"cron": "20 1 * * *", "grace": "10m"}, expect={"upstream": "up"})
    world.pass_until(T0 + HOUR + 40 * MINUTE)
    [up] = world.incidents(workflow="up")
    [down] = world.incidents(workflow="down")
    assert down.suppressed_by == up.id
    assert len(world.told()) == 1
    world.run("r", T0 + HOUR + 45 * MINUTE, workflow="up")
    world.pass_until(T0 + HOUR + 50 * MINUTE)
    assert len(world.told()) == 2
    world.pass_until(T0 + HOUR + 57 * MINUTE)
    assert len(world.told()) == 3


def test_a_workflow_after_another_is_due_when_that_succeeds(world):
    """No success, no slot; a success without its successor is a miss."""
    world.policy("load", schedule={"after": {"workflow": "etl", "within": "15m"}})
    world.run("bad", T0 + MINUTE, "failed")
    world.pass_until(T0 + 30 * MINUTE)
    assert world.verdicts("load") == []
    world.run("good", T0 + 30 * MINUTE)
    world.pass_until(T0 + 40 * MINUTE)
    assert world.verdicts("load") == [None]
    world.pass_until(T0 + 50 * MINUTE)
    assert world.verdicts("load") == ["missed"]
    world.run("good2", T0 + HOUR)
    world.run("load2", T0 + HOUR + 5 * MINUTE, workflow="load")
    world.at(T0 + HOUR + 6 * MINUTE)
    assert world.verdicts("load") == ["missed", "on_time"]


def test_each_host_is_an_instance_when_the_name_came_from_the_script(world):
    """backup.py on two hosts: two sets of slots, and the one that misses is named."""
    declared = {"schedule": "0 * * * *", "grace": "10m", "named_by": "script"}
    world.run("a1", T0 + S, workflow="backup", host="a", declared=declared)
    world.run("b1", T0 + 2 * S, workflow="backup", host="b", declared=declared)
    world.at(T0 + 10 * S)
    world.run("a2", T0 + HOUR + S, workflow="backup", host="a", declared=declared)
    world.pass_until(T0 + HOUR + 11 * MINUTE)
    [incident] = world.incidents()
    assert (incident.workflow, incident.host) == ("backup", "b")


def test_a_stored_policy_overrides_code_and_what_was_due_stays_judged(world):
    """The slots ahead follow the new schedule; the API can say which is in force."""
    world.run("r1", T0 + 2 * S, declared={"schedule": "0 * * * *", "grace": "10m"})
    world.at(T0 + 5 * S)
    world.clock.set_ns(T0 + 20 * MINUTE)
    world.policy("etl", schedule={"cron": "30 * * * *", "grace": "5m"})
    world.at(T0 + 20 * MINUTE)
    assert [(slot.due_ns - T0, slot.version) for slot in world.slots()] == [(0, 1), (30 * MINUTE, 2)]
    view = world.expectations.policies.view("etl")
    assert view.in_force["schedule"] == {"cron": "30 * * * *", "grace": "5m"}
    assert view.declared["schedule"] == {"cron": "0 * * * *", "grace": "10m"}


def test_a_declared_schedule_that_cannot_be_used_is_said_and_harms_nothing(world):
    """The run is kept, the workflow is watched for failures, and the policy says what is wrong."""
    world.run("r1", T0, declared={"schedule": "0 0 30 2 *"})
    world.run("r2", T0 + S, declared={"schedule": "whenever", "tz": "Mars/Phobos"})
    world.at(T0 + 5 * S)
    assert world.slots() == []
    [problem] = world.expectations.policies.view("etl").problems
    assert "whenever" in problem or "Mars" in problem


def test_acknowledged_and_snoozed_incidents_are_quiet(world):
    """No reminder while somebody works on it; one when a snooze is over."""
    world.policy("etl", **HOURLY, alert={"remind": "30m"})
    world.pass_until(T0 + HOUR + 45 * MINUTE)
    assert len(world.told()) == 2
    [incident] = world.incidents()
    world.expectations.incidents.acknowledge(incident.id, "ada", world.clock.now_ns())
    world.pass_until(T0 + 3 * HOUR)
    assert len(world.told()) == 2
    world.expectations.incidents.snooze(incident.id, T0 + 4 * HOUR, world.clock.now_ns())
    world.pass_until(T0 + 4 * HOUR + MINUTE)
    assert len(world.told()) == 3


def test_a_closed_incident_stays_closed_until_something_else_happens(world):
    """What a person settled does not come back by itself; the next miss does."""
    world.policy("etl", **HOURLY)
    world.pass_until(T0 + HOUR + 15 * MINUTE)
    [incident] = world.incidents()
    world.expectations.incidents.close(incident.id, "ada", world.clock.now_ns())
    world.pass_until(T0 + 2 * HOUR)
    assert world.incidents() == []
    world.pass_until(T0 + 2 * HOUR + 15 * MINUTE)
    assert len(world.incidents()) == 1


def test_a_paused_workflow_is_skipped(world):
    """Nothing is missed in a pause, and everything is as before after it."""
    world.policy("etl", **HOURLY)
    world.at(T0 + 30 * MINUTE)
    world.expectations.quiet.pause("etl", until_ns=None, by="ada", reason="move", now_ns=world.clock.now_ns())
    world.pass_until(T0 + 2 * HOUR + 30 * MINUTE)
    assert world.expectations.quiet.resume("etl", world.clock.now_ns())
    world.pass_until(T0 + 3 * HOUR + 15 * MINUTE)
    assert world.verdicts() == ["skipped", "skipped", "missed", None]


def test_in_a_pause_nobody_is_reminded(world):
    """An incident that is open when its workflow is paused says nothing until it is resumed."""
    world.policy("etl", **HOURLY, alert={"remind": "30m"})
    world.pass_until(T0 + HOUR + 15 * MINUTE)
    world.expectations.quiet.pause("etl", until_ns=T0 + 3 * HOUR, by="ada", reason="move", now_ns=world.clock.now_ns())
    world.pass_until(T0 + 3 * HOUR - MINUTE)
    assert len(world.told()) == 1
    world.pass_until(T0 + 3 * HOUR + MINUTE)
    assert len(world.told()) == 2


def test_a_maintenance_window_covers_what_matches(world):
    """By pattern; others are judged as ever."""
    for name in ("etl.a", "report"):
        world.policy(name, **HOURLY)
    world.expectations.quiet.add_maintenance(
        workflow="etl.*", host="*", from_ns=T0, until_ns=T0 + DAY, reason="upgrade", by="ada"
    )
    world.pass_until(T0 + HOUR + 15 * MINUTE)
    assert (world.verdicts("etl.a")[0], world.verdicts("report")[0]) == ("skipped", "missed")


def test_a_silent_run_is_told_and_a_sign_of_life_counts(world):
    """Spans and logs are signs of life although they change no run."""
    world.policy("etl", expect={"silence": "10m"})
    world.run("r1", T0, "running")
    world.signs["r1"] = T0 + 8 * MINUTE
    world.pass_until(T0 + 17 * MINUTE)
    assert world.incidents() == []
    world.pass_until(T0 + 19 * MINUTE)
    assert [incident.kind for incident in world.incidents()] == ["silent"]


def test_verdicts_and_incidents_enter_the_journal(world):
    """What was decided is a fact like any other, with an id that a repetition shares."""
    world.policy("etl", **HOURLY)
    world.pass_until(T0 + HOUR + 15 * MINUTE)
    payloads = b"".join(record.payload for record in world.journal.records)
    assert payloads.count(b'"rota.slot.verdict","attributes"') == 1
    assert payloads.count(b'"eventName":"rota.incident"') == 1


def test_a_missed_slot_is_an_outcome_among_the_runs(world):
    """What lists show of a workflow follows its slots as well as its runs, and news that come late correct it."""
    world.run("r1", T0 + 2 * S, declared={"schedule": "0 * * * *", "grace": "10m"})
    world.pass_until(T0 + HOUR + 20 * MINUTE)
    assert world.control.workflow("etl", T0).outcomes == ["succeeded", "missed"]
    world.run("r2", T0 + HOUR + 15 * MINUTE)
    world.at(T0 + HOUR + 21 * MINUTE)
    assert world.control.workflow("etl", T0).outcomes == ["succeeded", "late"]


def test_a_workflow_that_never_ran_has_outcomes_all_the_same(world):
    """Its missed slots are all that is to be seen of it."""
    world.policy("etl", **HOURLY)
    world.pass_until(T0 + 2 * HOUR)
    workflow = world.control.workflow("etl", T0)
    assert (workflow.last_run, set(workflow.outcomes)) == (None, {"missed"})
