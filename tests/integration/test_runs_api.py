"""What the API tells of runs beyond the list: their parts, their story, their numbers over time, what people say of them."""

from __future__ import annotations

import io
from typing import Any, get_args

import otlp
import pyarrow as pa
import pytest
from collectors import CollectorProcess
from otlp import SECOND, T0

from rota.rules.fold import TERMINAL
from rota.wire import names
from rota_collector.api.arrow import MEDIA_TYPE
from rota_collector.api.runs import Ended

CLIENT = 3
SINCE = "2026-09-21T14:13:20Z"  # T0


@pytest.fixture(scope="module")
def told(shared_collector: CollectorProcess) -> CollectorProcess:
    """A collector with a failed run that reports at all levels, one that runs, and a few others."""
    collector = shared_collector
    end = otlp.state(1, "failed", T0 + 9 * SECOND, error_type="ValueError", error_message="bad", started=T0 + SECOND, exit_code=1)
    end["attributes"] += otlp.pair_list({"rows": 7, names.MEMORY_PEAK: 4096, "rota.dropped.spans": None})
    collector.send(otlp.state(1, "running"), end)
    facts = [
        with_attributes(otlp.task(1, 1, "load"), rows=5, name="x"),
        with_attributes(otlp.task(1, 2, "load", parent=1), rows=6),
        with_attributes(otlp.task(1, 3, "publish", error="ValueError: bad"), **{"http.response.status_code": 500}),
        with_attributes({**otlp.task(1, 4, "query", parent=1), "kind": CLIENT}, **{"db.system.name": "postgresql"}),
    ]
    facts[1]["attributes"].append({"key": "ratio", "value": {"doubleValue": 0.5}})
    collector.send_spans(*facts)
    collector.send(*(otlp.log(1, text, severity) for text, severity in (("Hello World", "INFO"), ("careful", "WARN"))))
    collector.send(otlp.state(2, "running", workflow="stream"), announced(2, 1, "consume"))
    collector.send(*(record for n in range(3, 9) for record in otlp.whole_run(n, workflow="daily")))
    points = {"asInt": "100", "timeUnixNano": str(T0 + SECOND)}, {"asInt": "300", "timeUnixNano": str(T0 + 2 * SECOND)}
    ours = otlp.pair_list({names.RUN_ID: otlp.run_id(1)})
    gauge = {
        "name": "process.memory.usage",
        "unit": "By",
        "gauge": {"dataPoints": [{**each, "attributes": ours} for each in points]},
    }
    metrics = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [gauge]}]}]}
    assert collector.post("/v1/metrics", metrics).status_code == 200
    return collector.applied()


def with_attributes(span: otlp.Record, **pairs: object) -> otlp.Record:
    return {**span, "attributes": [*span["attributes"], *otlp.pair_list(pairs)]}


def announced(n: int, number: int, name: str) -> otlp.Record:
    """The record that a task has begun."""
    pairs = {
        names.EVENT_ID: otlp.span_id(n, number), names.RUN_ID: otlp.run_id(n), names.TASK_NAME: name,
        names.TASK_STATE: "running", names.TASK_PARENT_ID: otlp.span_id(n),
    }  # fmt: skip
    return {
        "timeUnixNano": str(T0 + n * SECOND), "eventName": names.TASK_STATE_EVENT, "attributes": otlp.pair_list(pairs),
        "traceId": otlp.run_id(n).replace("-", ""), "spanId": otlp.span_id(n, number),
    }  # fmt: skip


def columns(collector: CollectorProcess, path: str, **parameters: Any) -> pa.Table:
    """The answer in Arrow."""
    answer = collector._client.get(f"{collector.url}/api/v1{path}", params=parameters, headers={"Accept": MEDIA_TYPE})
    assert (answer.status_code, answer.headers["content-type"]) == (200, MEDIA_TYPE), answer.text
    return pa.ipc.open_stream(io.BytesIO(answer.content)).read_all()


def test_workflows_come_as_columns(told):
    """All of them at once, flat, with what is ahead."""
    rows = columns(told, "/workflows").to_pylist()
    assert [row["name"] for row in rows] == ["daily", "etl.nightly", "stream"]
    daily, etl, _ = rows
    assert (daily["state"], daily["outcomes"], daily["level"]) == ("succeeded", ["succeeded"] * 6, "observe")
    assert daily["usual_low_ns"] <= SECOND // 2 <= daily["usual_high_ns"]
    assert (etl["run_id"], etl["open_incidents"], etl["next_due_ns"], etl["paused"]) == (otlp.run_id(1), 1, None, False)


