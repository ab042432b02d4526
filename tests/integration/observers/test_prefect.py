"""Flow runs of Prefect's, as its API has them: their attempts, what is new of them, and what an unwilling server says."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from collectors import CollectorProcess, clean_environment
from orchestrators import SOURCES, python_of
from telling import Telling

from rota.wire import names
from rota_integrations.following import Later
from rota_integrations.prefect import Follower, declared
from rota_integrations.prefect.server import Server, headers_of, unix_ns, written
from rota_integrations.prefect.telling import steps
from rota_integrations.states import table_of

TABLE = table_of("prefect")
TYPES = {"Late": "SCHEDULED", "AwaitingRetry": "SCHEDULED", "Resuming": "SCHEDULED", "Retrying": "RUNNING", "NotReady": "PENDING"}
FLOW, NIGHTLY = {"id": "f1", "name": "etl"}, {"cron": "0 2 * * *", "timezone": "Europe/Berlin", "day_or": True}
ERROR = "Task run encountered an exception ValueError: row 7"


def at(second: float) -> str:
    """A time, as the API writes it."""
    return written(int((1_795_740_000 + second) * 10**9))


def state(name: str, second: float, message: str | None = None, **details: Any) -> dict[str, Any]:
    """A state, as the API has it."""
    kind = TYPES.get(name, name.upper())
    return {
        "id": f"{name} {second}", "type": kind, "name": name, "timestamp": at(second), "message": message,
        "state_details": details,
    }  # fmt: skip


class Prefect(Server):
    """A server with one flow: what it is asked it looks up in these, as the real one does."""

    def __init__(self) -> None:
        super().__init__("http://prefect", {})
        self.states: dict[str, list[dict[str, Any]]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.tasks: dict[str, dict[str, Any]] = {}
        self.deployments: list[dict[str, Any]] = []
        self.version = "3.9.1"

    def run(self, run_id: str, *states: dict[str, Any], **more: Any) -> None:
        """There is a flow run with these states."""
        self.runs[run_id] = self._of(run_id, states) | {"flow_id": "f1", "deployment_id": None, "tags": [], **more}

    def task(self, task_id: str, run_id: str, *states: dict[str, Any], **more: Any) -> None:
        """And in it a task run."""
        found = self._of(task_id, states) | {"name": f"{task_id}-abc", "dynamic_key": "abcdef", "task_key": "x-01234567"}
        self.tasks[task_id] = found | {"flow_run_id": run_id, **more}

    def _of(self, found_id: str, states: tuple[dict[str, Any], ...]) -> dict[str, Any]:
        states = tuple({**each, "id": f"{found_id} {each['id']}"} for each in states)
        self.states[found_id] = list(states)
        begun = [each["timestamp"] for each in states if each["type"] == "RUNNING"]
        last, is_over = states[-1], states[-1]["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
        return {
            "id": found_id, "name": found_id, "state": last, "state_id": last["id"], "state_type": last["type"],
            "expected_start_time": states[0]["timestamp"], "start_time": begun[0] if begun else None, "run_count": len(begun),
            "end_time": last["timestamp"] if is_over else None,
        }  # fmt: skip

    def ask(self, path: str, body: Any = None) -> Any:
        """The answer."""
        if path.endswith("_run_states/") or "_id=" in path:
            return self.states[path.partition("=")[2]]
        if body is None:
            return {"/admin/version": self.version}.get(path) or self.tasks[path.rpartition("/")[2]]
        wanted = {"/flows/filter": [FLOW], "/deployments/filter": self.deployments}.get(path)
        if wanted is None:
            of_tasks = path.startswith("/task")
            asked = body.get("task_runs" if of_tasks else "flow_runs", {})
            ids = body["flow_runs"].get("id", {}).get("any_")
            found = (self.tasks if of_tasks else self.runs).values()
            wanted = [each for each in found if _fits(each, asked) and (not ids or each.get("flow_run_id", each["id"]) in ids)]
            if body.get("sort") == "END_TIME_DESC":
                wanted.sort(key=lambda each: each["end_time"] or "", reverse=True)
        return wanted[body["offset"] : body["offset"] + body["limit"]]


def _fits(each: dict[str, Any], asked: dict[str, Any]) -> bool:
    types = asked.get("state", {}).get("type", {}).get("any_")
    after = asked.get("end_time", {}).get("after_")
    before = asked.get("expected_start_time", {}).get("before_")
    fits = not types or each["state_type"] in types
    return fits and not (after and (each["end_time"] or "") < after) and not (before and each["expected_start_time"] > before)


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


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A server that says always the same: its address, and the headers of what it was asked."""
    asked: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(dict(self.headers))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api", asked
        server.shutdown()


