"""Flow runs of Prefect's, as its API has them: their attempts, and what is new of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from standins.prefect import Prefect, at, state
from telling import Telling

from rota.wire import names
from rota_integrations.following import Later
from rota_integrations.prefect import Follower, declared
from rota_integrations.prefect.server import unix_ns
from rota_integrations.prefect.telling import steps
from rota_integrations.states import table_of

TABLE = table_of("prefect")
NIGHTLY = {"cron": "0 2 * * *", "timezone": "Europe/Berlin", "day_or": True}
ERROR = "Task run encountered an exception ValueError: row 7"


def looking(prefect: Prefect) -> tuple[Follower, Telling]:
    """An observer of it, which never looked before, and what it tells."""
    follower, source = Follower(prefect, 10**9), Telling("prefect")
    follower._source = source
    return follower, source


def told(prefect: Prefect) -> Telling:
    """What one look tells."""
    follower, source = looking(prefect)
    follower.look({})
    return source


def attempts(*states: dict[str, Any]) -> list[tuple[str, int]]:
    """The state and the attempt that each of these makes."""
    return [(step.state.name, step.attempt) for step in steps(states, TABLE.of_run)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Running AwaitingRetry Running Completed", "running 1, retry_wait 1, running 2, succeeded 2"),
        ("Running Retrying Completed", "running 1, retry_wait 1, running 2, succeeded 2"),
        ("Running AwaitingRetry Retrying Failed", "running 1, retry_wait 1, running 2, failed 2"),
        ("Running Failed AwaitingRetry Running", "running 1, failed 1, retry_wait 2, running 3"),
        ("Running Paused Resuming Running Completed", "running 1, paused 1, paused 1, running 1, succeeded 1"),
        ("Running Crashed Completed", "running 1, crashed 1, succeeded 1"),
        ("Scheduled Late Pending Cancelled", "scheduled 1, scheduled 1, starting 1, cancelled 1"),
    ],
)
def test_attempts_are_what_the_states_make_of_them(words: str, expected: str) -> None:
    """Waiting to be tried again belongs to the attempt that failed; a pause, and a crash that was none, begin no attempt."""
    read = attempts(*[state(word, second) for second, word in enumerate(words.split())])
    assert ", ".join(f"{name} {attempt}" for name, attempt in read) == expected


def test_a_name_that_users_made_up_is_of_its_type_and_kept() -> None:
    """A type that is not known either is running, or over with an unknown outcome."""
    assert TABLE.of_run("Half done", True, "COMPLETED") == ("succeeded", "Half done", "Half done")
    assert TABLE.of_task("Odd", False, "NEW") == ("running", "unknown state Odd", "Odd")
    assert TABLE.of_run("Odd", True, "NEW").name == "ended"


def test_a_task_that_is_tried_again_failed_before() -> None:
    """With what Prefect says of it; what waits is the next attempt."""
    prefect = Prefect()
    prefect.run("r1", state("Running", 0))
    prefect.task(
        "extract", "r1", state("Running", 1), state("AwaitingRetry", 2, ERROR), state("Running", 3), state("Completed", 4)
    )
    source = told(prefect)
    assert source.ended == [
        ("extract", "extract", 1, "failed"), ("extract", "extract", 2, "retry_wait"), ("extract", "extract", 2, "succeeded"),
    ]  # fmt: skip
    assert source.tasks[0]["error"][names.EXCEPTION_MESSAGE] == "row 7"
    assert source.tasks[2]["started_ns"] == unix_ns(at(3))


def test_a_task_whose_runs_the_user_named_has_the_name_of_its_function() -> None:
    """Or each run would be a task of its own."""
    prefect = Prefect()
    prefect.run("r1", state("Running", 0))
    prefect.task("t1", "r1", state("Completed", 2), name="load of monday", task_key="load-0a1b2c3d")
    assert [each["task"] for each in told(prefect).tasks] == ["load"]


def test_the_tasks_of_a_run_are_told_before_its_end() -> None:
    """So that it can say what the first that failed said."""
    order: list[str] = []
    prefect = Prefect()
    prefect.run("r1", state("Running", 0), state("Failed", 3, "1/2 states failed."))
    prefect.task("load", "r1", state("Running", 1), state("Failed", 2, ERROR))
    follower, source = looking(prefect)
    source.task = lambda *_, **__: order.append("task")  # type: ignore[method-assign]
    source.run = lambda *words, **more: order.append(f"{words[2]} {more['error']}")  # type: ignore[method-assign]
    follower.look({})
    assert order == ["task", "running None", "failed None"]


def test_only_what_the_schedule_made_has_a_slot() -> None:
    """The nominal time, however late it began."""
    prefect = Prefect()
    prefect.deployments = [{"id": "d1", "name": "nightly", "flow_id": "f1", "schedules": [{"active": True, "schedule": NIGHTLY}]}]
    planned = state("Scheduled", 0, scheduled_time=at(60))
    prefect.run("r1", planned, state("Running", 70), auto_scheduled=True, deployment_id="d1")
    prefect.run("r2", planned, state("Running", 70), auto_scheduled=False)
    runs = told(prefect).runs
    slots = {each["run"]: each.get("slot_ns") for each in runs}
    assert sorted(slots.values(), key=bool) == [None, unix_ns(at(60))]
    assert runs[0]["declared"] == {names.SCHEDULE_SPEC: "0 2 * * *", names.SCHEDULE_TZ: "Europe/Berlin"}
    assert runs[0]["facts"]["prefect.deployment.name"] == "nightly"


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ({"cron": "*/5 * * * *", "timezone": None}, {names.SCHEDULE_SPEC: "*/5 * * * *", names.SCHEDULE_TZ: "UTC"}),
        ({"interval": 3600.0, "timezone": "UTC"}, {names.SCHEDULE_SPEC: "every 3600s"}),
        ({"cron": "0 0 1 * 1", "day_or": False}, {}),
        ({"cron": "0 0 2 * * *"}, {}),
        ({"rrule": "FREQ=WEEKLY"}, {}),
    ],
)
def test_a_schedule_is_declared_where_our_words_mean_the_same(schedule: dict[str, Any], said: dict[str, str]) -> None:
    """And else left out: a wrong one would invent runs that are missed."""
    assert declared(schedule) == said


def test_of_several_schedules_none_is_declared() -> None:
    """A workflow has one; a paused deployment counts for nothing."""
    prefect = Prefect()
    one = {"flow_id": "f1", "name": "d", "schedules": [{"active": True, "schedule": NIGHTLY}]}
    prefect.deployments = [{"id": "d1", **one}, {"id": "d2", "paused": True, **one}]
    prefect.run("r1", state("Running", 0))
    assert told(prefect).runs[0]["declared"] != {}
    prefect.deployments[1]["paused"] = False
    assert told(prefect).runs[0]["declared"] == {}


def test_nothing_is_told_twice_nor_missed_by_one_observer_or_the_next() -> None:
    """One tells each state once; the next tells what is new, and of what is still open the same again."""
    prefect, memory = Prefect(), dict[str, Any]()
    prefect.run("r1", state("Pending", 0), state("Running", 1))
    prefect.task("extract", "r1", state("Running", 1))
    follower, source = looking(prefect)
    follower.look(memory)
    before = list(source.runs), list(source.tasks)
    follower.look(memory)
    assert (source.runs, source.tasks) == before
    prefect.task("extract", "r1", state("Running", 1), state("Completed", 2))
    prefect.run("r1", state("Pending", 0), state("Running", 1), state("Completed", 3))
    prefect.run("r2", state("Running", 2), state("Failed", 2.5))  # while nobody looked
    after, again = looking(prefect)
    after.look(json.loads(json.dumps(memory)))
    ours = [each for each in again.runs if each["run"] == before[0][0]["run"]]
    assert ours[:2] == before[0]
    assert [each["state"] for each in ours] == ["starting", "running", "succeeded"]
    assert again.ended == [("extract", "extract", 1, "succeeded")]
    assert len({each["run"] for each in again.runs}) == 2


@pytest.mark.parametrize("good", range(9))
def test_a_server_that_fails_in_between_costs_no_fact(good: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next look tells what the one that failed did not, and once only."""
    prefect, memory = Prefect(), dict[str, Any]()
    prefect.run("r1", state("Running", 0), state("Failed", 3))
    prefect.run("r2", state("Running", 0), parent_task_run_id="t1")
    prefect.task("t1", "r1", state("Running", 1), state("Retrying", 2), state("Failed", 3))
    prefect.task("t2", "r2", state("Running", 1))
    expected = told(prefect)
    follower, source = looking(prefect)
    answers = iter([prefect.ask] * good)

    def ask(*words: Any) -> Any:
        answer = next(answers, None)
        if answer is None:
            raise Later
        return answer(*words)

    with monkeypatch.context() as patched:
        patched.setattr(prefect, "ask", ask)
        with pytest.raises(Later):
            follower.look(memory)
    follower.look(memory)
    assert sorted(source.runs, key=str) == sorted(expected.runs, key=str)
    assert sorted(source.tasks, key=str) == sorted(expected.tasks, key=str)


