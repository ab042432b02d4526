"""The observer of Azkaban: what the contract's scenarios do not show."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from collectors import clean_environment
from servers import rota
from standins.azkaban import Azkaban, becomes, serve
from telling import Telling

import rota_integrations.azkaban as room
from rota_integrations.azkaban.server import Refused, Server
from rota_integrations.following import Later
from rota_integrations.states import table_of

JOBS = {"extract": [], "load": ["extract"], "report": []}


class World:
    """Azkaban with one flow, served, and observers of it."""

    def __init__(self, azkaban: Azkaban, url: str) -> None:
        self.azkaban, self.url = azkaban, url
        self.memory: dict[str, Any] = {}
        self.last: Any = None

    def observer(self, password: str = "geheim", **more: Any) -> Any:
        """A new one, as after a start."""
        options: dict[str, Any] = {"projects": [], "since_seconds": 86400.0, "zone": None, **more}
        self.last = room.Follower(Server(self.url, "azkaban", password), self.url, **options)
        return self.last

    def look(self, *, restart: bool = False) -> Telling:
        """Look; all that this observer has told so far."""
        found = self.observer() if restart or self.last is None else self.last
        found.look(self.memory)
        self.memory = json.loads(json.dumps(self.memory))
        telling: Telling = found._source
        return telling


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Of this test."""
    monkeypatch.setattr(room, "Source", Telling)
    azkaban = Azkaban()
    azkaban.projects["etl"] = {"nightly": JOBS}
    with serve(azkaban) as url:
        yield World(azkaban, url)


def test_a_flow_that_ended_between_two_looks_is_told_whole(world: World) -> None:
    """With its beginning; nothing of it is told again, and nobody asks for it any more."""
    _, flow = world.azkaban.submit("etl", "nightly")
    for job in JOBS:
        flow.start(job)
        flow.finish(job, "SUCCEEDED")
    telling = world.look()
    assert telling.states() == ["running", "succeeded"]
    assert {each["workflow"] for each in telling.runs} == {"etl/nightly"}
    assert [each[3] for each in telling.ended] == ["succeeded"] * 3
    before, asked = len(telling.tasks), world.azkaban.asked.count("fetchexecflow")
    world.look()
    world.look(restart=True)
    assert (len(telling.tasks), world.azkaban.asked.count("fetchexecflow")) == (before, asked)


def test_each_state_of_a_flow_is_told_once_with_the_time_since_when(world: World) -> None:
    """Also after a restart of the observer, which asks for what was open, and not for what it had been told."""
    _, flow = world.azkaban.submit("etl", "nightly")
    telling = world.look()
    becomes(flow.node, "PREPARING")
    world.look()
    flow.start("extract")
    world.look()
    world.look()
    becomes(flow.node, "PAUSED")
    world.look()
    assert telling.states() == ["scheduled", "starting", "running", "paused"]
    becomes(flow.node, "RUNNING")
    again = world.look(restart=True)
    assert [(each["state"], each["at_ns"]) for each in again.runs] == [
        ("running", flow.node["startTime"] * 10**6),
        ("running", flow.node["updateTime"] * 10**6),
    ]


def test_a_job_that_waits_for_its_retry_is_said_to(world: World) -> None:
    """Its first attempt failed, the second has not begun."""
    _, flow = world.azkaban.submit("etl", "nightly")
    flow.retries["extract"] = 1
    flow.start("extract")
    flow.finish("extract", "FAILED")
    telling = world.look()
    told = [(each["attempt"], each["state"]) for each in telling.tasks if each["task"] == "extract"]
    assert told == [(1, "failed"), (2, "retry_wait")]


def test_cancelled_jobs_are_told_apart_by_what_they_depended_on(world: World) -> None:
    """Below a failure it is its doing; beside one the flow just goes no further."""
    _, flow = world.azkaban.submit("etl", "nightly")
    flow.start("extract")
    flow.finish("extract", "FAILED")
    ended = {task: state for task, _, _, state in world.look().ended}
    assert ended == {"extract": "failed", "load": "upstream_failed", "report": "cancelled"}


def test_what_is_in_an_embedded_flow_that_was_cancelled_is_cancelled_with_it(world: World) -> None:
    """Azkaban leaves it READY for ever."""
    world.azkaban.projects["etl"]["outer"] = {"extract": [], "inner": (["extract"], {"a": [], "b": ["a"]})}
    _, flow = world.azkaban.submit("etl", "outer")
    flow.start("extract")
    flow.finish("extract", "FAILED")
    assert [(task, instance, state) for task, instance, _, state in world.look().ended] == [
        ("extract", "", "failed"),
        ("inner", "", "upstream_failed"),
        ("a", "inner", "upstream_failed"),
        ("b", "inner", "upstream_failed"),
    ]


def test_an_executor_that_died_is_a_crash(world: World) -> None:
    """EXECUTION_STOPPED is what Azkaban says then."""
    _, flow = world.azkaban.submit("etl", "nightly")
    flow.start("extract")
    becomes(flow.node, "EXECUTION_STOPPED")
    telling = world.look()
    assert (telling.states(), telling.runs[-1]["reason"]) == (["running", "crashed"], "execution stopped")


def test_an_unknown_state_is_told_word_for_word(world: World) -> None:
    """Of a later Azkaban: open while it has no end, ``ended`` when it has."""
    _, flow = world.azkaban.submit("etl", "nightly")
    flow.start("extract")
    becomes(flow.node, "HIBERNATING")
    telling = world.look()
    assert (telling.runs[-1]["state"], telling.runs[-1]["raw_state"]) == ("running", "HIBERNATING")
    flow.node.update(status="EVAPORATED", endTime=flow.node["updateTime"] + 5)
    world.look()
    assert (telling.runs[-1]["state"], telling.runs[-1]["reason"]) == ("ended", "unknown state EVAPORATED")


