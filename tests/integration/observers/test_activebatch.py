"""The observer of ActiveBatch: what the contract's scenarios do not show."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from standins.activebatch import ActiveBatch, serve
from telling import Telling

import rota_integrations.activebatch as room
from rota_integrations.activebatch.instances import unix_ns
from rota_integrations.states import table_of

OLD = "2026-01-01T00:00:00.000"


class World:
    """ActiveBatch, served, and observers of it."""

    def __init__(self, activebatch: ActiveBatch, url: str) -> None:
        self.activebatch, self.url = activebatch, url
        self.memory: dict[str, Any] = {}

    def look(self, password: str = "geheim", *, since_seconds: float = 10.0**9) -> Telling:
        """What an observer tells that was just started."""
        login = {"username": "rota", "password": password, "jobScheduler": "scheduler"}
        found: Any = room.Follower(room.Api(self.url, login), "here", ["/"], since_seconds)
        found.look(self.memory)
        self.memory = json.loads(json.dumps(self.memory))
        telling: Telling = found._source
        return telling


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Of this test."""
    monkeypatch.setattr(room, "Source", Telling)
    activebatch = ActiveBatch()
    with serve(activebatch) as url:
        yield World(activebatch, url)


def test_the_table_has_all_documented_states() -> None:
    """Those of "Instance States", and of the enumeration of its API."""
    documented = [
        "waitingQueueBusy",
        "waitingConstraint",
        "waitingDateTime",
        "waitingActiveInstances",
        "waitingRestart",
        "notRun",
    ]
    documented += ["waitingExecutionAgent", "delayed", "preprocessing", "executing", "waiting", "ready", "orphaned", "aborted"]
    documented += ["failed", "succeeded", "completed"]
    table = table_of("activebatch")
    for word in documented:
        assert table.of_run(word) == table.of_task(word)
        assert not (table.of_run(word).reason or "").startswith("unknown"), word


@pytest.mark.parametrize(
    ("detail", "state", "reason"),
    [
        ("waitingQueueBusy", "blocked", "queue"),
        ("waitingConstraint", "blocked", "constraint"),
        ("waitingActiveInstances", "blocked", "concurrency"),
        ("waitingDateTime", "scheduled", None),
        ("waitingForGodot", "running", "unknown state waitingForGodot"),
    ],
)
def test_what_an_instance_waits_for_is_told(world: World, detail: str, state: str, reason: str | None) -> None:
    """And what nobody knows, word for word."""
    world.activebatch.becomes(world.activebatch.trigger("/ETL/nightly"), "waiting", detail)
    (told,) = world.look().runs
    assert (told["workflow"], told["state"], told.get("reason"), told["raw_state"]) == ("ETL/nightly", state, reason, detail)


def test_a_job_outside_of_plans_is_a_run_with_its_exit_code(world: World) -> None:
    """That began and ended between two looks, too."""
    job = world.activebatch.trigger("/ETL/alone")
    world.activebatch.becomes(job, "executing")
    world.activebatch.becomes(job, "failed", exit_code=3)
    telling = world.look()
    assert telling.states() == ["running", "failed"]
    assert (telling.runs[-1]["exit_code"], telling.runs[-1]["error"]["error.type"]) == (3, "exit:3")
    assert telling.tasks == []


def test_what_is_in_a_plan_is_a_task_of_its_outermost_run(world: World) -> None:
    """If it was triggered with it: a job of the plan that somebody triggers alone is a run."""
    trigger = world.activebatch.trigger
    outer = trigger("/ETL/nightly", "plan")
    trigger("/ETL/nightly/load", "plan", batch=outer["batchId"])
    trigger("/ETL/nightly/load/orders", batch=outer["batchId"])
    trigger("/ETL/nightly/load/orders")
    telling = world.look()
    assert [each["workflow"] for each in telling.runs] == ["ETL/nightly", "ETL/nightly/load/orders"]
    assert [(each["task"], each["instance"]) for each in telling.tasks] == [("load", ""), ("orders", "load")]