def test_a_task_that_is_written_down_after_its_run_ended_is_seen() -> None:
    """The server does so a moment later."""
    prefect, memory = Prefect(), dict[str, Any]()
    prefect.run("r1", state("Running", 0), state("Completed", 3))
    follower, source = looking(prefect)
    follower.look(memory)
    prefect.task("extract", "r1", state("Running", 1), state("Completed", 2))
    follower.look(memory)
    assert source.ended == [("extract", "extract", 1, "succeeded")]


def test_more_than_a_page_is_read_to_its_end() -> None:
    """Of runs, and of the tasks of a run."""
    prefect = Prefect()
    for number in range(450):
        prefect.run(f"r{number}", state("Running", number), state("Completed", number + 1))
        prefect.task(f"t{number}", "r7", state("Running", 8), state("Completed", 8))
    source = told(prefect)
    assert len({each["run"] for each in source.runs}) == 450
    assert len(source.ended) == 450


@pytest.mark.parametrize(("word", "end"), [("Running", "ended"), ("Late", "cancelled")])
def test_a_run_that_was_deleted_is_not_open_for_ever(word: str, end: str) -> None:
    """Nobody knows how it ended, unless it had not begun. An observer that started only now tells it too."""
    prefect, memory = Prefect(), dict[str, Any]()
    prefect.run("r1", state(word, 0))
    looking(prefect)[0].look(memory)
    del prefect.runs["r1"]
    follower, source = looking(prefect)
    follower.look(memory)
    assert [(each["workflow"], each["state"]) for each in source.runs] == [("etl", end)]
    assert memory["open"] == {}


