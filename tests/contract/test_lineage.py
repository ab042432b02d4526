"""Events of the real ``openlineage-python`` client (its pins are in bench/peers/openlineage.txt), sent to a collector."""

from __future__ import annotations

import subprocess
import uuid
from typing import Any

import pytest
from bench import environments
from collectors import CollectorProcess, clean_environment

BEGIN = """
import sys
from openlineage.client import OpenLineageClient
from openlineage.client.transport.http import HttpConfig, HttpTransport, ApiKeyTokenProvider
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    error_message_run, input_statistics_input_dataset, nominal_time_run, output_statistics_output_dataset, parent_run,
)
url, run_id = sys.argv[1:3]
client = OpenLineageClient(transport=HttpTransport(HttpConfig(url=url, auth=ApiKeyTokenProvider({"apiKey": "any"}))))
def say(state, at, namespace="default", name="nightly", facets=None, inputs=(), outputs=(), run=run_id):
    client.emit(RunEvent(
        eventType=state, eventTime=at, run=Run(runId=run, facets=facets or {}), job=Job(namespace=namespace, name=name),
        producer="https://example.org/producer", inputs=list(inputs), outputs=list(outputs),
    ))
"""


def lineage(collector: CollectorProcess, program: str) -> str:
    """Run a program with the client; the id of its run."""
    run_id = str(uuid.uuid4())
    command = [environments.peer("openlineage"), "-c", BEGIN + program, collector.url, run_id]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return run_id


def event(**more: Any) -> dict[str, Any]:
    return {
        "eventType": "COMPLETE",
        "eventTime": "2026-11-01T02:00:10Z",
        "run": {"runId": str(uuid.uuid4())},
        "job": {"namespace": "default", "name": "by-hand"},
        **more,
    }


def test_a_run_with_its_datasets(shared_collector: CollectorProcess) -> None:
    """START and COMPLETE are one run with its slot; what was read and written are spans with rows and bytes."""
    run_id = lineage(
        shared_collector,
        """
nominal = {"nominalTime": nominal_time_run.NominalTimeRunFacet(nominalStartTime="2026-11-01T02:00:00Z")}
read = InputDataset("s3://lake", "/orders.parquet", inputFacets={
    "inputStatistics": input_statistics_input_dataset.InputStatisticsInputDatasetFacet(rowCount=10, size=2048)})
written = OutputDataset("postgres://db:5432", "shop.public.orders", outputFacets={
    "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=9, size=512)})
say(RunState.START, "2026-11-01T02:00:10+00:00", facets=nominal, inputs=[read])
say(RunState.RUNNING, "2026-11-01T02:00:20+00:00")
say(RunState.OTHER, "2026-11-01T02:00:30+00:00")
say(RunState.COMPLETE, "2026-11-01T02:00:40.500+00:00", inputs=[read], outputs=[written])
""",
    )
    [run] = shared_collector.applied().item("/runs", workflow="nightly")["items"]
    assert (run["id"], run["state"], run["source"], run["duration_seconds"]) == (run_id, "succeeded", "openlineage", 30.5)
    assert run["slot_at"].startswith("2026-11-01T02:00:00")
    spans = shared_collector.item(f"/runs/{run_id}/spans")["items"]
    facts = {span["attributes"]["rota.dataset.name"]: span["attributes"] for span in spans}
    assert {
        name: (each["rota.dataset.access"], each["rota.dataset.rows"], each["rota.dataset.bytes"]) for name, each in facts.items()
    } == {
        "s3://lake/orders.parquet": ("read", 10, 2048),
        "postgres://db:5432/shop.public.orders": ("write", 9, 512),
    }


def test_a_failure_and_a_parent(shared_collector: CollectorProcess) -> None:
    """FAIL with its error message; a namespace is part of the name; the parent facet names the parent run; ABORT is cancelled."""
    parent = str(uuid.uuid4())
    run_id = lineage(
        shared_collector,
        f"""
above = parent_run.Job(namespace="x", name="y")
parent = {{"parent": parent_run.ParentRunFacet(run=parent_run.Run(runId="{parent}"), job=above)}}
error = {{"errorMessage": error_message_run.ErrorMessageRunFacet(
    message="ValueError: no table orders", programmingLanguage="python", stackTrace="Traceback ...")}}
say(RunState.START, "2026-11-01T02:00:00Z", "lake", "load", facets=parent)
say(RunState.FAIL, "2026-11-01T02:00:01Z", "lake", "load", facets={{**parent, **error}})
say(RunState.ABORT, "2026-11-01T02:00:01Z", "lake", "stopped", run="{uuid.uuid4()}")
""",
    )
    [run] = shared_collector.applied().item("/runs", workflow="lake/load")["items"]
    assert (run["id"], run["state"], run["parent_run_id"]) == (run_id, "failed", parent)
    assert (run["error_type"], run["error_message"]) == ("ValueError", "no table orders")
    [stopped] = shared_collector.item("/runs", workflow="lake/stopped")["items"]
    assert stopped["state"] == "cancelled"


def test_a_list_of_events_and_events_without_a_run(shared_collector: CollectorProcess) -> None:
    """Several events may come at once; events of jobs and datasets alone are taken and not kept."""
    answer = shared_collector.post("/api/v1/lineage", [event(), event(), {"eventTime": "2026-11-01T02:00:10Z", "dataset": {}}])
    assert (answer.status_code, answer.json()) == (201, {"kept": 2})


def test_the_same_event_again_is_one(shared_collector: CollectorProcess) -> None:
    """A client that sends again tells nothing new, also in other words of the same JSON."""
    said = event(job={"name": "again"}, outputs=[{"namespace": "file", "name": "/data/x.csv"}])
    for _ in range(2):
        assert shared_collector.post("/api/v1/lineage", said).status_code == 201
        said = dict(reversed(said.items()))
    query = " UNION ALL ".join(f"SELECT count(*) AS n FROM {table} WHERE workflow = 'again'" for table in ("run_events", "spans"))
    shared_collector.applied()
    assert shared_collector.post("/api/v1/sql", {"query": query}).json()["items"] == [{"n": 1}, {"n": 1}]


@pytest.mark.parametrize(
    ("said", "field"),
    [
        (event(eventType="DONE"), "eventType"),
        (event(eventTime="yesterday"), "eventTime"),
        (event(eventTime=None), "eventTime"),
        (event(run={"runId": "1"}), "run.runId"),
        (event(run=7), "run"),
        (event(job={"name": ""}), "job.name"),
        ([event(), 7], "JSON object"),
        ("text", "JSON object"),
    ],
)
def test_what_is_no_event_is_refused(shared_collector: CollectorProcess, said: Any, field: str) -> None:
    """Nothing of a request with a bad event is kept; the answer is 400 and says where it is bad."""
    answer = shared_collector.post("/api/v1/lineage", said)
    assert (answer.status_code, field in answer.json()["error"]["message"]) == (400, True), answer.text


def test_a_huge_event_is_refused(shared_collector: CollectorProcess) -> None:
    """What would take long to decode, while others wait, is answered 413."""
    answer = shared_collector.post("/api/v1/lineage", event(producer="x" * (1 << 20)))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