def test_who_asks_is_said_as_prefect_s_client_does() -> None:
    """By key, or by the password of a server of one's own."""
    with answering(200, b"[]") as (url, asked):
        Server(url, headers_of({"PREFECT_API_KEY": "pnu_1"})).ask("/x")
        Server(url, headers_of({"PREFECT_API_AUTH_STRING": "admin:pass"})).ask("/x")
    assert [each["Authorization"] for each in asked] == ["Bearer pnu_1", "Basic YWRtaW46cGFzcw=="]


def test_a_server_without_time_is_left_alone_as_long_as_it_asks() -> None:
    """429 with Retry-After."""
    with answering(429, b"", Retry_After="7") as (url, _), pytest.raises(Later) as raised:
        Server(url, {}).ask("/x")
    assert raised.value.seconds == 7


@pytest.mark.parametrize(("status", "said"), [(401, "/api/x answers 401 Unauthorized"), (200, "Is it the API's address")])
def test_a_server_that_is_not_ours_to_ask_says_so(status: int, said: str) -> None:
    """With the address, and what to set."""
    with answering(status, b"<html>") as (url, _), pytest.raises((OSError, ValueError), match=said):
        Server(url, {}).ask("/x")


def test_every_state_of_prefect_s_is_in_the_table() -> None:
    """Its types, and the names that it gives itself."""
    program = """
import json, inspect, prefect.states as states
from prefect.client.schemas.objects import StateType
names = "Late AwaitingRetry AwaitingConcurrencySlot Suspended Retrying Submitting InfrastructurePending".split()
assert all(hasattr(states, name) for name in names)
print(json.dumps([*(each.value for each in StateType), *names]))
"""
    done = subprocess.run([python_of("prefect"), "-c", program], capture_output=True, text=True, check=True)
    table = json.loads((Path(__file__).parents[3] / "integrations/rota_integrations/prefect/states.json").read_text())
    assert set(json.loads(done.stdout)) <= set(table["run"])


GATE = """
import sys
from rota_integrations.prefect.gates import NotPermitted, wait_for_rota
try:
    print(wait_for_rota.fn(sys.argv[1]))
except NotPermitted as error:
    print(error)
"""


def test_a_task_waits_for_a_gate_of_rota_s(shared_collector: CollectorProcess, tmp_path: Path) -> None:
    """It succeeds when the gate is open, and fails with what the gate says when it is not."""
    where = {"ROTA_ENDPOINT": shared_collector.url, "ROTA_HOME": str(tmp_path / "home"), "PYTHONPATH": SOURCES}

    def asked(workflow: str) -> str:
        command = [python_of("prefect"), "-c", GATE, workflow]
        return subprocess.run(command, env=clean_environment(**where), capture_output=True, text=True, check=True).stdout

    shared_collector.put("/api/v1/workflows/free.flow/policy", {"gates": [{"kind": "concurrency", "limit": 1}]})
    shared_collector.put("/api/v1/workflows/held.flow/policy", {"gates": [{"kind": "upstream", "workflow": "never.ran"}]})
    assert asked("free.flow") == "go\n"
    assert asked("held.flow").startswith("held.flow may not run (")