def test_a_restart_that_nobody_saw_is_known_by_its_count(world: World) -> None:
    """Each attempt before the last has failed, or there would be no restart."""
    plan = world.activebatch.trigger("/ETL/nightly", "plan")
    job = world.activebatch.trigger("/ETL/nightly/extract", batch=plan["batchId"])
    world.activebatch.restart(job)
    world.activebatch.restart(job)
    world.activebatch.becomes(job, "succeeded")
    assert world.look().ended == [("extract", "", 1, "failed"), ("extract", "", 2, "failed"), ("extract", "", 3, "succeeded")]


def test_nothing_is_told_twice_and_nothing_missed_over_restarts_of_the_observer(world: World) -> None:
    """Each look here is by a new one."""
    job = world.activebatch.trigger("/ETL/alone")
    states = world.look().states()
    for state in ("executing", "executing", "orphaned", "executing", "succeeded", "succeeded"):
        if job["state"] != state:
            world.activebatch.becomes(job, state)
        states += world.look().states()
    assert states == ["blocked", "running", "running", "running", "running", "succeeded"]


def test_an_instance_that_stays_open_keeps_the_window_open(world: World) -> None:
    """Its end is seen however long it takes; what ended long ago is not listed for ever."""
    long_one = world.activebatch.trigger("/ETL/long", at=OLD)
    world.activebatch.becomes(long_one, "executing")
    world.activebatch.trigger("/ETL/other")
    world.look()
    since = world.memory["since"]
    assert since <= unix_ns(OLD)
    world.activebatch.becomes(long_one, "succeeded")
    assert world.look().states() == ["running", "succeeded"]
    assert world.memory["since"] > since


def test_pages_are_read_to_the_last_one(world: World) -> None:
    """A hundred at a time."""
    for number in range(230):
        world.activebatch.trigger(f"/ETL/{number}")
    assert len(world.look().runs) == 230
    assert [each["pageIndex"] for each in world.activebatch.asked] == ["1", "2", "3"]


def test_an_instance_that_is_broken_spoils_no_other(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said once."""
    for _ in range(2):
        world.activebatch.trigger("/ETL/broken")["beginExecutionTime"] = "soon"
    world.activebatch.trigger("/ETL/whole")
    assert [each["workflow"] for each in world.look().runs] == ["ETL/whole"]
    assert capsys.readouterr().err.count("an instance in / is not understood, and left out (ValueError: 'soon'") == 1


def test_what_is_only_planned_is_no_run_yet(world: World) -> None:
    """It has no id; the recorded answer is full of these."""
    planned = world.activebatch.trigger("/ETL/nightly")
    planned["key"]["id"] = 0
    world.activebatch.becomes(planned, "notRun", "notRunScheduled")
    assert world.look().runs == []


def test_a_token_that_is_too_old_is_renewed(world: World) -> None:
    """Once; a password that is wrong is said."""
    login = {"username": "rota", "password": "geheim", "jobScheduler": "scheduler"}
    api = room.Api(world.url, login)
    world.activebatch.trigger("/ETL/a")
    assert len(list(api.instances("/", 0))) == 1
    world.activebatch.tokens = set()
    assert len(list(api.instances("/", 0))) == 1
    assert world.activebatch.logins == 2
    with pytest.raises(OSError, match="401"):
        world.look(password="wrong")


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0001-01-01T00:00:00.000", None),
        ("1970-01-01T00:00:01.500", 1_500_000_000),
        ("1970-01-01T00:00:01", 10**9),
        ("1970-01-01T00:00:01.1234567Z", 1_123_456_700),
    ],
)
def test_times_are_utc_without_a_zone(text: str, ns: int | None) -> None:
    """As the public client takes them; the year 1 is no time."""
    assert unix_ns(text) == ns


def test_a_time_that_is_none_is_said() -> None:
    """With the value."""
    with pytest.raises(ValueError, match="'soon' is no time of ActiveBatch's"):
        unix_ns("soon")