def test_a_flow_that_a_flow_calls_is_part_of_its_run() -> None:
    """Prefect names the task that stands for it there."""
    prefect = Prefect()
    prefect.run("r1", state("Running", 0))
    prefect.task("t1", "r1", state("Running", 1))
    prefect.run("r2", state("Running", 1), parent_task_run_id="t1")
    assert [each["parent"] for each in told(prefect).runs] == [(), ("r1",)]


def test_a_run_that_is_not_understood_keeps_nobody_from_seeing_the_others(capfd: pytest.CaptureFixture[str]) -> None:
    """It is said once."""
    prefect, memory = Prefect(), dict[str, Any]()
    prefect.run("r1", {**state("Running", 0), "timestamp": None})
    prefect.run("r2", state("Running", 1))
    prefect.task("t1", "r2", {**state("Running", 1), "timestamp": "soon"})
    follower, source = looking(prefect)
    follower.look(memory)
    follower.look(memory)
    assert [each["run"] for each in source.runs] == [source.run_id(("r2",))]
    assert capfd.readouterr().err.count("a run of etl is not understood") == 1


def test_an_older_prefect_is_refused_by_its_version() -> None:
    """Its API says other things."""
    prefect = Prefect()
    prefect.version = "2.20.4"
    with pytest.raises(RuntimeError, match=r"Prefect 2\.20\.4, and 3\.0 is the oldest"):
        told(prefect)
