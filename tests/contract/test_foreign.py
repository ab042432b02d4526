"""Runs of other orchestrators, from recordings of the OpenTelemetry spans that they really send."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import otlp
import pytest
from collectors import CollectorProcess

from rota.rules.fold import RunEvent
from rota_collector.decode import to_rows
from rota_collector.decode.from_json import to_protobuf
from rota_collector.journal import Record, Signal

RECORDINGS = Path(__file__).parent / "recordings"
NS = 10**9


def lines(system: str) -> list[bytes]:
    return (RECORDINGS / f"{system}.jsonl").read_bytes().splitlines()


def in_protobuf(line: bytes) -> Record:
    [payload] = to_protobuf(Signal.TRACES_JSON, line)
    return Record(0, 1, Signal.TRACES_PROTO, 1, payload)


def in_json(line: bytes) -> Record:
    return Record(0, 1, Signal.TRACES_JSON, 1, line)


def told(event: RunEvent) -> tuple[str, str, str | None]:
    return event.workflow, event.state, event.error_message


EXPECTED = {
    "airflow": [("etl_nightly", "succeeded", None), ("etl_broken", "failed", None)],
    "prefect": [
        ("prefect/e95cf955-6330-4103-8d64-d46681cd23b3", "succeeded", None),
        ("prefect/291f521c-e184-46b2-979e-15a7c0795f4c", "failed", "no table orders"),
        ("prefect/e95cf955-6330-4103-8d64-d46681cd23b3", "succeeded", None),
        ("prefect/15c2cc4b-eb3d-4837-a12a-3224386098b5", "succeeded", None),
    ],
    "flyte": [("etl.nightly", "succeeded", None), ("etl.broken", "failed", "no table orders")],
    "dbos": 2 * [("nightly", "succeeded", None), ("broken", "failed", "no table orders")],
}


@pytest.mark.parametrize("system", EXPECTED)
def test_each_run_is_told_once(system: str) -> None:
    """The root spans of a system, and no others, are runs: how each ended, by whom it is told, whatever the encoding."""
    events = to_rows.run_events([in_protobuf(line) for line in lines(system)])
    assert [told(event) for event in events] == EXPECTED[system]
    assert {event.source for event in events} == {system}
    assert all(event.started_ns and event.started_ns <= event.at_ns for event in events)
    assert len({event.run_id for event in events}) == len(events)
    assert to_rows.run_events([in_json(line) for line in lines(system)]) == events


@pytest.mark.parametrize("system", EXPECTED)
def test_the_same_spans_again_are_the_same_events(system: str) -> None:
    """Event ids follow from the spans, so that a request that is sent again tells nothing new."""
    twice = to_rows.run_events([in_protobuf(line) for line in lines(system) for _ in range(2)])
    assert len({event.event_id for event in twice}) == len(twice) / 2 == len(EXPECTED[system])


@pytest.mark.parametrize("system", ["airflow", "flyte", "dbos"])
def test_the_spans_below_belong_to_the_run(system: str) -> None:
    """A run's tasks are found by its id: in the columns it is the same that its event has."""
    records = [in_protobuf(line) for line in lines(system)]
    of_spans = to_rows.spans(records).column("run_id").to_pylist()
    for event in to_rows.run_events(records):
        assert of_spans.count(uuid.UUID(event.run_id)) >= 1 + (event.workflow != "etl.broken")
    assert None not in of_spans


def test_a_task_run_of_prefect_is_no_run() -> None:
    """Prefect's task spans name the task's own run: they are not put below a run that there is not."""
    table = to_rows.spans([in_protobuf(line) for line in lines("prefect")])
    assert table.column("run_id").null_count == 4  # extract, extract, load, extract


