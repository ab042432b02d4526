"""From requests as scripts send them to the answers of the API, through a real collector."""

from __future__ import annotations

import json
import socket
from urllib.parse import quote

import httpx
import jsonschema
import otlp
import pytest
from collectors import PATIENCE_SECONDS, until


@pytest.fixture(scope="module")
def told(shared_collector):
    """A collector that has seen a few runs."""
    collector = shared_collector
    collector.send(*otlp.whole_run(1, tags=["nightly", "eu"]))
    collector.send(
        *otlp.whole_run(2, "failed", exit_code=1, error_type="ValueError", error_message="bad ☃", error_stack="Traceback …")
    )
    collector.send(otlp.state(3, "running"))
    collector.send(*otlp.whole_run(4, "crashed", workflow="team/report", reason="vanished", source="agent"))
    collector.send(*(otlp.log(1, text, severity) for text, severity in (("hello", "INFO"), ("careful", "WARN"))))
    collector.send_spans(
        otlp.task(1, 1, "extract"),
        otlp.task(1, 2, "parse", parent=1),
        otlp.task(1, 3, "load", error="ValueError: no"),
        otlp.task(2, 1, "extract"),
    )
    return collector.applied()


def test_runs_are_listed_with_all_that_was_told(told):
    """The last started first, each as its events tell it."""
    runs = told.item("/runs")["items"]
    assert [run["id"] for run in runs] == [otlp.run_id(n) for n in (4, 3, 2, 1)]
    failed = runs[2]
    assert failed == {
        "id": otlp.run_id(2), "workflow": "etl.nightly", "state": "failed", "reason": None, "attempt": 1, "slot_at": None,
        "started_at": "2026-09-21T14:13:22.000000Z", "ended_at": "2026-09-21T14:13:22.500000Z", "duration_seconds": 0.5,
        "exit_code": 1, "error_type": "ValueError", "error_message": "bad ☃", "host": "box", "source": "sdk",
        "trace_id": otlp.run_id(2).replace("-", ""), "parent_run_id": None, "tags": [],
    }  # fmt: skip
    assert (runs[0]["state"], runs[0]["reason"], runs[0]["source"]) == ("crashed", "vanished", "agent")
    assert (runs[1]["state"], runs[1]["ended_at"]) == ("running", None)


def test_filters_and_pages(told):
    """As the list says, over HTTP."""
    assert [run["id"] for run in told.item("/runs", state="failed")["items"]] == [otlp.run_id(2)]
    assert [run["id"] for run in told.item("/runs", tag="eu")["items"]] == [otlp.run_id(1)]
    assert [run["id"] for run in told.item("/runs", workflow="team/report")["items"]] == [otlp.run_id(4)]
    assert [
        run["id"] for run in told.item("/runs", since="2026-09-21T14:13:23Z", until="2026-09-21T16:13:24+02:00")["items"]
    ] == [otlp.run_id(3)]
    first = told.item("/runs", limit=3)
    second = told.item("/runs", limit=3, cursor=first["next"])
    assert [run["id"] for run in second["items"]] == [otlp.run_id(1)]
    assert second["next"] is None


def test_a_run_comes_with_its_tasks(told):
    """Each task with its name, its place in the tree, its state and its error."""
    run = told.item(f"/runs/{otlp.run_id(1)}")
    tasks = {task["name"]: task for task in run["tasks"]}
    assert set(tasks) == {"extract", "parse", "load"}
    assert tasks["parse"]["parent_span_id"] == tasks["extract"]["span_id"] == otlp.span_id(1, 1)
    assert tasks["extract"]["state"] == "succeeded"
    assert tasks["load"]["state"] == "failed"
    assert tasks["extract"]["duration_seconds"] == pytest.approx(0.01)
    assert run["tasks"] == told.item(f"/runs/{otlp.run_id(1)}/tasks")["items"]


def test_the_stack_is_with_the_run_alone(told):
    """It is too long for lists."""
    assert told.item(f"/runs/{otlp.run_id(2)}")["error_stack"] == "Traceback …"
    assert "error_stack" not in told.item("/runs")["items"][0]


def test_spans_and_logs_of_a_run(told):
    """As they were sent, of this run only."""
    spans = told.item(f"/runs/{otlp.run_id(1)}/spans")["items"]
    assert {span["name"] for span in spans} == {"extract", "parse", "load"}
    assert {span["trace_id"] for span in spans} == {otlp.run_id(1).replace("-", "")}
    logs = told.item(f"/runs/{otlp.run_id(1)}/logs")["items"]
    assert ("careful", "WARN") in [(log["body"], log["severity"]) for log in logs]
    assert "rota.run.state" in [log["event_name"] for log in logs]


def test_workflows_and_their_rollups(told):
    """Each with its last run, its outcomes and its rate."""
    etl, report = told.item("/workflows")["items"]
    assert (etl["name"], etl["state"], etl["outcomes"]) == ("etl.nightly", "running", ["succeeded", "failed", "running"])
    assert etl["last_run"]["id"] == otlp.run_id(3)
    assert report == told.item("/workflows/team%2Freport")