def test_runs_come_as_columns(told):
    """Narrowed as the list is, the last started first."""
    rows = columns(told, "/runs", workflow="daily").to_pylist()
    assert [row["run_id"] for row in rows] == [otlp.run_id(n) for n in range(8, 2, -1)]
    assert (rows[0]["started_ns"], rows[0]["ended_ns"], rows[0]["host"]) == (
        T0 + 8 * SECOND,
        T0 + 8 * SECOND + SECOND // 2,
        "box",
    )


def test_what_was_under_way_in_a_stretch_of_time_is_found(told):
    """Runs that began before it count when they had not ended, open ones however old they are."""
    found = columns(told, "/runs", during=True, since="2026-09-21T14:13:28.100Z", until="2026-09-21T14:13:28.200Z")
    assert set(found.column("run_id").to_pylist()) == {otlp.run_id(1), otlp.run_id(2), otlp.run_id(8)}
    later = columns(told, "/runs", during=True, since="2027-09-21T00:00:00Z", until="2027-09-22T00:00:00Z")
    assert later.column("run_id").to_pylist() == [otlp.run_id(2)]
    assert told.get("/api/v1/runs", during=True, since=SINCE).status_code == 422


def test_several_states_can_be_asked_for(told):
    """What went wrong goes by several names."""
    found = told.item("/runs", state=["failed", "running"])["items"]
    assert [run["id"] for run in found] == [otlp.run_id(2), otlp.run_id(1)]
    assert told.get("/api/v1/runs", state=["failed", "happy"]).json()["error"]["code"] == "unknown_state"


def test_spans_come_as_columns_with_the_tasks_that_run(told):
    """What has only begun has no duration, and stands under its parent."""
    rows = columns(told, f"/runs/{otlp.run_id(1)}/spans").to_pylist()
    assert [(row["name"], row["is_failed"]) for row in rows] == [
        ("load", False),
        ("load", False),
        ("publish", True),
        ("query", False),
    ]
    assert {row["total"] for row in rows} == {4}
    [running] = columns(told, f"/runs/{otlp.run_id(2)}/spans").to_pylist()
    assert (running["name"], running["duration_ns"], running["parent_span_id"]) == ("consume", None, int(otlp.span_id(2), 16))


def test_a_span_is_told_whole(told):
    """With its attributes; one that is not there is a 404, what is no id a 422."""
    path = f"/runs/{otlp.run_id(1)}/spans/"
    assert told.item(path + otlp.span_id(1, 4))["attributes"]["db.system.name"] == "postgresql"
    assert told.get(f"/api/v1{path}{otlp.span_id(9)}").status_code == 404
    assert told.get(f"/api/v1{path}nothing").status_code == 422


def test_logs_are_searched(told):
    """By text of the body or the attributes, in any case; by severity; without what other places tell."""
    path = f"/runs/{otlp.run_id(1)}/logs"
    assert [each["body"] for each in told.item(path, q="hello w")["items"]] == ["Hello World"]
    assert [each["body"] for each in told.item(path, plain=True)["items"]] == ["Hello World", "careful"]
    assert {each["event_name"] for each in told.item(path, q="valueerror")["items"]} == {names.RUN_STATE_EVENT}
    assert {each["severity"] for each in told.item(path, severity=13)["items"]} == {"WARN"}
    times = [each["at"] for each in told.item(path)["items"]]
    assert [each["at"] for each in told.item(path, limit=1)["items"]] == times[-1:] == [max(times)]


def test_the_work_of_a_run_is_added_up(told):
    """By the name of its tasks: how many, how long, and the numbers that they recorded; not those of conventions."""
    work = {each["name"]: each for each in told.item(f"/runs/{otlp.run_id(1)}/work")["items"]}
    assert list(work) == ["load", "publish", "query"]
    assert (work["load"]["count"], work["load"]["failed"], work["load"]["facts"]) == (2, 0, {"rows": 11.0, "ratio": 0.5})
    assert (work["publish"]["failed"], work["publish"]["facts"]) == (1, {})
    assert work["load"]["duration_seconds"] == pytest.approx(0.02)