def test_airflow_tells_when_its_run_began() -> None:
    """Airflow's span begins when the run was queued; the run itself at its start_date."""
    event = to_rows.run_events([in_protobuf(line) for line in lines("airflow")])[0]
    [span] = [
        span
        for line in lines("airflow")
        for resource in json.loads(line)["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
        if span["name"] == "dag_run.etl_nightly"
    ]
    start_date = next(each["value"]["stringValue"] for each in span["attributes"] if each["key"] == "airflow.dag_run.start_date")
    assert start_date.startswith("2026-11-26 09:4")
    assert event.started_ns is not None
    assert abs(event.started_ns - int(span["startTimeUnixNano"])) < NS


def a_span(name: str, attributes: dict[str, Any], **more: Any) -> otlp.Record:
    span = otlp.task(7, 1, name) | {"attributes": otlp.pair_list(attributes)}
    return span | more


def of_scope(scope: str, *spans: otlp.Record) -> Record:
    request = otlp.spans(spans)
    request["resourceSpans"][0]["scopeSpans"][0]["scope"] = {"name": scope}
    return in_protobuf(json.dumps(request).encode())


def test_temporal_tells_start_and_end_apart() -> None:
    """Temporal has a span at the start and one at the end of a workflow (temporalio 1.35.0, its
    contrib/opentelemetry/_interceptor.py: execute_workflow and _top_level_workflow_context): together they are a run.
    """
    about = {"temporalWorkflowID": "nightly-1", "temporalRunID": "0192a4b0-0000-7000-8000-000000000001"}
    scope = "temporalio.contrib.opentelemetry._interceptor"
    failed = {"status": {"code": 2, "message": "ApplicationError: no table orders"}, "endTimeUnixNano": str(otlp.T0 + 60 * NS)}
    events = to_rows.run_events(
        [
            of_scope(scope, a_span("StartWorkflow:Nightly", {"temporalWorkflowID": "nightly-1"})),
            of_scope(
                scope, a_span("RunWorkflow:Nightly", about), a_span("RunActivity:load", about | {"temporalActivityID": "1"})
            ),
            of_scope(scope, a_span("CompleteWorkflow:Nightly", about, spanId=otlp.span_id(7, 2), **failed)),
        ]
    )
    assert [(event.workflow, event.state, event.error_type) for event in events] == [
        ("Nightly", "running", None),
        ("Nightly", "failed", "ApplicationError"),
    ]
    assert [event.run_id for event in events] == 2 * [about["temporalRunID"]]
    assert events[1].started_ns is None


@pytest.mark.parametrize(
    ("result", "state"),
    [
        ("success", "succeeded"),
        ("failure", "failed"),
        ("error", "failed"),
        ("timeout", "timed_out"),
        ("cancellation", "cancelled"),
        ("skip", "skipped"),
    ],
)
def test_pipelines_as_the_conventions_have_them(result: str, state: str) -> None:
    """A span with cicd.pipeline.result is a run, whoever sends it; the SDK's own are not read twice; tasks are none."""
    about = {"cicd.pipeline.name": "build", "cicd.pipeline.run.id": "4711", "cicd.pipeline.result": result}
    span = a_span("build", about)
    [event] = to_rows.run_events([of_scope("jenkins", span)])
    assert (event.workflow, event.state, event.source, event.raw_state) == ("build", state, "cicd", result)
    assert to_rows.run_events([of_scope("rota", span)]) == []
    assert to_rows.run_events([of_scope("jenkins", a_span("step", about | {"cicd.pipeline.task.name": "compile"}))]) == []


def test_other_spans_are_no_runs() -> None:
    """Spans of nobody's orchestrator tell of no run, whatever they are called and although their scope is an orchestrator's."""
    spans = [a_span("dag_run.x", {"http.route": "/"}), a_span("y", {"airflow.dag_id": "x"}), a_span("z", {"prefect.run.id": "1"})]
    assert to_rows.run_events([of_scope(scope, *spans) for scope in ("", "flask", "airflow.models.dagrun", "prefect")]) == []


def test_a_name_may_be_given_to_what_has_none() -> None:
    """Prefect does not tell a flow's name: cicd.pipeline.name in OTEL_RESOURCE_ATTRIBUTES gives one to the outermost flow."""
    request = json.loads(lines("prefect")[0])
    request["resourceSpans"][0]["resource"]["attributes"] += otlp.pair_list({"cicd.pipeline.name": "etl.nightly"})
    [event] = to_rows.run_events([in_protobuf(json.dumps(request).encode())])
    assert event.workflow == "etl.nightly"


def test_a_collector_shows_runs_of_others(shared_collector: CollectorProcess) -> None:
    """What Airflow and DBOS send to /v1/traces is listed as runs with their tasks' spans, also when it is sent twice."""
    for line in 2 * (lines("airflow") + lines("dbos")):
        assert shared_collector.post("/v1/traces", json.loads(line)).status_code == 200
    found = [run for run in shared_collector.applied().all_runs() if run["source"] in ("airflow", "dbos")]
    assert len(found) == 6
    runs = {run["workflow"]: run for run in found}
    assert {name: run["state"] for name, run in runs.items()} == {
        "etl_nightly": "succeeded", "etl_broken": "failed", "nightly": "succeeded", "broken": "failed",
    }  # fmt: skip
    detail = shared_collector.item(f"/runs/{runs['etl_broken']['id']}")
    assert [(task["name"], task["state"]) for task in detail["tasks"]] == [("fails", "failed")]
    assert runs["broken"]["error_message"] == "no table orders"
    query = "SELECT count(*) AS n, count(DISTINCT event_id) AS ids FROM run_events WHERE source IN ('airflow', 'dbos')"
    events = shared_collector.post("/api/v1/sql", {"query": query})
    assert events.json()["items"] == [{"n": 6, "ids": 6}]


@pytest.mark.parametrize(
    ("n", "result", "state"),
    [
        (101, "success", "succeeded"),
        (102, "failure", "failed"),
        (103, "timeout", "timed_out"),
        (104, "skip", "skipped"),
        (105, "cancellation", "cancelled"),
    ],
)
def test_the_result_of_a_task_is_its_state(shared_collector: CollectorProcess, n: int, result: str, state: str) -> None:
    """cicd.pipeline.task.run.result says how a task ended, although its span's status says nothing."""
    span = otlp.task(n, 1, "compile")
    span["attributes"] += otlp.pair_list({"cicd.pipeline.task.run.result": result})
    shared_collector.send(*otlp.whole_run(n))
    shared_collector.send_spans(span)
    [task] = shared_collector.applied().item(f"/runs/{otlp.run_id(n)}/tasks")["items"]
    assert task["state"] == state


def test_what_protobuf_allows_and_nobody_writes_is_read() -> None:
    """A request with a group, which protobuf's parsers skip, stops nobody who reads the journal, and hides no run."""
    group = bytes([15 << 3 | 3, 15 << 3 | 4])
    whole = in_protobuf(lines("dbos")[0])
    told = to_rows.run_events([whole._replace(payload=group + whole.payload), whole._replace(payload=group)])
    assert told == to_rows.run_events([whole])