def test_every_status_of_azkaban_is_in_the_table() -> None:
    """The enum of azkaban.executor.Status at 6db7500."""
    statuses = ["READY", "DISPATCHING", "PREPARING", "RUNNING", "PAUSED", "SUCCEEDED", "KILLING", "KILLED", "EXECUTION_STOPPED"]
    statuses += ["FAILED", "FAILED_FINISHING", "SKIPPED", "DISABLED", "QUEUED", "FAILED_SUCCEEDED", "CANCELLED"]
    table = table_of("azkaban")
    for status in statuses:
        for state in (table.of_run(status), table.of_task(status)):
            assert not (state.reason or "").startswith("unknown"), status


def test_executions_come_page_after_page_and_old_ones_are_left_alone_unless_they_run(world: World) -> None:
    """At the first look; later every new one counts, whatever the clocks say."""
    for _ in range(120):
        world.azkaban.submit("etl", "nightly")[1].kill()
    world.azkaban.submit("etl", "nightly")[1].start("extract")
    world.azkaban.executions = [(project, flow, 1000) for project, flow, _ in world.azkaban.executions]
    telling = world.look()
    assert len({each["run"] for each in telling.runs}) == 1
    for _ in range(120):
        world.azkaban.submit("etl", "nightly")[1].kill()
    world.azkaban.executions = [(project, flow, 1000) for project, flow, _ in world.azkaban.executions]
    world.look()
    assert len({each["run"] for each in telling.runs}) == 121


def test_a_session_that_azkaban_forgot_is_made_again(world: World) -> None:
    """After a day, or when it was restarted; nothing else is noticed."""
    world.azkaban.submit("etl", "nightly")
    world.look()
    world.azkaban.sessions = set()
    world.look()
    assert world.azkaban.logins == 2


def test_a_wrong_password_says_what_to_set(world: World) -> None:
    """And is no loop."""
    with pytest.raises(Refused, match="Incorrect Login.*Set AZKABAN_USER and AZKABAN_PASSWORD"):
        world.observer(password="wrong").look({})


def test_a_busy_server_is_given_the_time_it_asks_for(world: World) -> None:
    """Retry-After."""
    world.azkaban.busy = 1
    with pytest.raises(Later) as caught:
        world.look()
    assert caught.value.seconds == 7


def test_a_look_that_was_cut_off_goes_on_and_tells_nothing_again(world: World) -> None:
    """However often a server in front is too busy in the middle of it."""
    for _ in range(5):
        world.azkaban.submit("etl", "nightly")[1].kill()
    found = world.observer()
    world.azkaban.answered = 6  # of which three say what there is
    for _ in range(10):
        try:
            found.look({})
            break
        except Later:
            world.azkaban.answered = 6
    assert found._source.states() == ["running", "cancelled"] * 5


def test_an_execution_that_azkaban_deleted_is_ended_and_not_guessed(world: World) -> None:
    """Nobody knows how it went."""
    world.azkaban.submit("etl", "nightly")
    telling = world.look()
    world.azkaban.executions = []
    world.look()
    assert (telling.runs[-1]["state"], telling.runs[-1]["reason"]) == ("ended", "no longer kept by Azkaban")
    assert world.memory["etl/nightly"]["open"] == {}


def test_an_execution_that_is_broken_spoils_no_other(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said once, and asked for again."""
    _, broken = world.azkaban.submit("etl", "nightly")
    _, whole = world.azkaban.submit("etl", "nightly")
    broken.start("extract")
    whole.start("extract")
    broken.nodes["extract"]["startTime"] = "soon"
    world.look()
    telling = world.look()
    assert [each["task"] for each in telling.tasks if each["state"] == "running"] == ["extract"]
    assert capsys.readouterr().err.count("an execution of etl/nightly is not understood") == 1
    broken.nodes["extract"]["startTime"] = 1000
    world.look()
    assert [each["task"] for each in telling.tasks if each["state"] == "running"] == ["extract"] * 2


def test_schedules_are_told_only_in_a_zone_that_is_known(world: World) -> None:
    """Azkaban's API does not say which its server is in; and only those that cron has words for."""
    world.azkaban.crons = {("etl", "nightly"): "0 0 2 ? * 2-6", ("etl", "other"): "30 0 2 ? * *"}
    world.azkaban.projects["etl"]["other"] = JOBS
    world.azkaban.submit("etl", "nightly")
    world.azkaban.submit("etl", "other")
    assert not any(each["declared"] for each in world.look().runs)
    found = world.observer(zone="Europe/Berlin")
    found.look({})
    declared = {each["workflow"]: each["declared"] for each in found._source.runs}
    assert declared["etl/nightly"] == {"rota.schedule.spec": "0 2 * * 1,2,3,4,5", "rota.schedule.tz": "Europe/Berlin"}
    assert declared["etl/other"] == {}


def test_a_server_that_is_away_is_said(tmp_path: Any) -> None:
    """One look, and why there was none."""
    environment = clean_environment(ROTA_HOME=str(tmp_path / "home"), ROTA_AGENT="off", ROTA_DETACH="off")
    done = rota("observe", "azkaban", "--once", "--url", "http://127.0.0.1:1", environment=environment)
    assert done.returncode == 1
    assert done.stderr.startswith("rota observe azkaban: could not look (ConnectionError: http://127.0.0.1:1")