def test_attributes_of_a_run_are_the_last_word_on_each_name(told):
    """What its process, its host and its facts are."""
    found = told.item(f"/runs/{otlp.run_id(1)}/attributes")["attributes"]
    assert (found["rows"], found[names.MEMORY_PEAK], found[names.HOST_NAME], found[names.STATE]) == (7, 4096, "box", "failed")


def test_the_history_of_a_run_says_who_told_what(told):
    """States by their source, and the incident that followed."""
    history = told.item(f"/runs/{otlp.run_id(1)}/history")["items"]
    assert [(each["kind"], each["word"], each["said_by"]) for each in history if each["kind"] == "run"][:2] == [
        ("run", "running", "sdk"), ("run", "failed", "sdk"),
    ]  # fmt: skip


def test_measurements_are_series(told):
    """In order of their time."""
    [series] = told.item(f"/runs/{otlp.run_id(1)}/metrics")["items"]
    assert (series["name"], series["unit"], series["points"]) == (
        "process.memory.usage", "By", [[T0 + SECOND, 100.0], [T0 + 2 * SECOND, 300.0]],
    )  # fmt: skip


def test_lamps_show_what_a_workflow_reports(told):
    """The run reports its host, tasks, numbers and a database; a workflow of bare runs next to nothing."""
    levels = {each["level"]: each for each in told.item("/workflows/etl.nightly/signals")["levels"]}
    assert levels["infrastructure"]["signals"] == ["host", "exit status", "memory"]
    assert levels["code"]["signals"] == ["tasks", "logging"]
    assert levels["code"]["is_failing"]
    assert levels["data"]["signals"] == ["numbers"]
    assert levels["systems"]["signals"] == ["databases", "calls"]
    bare = {each["level"]: each["signals"] for each in told.item("/workflows/daily/signals")["levels"]}
    assert bare == {"infrastructure": ["host"], "code": [], "data": [], "systems": []}


def test_activity_counts_runs_by_their_start(told):
    """Equal stretches of time, each with how its runs ended."""
    items = told.item("/activity", since=SINCE, until="2026-09-21T14:13:30Z", parts=2)["items"]
    assert [each["from_at"] for each in items] == ["2026-09-21T14:13:20.000000Z", "2026-09-21T14:13:25.000000Z"]
    assert [each["runs"] for each in items] == [{"failed": 1, "running": 1, "succeeded": 2}, {"succeeded": 4}]
    assert told.get("/api/v1/activity", since=SINCE, until=SINCE).status_code == 422


def test_days_are_those_of_a_time_zone(told):
    """A run after midnight there belongs to the next day; days without anything are left out."""
    assert told.item("/workflows/daily/days", tz="UTC", days=1000)["items"] == [
        {"day": "2026-09-21", "runs": {"succeeded": 6}, "slots": {}}
    ]
    [day] = told.item("/workflows/daily/days", tz="Pacific/Auckland", days=1000)["items"]
    assert day["day"] == "2026-09-22"
    assert told.get("/api/v1/workflows/daily/days", tz="Nowhere/Land").json()["error"]["code"] == "invalid"
    assert told.get("/api/v1/workflows/daily/days", tz="../etc/passwd").status_code == 422


def test_a_person_may_say_how_a_run_ended(new_collector):
    """It outranks what programs say, is a fact that names who said it, and the last word of a person holds."""
    collector = new_collector().start()
    collector.send(*otlp.whole_run(1, "failed", exit_code=1))
    collector.applied()
    path = f"/api/v1/runs/{otlp.run_id(1)}"
    changed = collector.post(f"{path}/outcome", {"state": "succeeded", "by": "maya", "reason": "checked by hand"}).json()
    assert (changed["state"], changed["reason"], changed["source"]) == ("succeeded", "maya: checked by hand", "person")
    collector.send(otlp.state(1, "failed", T0 + 9 * SECOND, source="agent", event_id="late"))
    collector.applied()
    assert collector.item(f"/runs/{otlp.run_id(1)}")["state"] == "succeeded"
    assert collector.post(f"{path}/outcome", {"state": "cancelled", "by": "ada"}).json()["reason"] == "set by ada"
    collector.applied()
    history = collector.item(f"/runs/{otlp.run_id(1)}/history")["items"]
    assert [each["word"] for each in history if each["said_by"] == "person"] == ["succeeded", "cancelled"]
    assert collector.post(f"{path}/outcome", {"state": "running"}).status_code == 422


def test_outcomes_are_the_terminal_states():
    """What a person may say is what a run can end as."""
    assert set(get_args(Ended)) == set(TERMINAL)