def test_sql_reads_what_was_sent(told):
    """Rows as objects, one SELECT, nothing else."""
    query = "SELECT workflow, count(*) AS runs FROM run_events WHERE state = 'running' GROUP BY workflow ORDER BY workflow"
    answer = told.post("/api/v1/sql", {"query": query}).json()
    assert answer["items"] == [{"workflow": "etl.nightly", "runs": 3}, {"workflow": "team/report", "runs": 1}]
    for query, code in (
        ("DROP TABLE spans", "query_refused"),
        ("SELECT 1; SELECT 2", "query_refused"),
        ("SELECT nonsense", "query_failed"),
    ):
        answer = told.post("/api/v1/sql", {"query": query})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_every_answer_validates_against_the_document(told):
    """Of every path of the OpenAPI document that is read with GET."""
    document = told.item("/openapi.json")
    (incident, *_) = until(lambda: told.item("/incidents")["items"], "an incident of the run that failed")
    told.put("/api/v1/workflows/asking/policy", {"gates": [{"kind": "approval"}]})
    told.post("/api/v1/permission", {"workflow": "asking", "run_id": otlp.run_id(7), "attempt": 1, "wait_seconds": 0})
    parts = {
        "{approval_id}": told.item("/approvals")["items"][0]["id"],
        "{run_id}": otlp.run_id(1),
        "{name}": "etl.nightly",
        "{incident_id}": incident["id"],
        "{span_id}": otlp.span_id(1, 1),
    }
    checked = 0
    for template, methods in document["paths"].items():
        if "get" not in methods or "application/json" not in methods["get"]["responses"]["200"].get("content", {}):
            continue
        path = template
        for name, value in parts.items():
            path = path.replace(name, value)
        answer = told.get(path)
        assert answer.status_code == 200, path
        schema = methods["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(answer.json(), {**schema, "components": document["components"]})
        checked += 1
    assert checked >= 15
    told.put("/api/v1/workflows/asking/policy", {})


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/api/v1/runs", "/nonsense", "/v1/nonsense"])
def test_every_answer_names_the_collector_once(told, path):
    """Also those of the receiver, and bad ones."""
    assert len(told.get(path).headers.get_list("Rota-Collector")) == 1


def test_the_receiver_tells_whether_a_policy_asks(told):
    """0: nothing is asked of any run."""
    answer = told.post("/v1/logs", otlp.logs([]))
    assert (answer.status_code, answer.headers["Rota-Policy"]) == (200, "0")


def test_a_page_elsewhere_reads_nothing(told):
    """Over a real connection too: a rebound name is refused."""
    answer = httpx.get(told.url + "/api/v1/runs", headers={"Host": "evil.example"}, trust_env=False)
    assert answer.status_code == 403
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("path", ["/api/v1/logs", "/api/v1/spans"])
def test_a_search_reaches_as_far_as_a_date_does(told, path):
    """Before 1678 and after 2262 there is nothing, and asking for it breaks nothing."""
    assert told.get(path, until="1677-09-22T00:00:00Z").json() == {"items": [], "next": None}
    assert told.get(path, until="9999-12-30T00:00:00Z").json() == {"items": [], "next": None}
    assert told.get(path, until="0001-01-02T00:00:00Z").json()["error"]["code"] == "invalid"
    assert told.get(path, since="0001-01-02T00:00:00Z", until="9999-12-30T00:00:00Z").json()["items"] != []


def answer_to(collector, *fields: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to a GET of /api/v1/me with these lines in its head."""
    host, _, port = collector.addresses["http"].rpartition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS) as connection:
        lines = (b"GET /api/v1/me HTTP/1.1", b"Host: localhost", b"Connection: close", *fields)
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n")
        with connection.makefile("rb") as answer:
            head, _, body = answer.read().partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def test_blanks_behind_a_header_are_no_part_of_it(told):
    """The answer is the same as without them."""
    assert answer_to(told, b"Accept: application/json \t")[0] == 200


def test_a_head_that_cannot_be_passed_on_is_the_sender_s_fault(told):
    """400 in the envelope, and not the word that the collector is just starting: sending it again would not help."""
    status, body = answer_to(told, b"Host: example.com")
    assert status == 400
    assert json.loads(body)["error"]["code"] == "malformed"


def test_what_is_sent_twice_is_there_once(new_collector):
    """A retried request, and the same events in another request, change nothing."""
    collector = new_collector().start()
    records = otlp.whole_run(1, "failed", error_type="E")
    for request in (records, records, reversed(records), [*records, *otlp.whole_run(2)]):
        collector.send(*request)
        collector.send_spans(otlp.task(1, 1, "load"))
    collector.applied()
    assert len(collector.all_runs()) == 2
    assert len(collector.item(f"/runs/{otlp.run_id(1)}")["tasks"]) == 1
    assert collector.item("/workflows/etl.nightly")["outcomes"] == ["failed", "succeeded"]


def test_a_run_id_that_is_no_uuid_is_as_good(collector):
    """Other emitters have ids of their own: the run, its tasks and its logs are found by them."""
    name = "manual__2026-01-01T00:00:00+00:00"
    collector.send(otlp.renamed(otlp.state(7, "running"), name), otlp.renamed(otlp.log(7, "hi"), name))
    collector.send_spans(otlp.renamed(otlp.task(7, 1, "load"), name))
    collector.applied()
    path = "/runs/" + quote(name, safe="")
    assert [task["name"] for task in collector.item(path)["tasks"]] == ["load"]
    assert "hi" in [log["body"] for log in collector.item(path + "/logs")["items"]]
