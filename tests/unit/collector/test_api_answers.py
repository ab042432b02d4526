"""The API without a network: its answers, its errors, and whom it refuses."""

from __future__ import annotations

import decimal
import json
import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import jsonschema
import pytest
from asking import SECOND, T0, Api, Telemetry, new_stores

from rota.rules.fold import RunEvent
from rota_collector.api.shape import duration_seconds, iso, run_item
from rota_collector.errors import QueryFailed, QueryRefused, QueryTimeout

RUN = "01990000-0000-7000-8000-000000000001"

TASK = {
    "span_id": "ab" * 8, "parent_span_id": None, "name": "load", "state": "succeeded",
    "started_at": "2026-09-21T14:13:20.000000Z", "ended_at": "2026-09-21T14:13:21.000000Z", "duration_seconds": 1.0,
    "error_type": None, "error_message": None, "attributes": {},
}  # fmt: skip


@pytest.fixture
def stores(tmp_path):
    made = new_stores(tmp_path, Telemetry({RUN: [TASK]}))
    yield made
    made.control.close()


@pytest.fixture
def ask(stores):
    """Send one request to the API; returns the answer."""
    return Api(stores)


def told(stores, state="succeeded", run_id=RUN, workflow="etl.nightly", **fields) -> None:
    started = T0 - 10 * SECOND
    stores.control.apply(
        [
            RunEvent(run_id + "s", run_id, workflow, "running", started, tags=("nightly",), trace_id=run_id.replace("-", "")),
            RunEvent(run_id + "e", run_id, workflow, state, T0 - 8 * SECOND, started_ns=started, **fields),
        ],
        1,
    )


def test_a_run_has_the_fields_that_others_rely_on(stores, ask):
    """The item of a run, name by name, with times in UTC to the microsecond."""
    told(
        stores,
        "failed",
        exit_code=1,
        error_type="ValueError",
        error_message="bad",
        error_stack="where",
        host="ignored: the start names it",
    )
    (item,) = ask("GET", "/api/v1/runs").json()["items"]
    assert item == {
        "id": RUN, "workflow": "etl.nightly", "state": "failed", "reason": None, "attempt": 1, "slot_at": None,
        "started_at": "2026-09-21T14:13:10.000000Z", "ended_at": "2026-09-21T14:13:12.000000Z", "duration_seconds": 2.0,
        "exit_code": 1, "error_type": "ValueError", "error_message": "bad", "host": None, "source": "sdk",
        "trace_id": RUN.replace("-", ""), "parent_run_id": None, "tags": ["nightly"],
    }  # fmt: skip
    detail = ask("GET", f"/api/v1/runs/{RUN}").json()
    attempt = {key: item[key] for key in ("attempt", "state", "reason", "exit_code", "error_type", "error_message")}
    attempt |= {key: item[key] for key in ("started_at", "ended_at", "duration_seconds")}
    assert detail == {**item, "error_stack": "where", "attempts": [attempt], "tasks": [TASK]}


def test_a_task_that_never_ended_in_a_run_that_did_is_not_running(stores, ask, monkeypatch):
    """How it ended nobody knows, and nobody says: it is `ended`. While its run goes on, it runs."""
    running = {**TASK, "state": "running", "ended_at": None, "duration_seconds": None}
    monkeypatch.setattr(stores.telemetry, "run_tasks", lambda run_id: [TASK, running])
    told(stores, "crashed")
    assert [task["state"] for task in ask("GET", f"/api/v1/runs/{RUN}").json()["tasks"]] == ["succeeded", "ended"]
    told(stores, "running", run_id=RUN[:-1] + "2")
    items = ask("GET", f"/api/v1/runs/{RUN[:-1]}2/tasks").json()["items"]
    assert [task["state"] for task in items] == ["succeeded", "running"]


def test_a_workflow_has_the_fields_that_others_rely_on(stores, ask):
    """The item of a workflow; without a policy it observes, and nothing is due."""
    told(stores)
    item = ask("GET", "/api/v1/workflows/etl.nightly").json()
    assert item.pop("last_run")["id"] == RUN
    assert item == {
        "name": "etl.nightly", "level": "observe", "state": "succeeded", "next_due_at": None, "verdict": None,
        "paused": False, "open_incidents": 0, "success_rate_30d": 1.0, "tags": ["nightly"], "outcomes": ["succeeded"],
        "usual_seconds": None,
    }  # fmt: skip
    assert ask("GET", "/api/v1/workflows").json()["items"][0]["name"] == "etl.nightly"


def test_a_name_with_a_slash_is_a_name(stores, ask):
    """Workflows are called what their owners call them."""
    told(stores, workflow="team/etl nightly")
    assert ask("GET", "/api/v1/workflows/team%2Fetl%20nightly").json()["name"] == "team/etl nightly"


def test_the_beginning_of_an_id_is_enough_when_it_is_one_runs(stores, ask):
    """An ambiguous beginning is a 409 that says how to go on; too short a one finds nothing."""
    told(stores)
    assert ask("GET", f"/api/v1/runs/{RUN[:-2]}").json()["id"] == RUN
    told(stores, run_id=RUN[:-1] + "2")
    answer = ask("GET", f"/api/v1/runs/{RUN[:-2]}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "ambiguous")
    assert RUN in answer.json()["error"]["hint"]
    assert ask("GET", f"/api/v1/runs/{RUN[:3]}").status_code == 404


def test_the_parts_of_a_run_are_lists(stores, ask):
    """Tasks, spans and logs of a run; of an unknown run they are a 404, not an empty list."""
    told(stores)
    assert ask("GET", f"/api/v1/runs/{RUN}/tasks").json() == {"items": [TASK], "next": None}
    assert ask("GET", f"/api/v1/runs/{RUN}/spans").json() == {"items": [], "next": None}
    assert ask("GET", "/api/v1/runs/01990000-none/logs").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/runs/01990000-none", 404, "not_found"),
        ("GET", "/api/v1/workflows/none", 404, "not_found"),
        ("GET", "/api/v1/nonsense", 404, "not_found"),
        ("GET", "/nonsense", 404, "not_found"),
        ("DELETE", "/api/v1/runs", 405, "method_not_allowed"),
        ("GET", "/api/v1/runs?limit=0", 422, "invalid"),
        ("GET", "/api/v1/runs?limit=many", 422, "invalid"),
        ("GET", "/api/v1/runs?since=yesterday", 422, "invalid"),
        ("GET", "/api/v1/runs?since=2026-01-01T00:00:00", 422, "invalid"),
        ("GET", "/api/v1/runs?state=sleeping", 422, "unknown_state"),
        ("GET", "/api/v1/runs?cursor=x", 400, "bad_cursor"),
        ("POST", "/api/v1/sql", 422, "invalid"),
    ],
)
def test_every_error_is_in_the_envelope(ask, method, path, status, code):
    """Whoever raises it: {"error": {code, message, hint}} with the right status and a text that says what was wrong."""
    answer = ask(method, path)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "hint"}
    assert error["code"] == code
    assert len(error["message"]) > 10


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (QueryRefused("two"), "query_refused"),
        (QueryFailed("no such table"), "query_failed"),
        (QueryTimeout("10 s"), "query_timeout"),
    ],
)
def test_a_query_that_is_not_answered_says_why(stores, ask, error, code):
    """The three ways in which a query can fail have codes of their own, and are the asker's business."""
    stores.telemetry.answer = error
    answer = ask("POST", "/api/v1/sql", json={"query": "SELECT 1"})
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["error"]["message"]) == (400, code, str(error))


def test_an_unexpected_error_is_in_the_envelope_and_on_stderr(stores, ask, capsys):
    """A 500 names the error; the stack is for whoever runs the collector."""
    stores.telemetry.answer = ZeroDivisionError("oops")
    answer = ask("POST", "/api/v1/sql", json={"query": "SELECT 1"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
    assert "ZeroDivisionError: oops" in capsys.readouterr().err


def test_a_query_answers_with_objects(stores, ask):
    """Values that JSON has no word for become text, NaN null, times UTC, and columns of one name are told apart."""
    at = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    row = (
        1,
        2,
        decimal.Decimal("1.10"),
        at.replace(tzinfo=None),
        uuid.UUID(int=1),
        float("nan"),
        timedelta(seconds=90),
        b"\x00\xff",
        [at],
    )
    stores.telemetry.answer = SimpleNamespace(
        columns=["n", "n", "d", "at", "id", "x", "took", "raw", "list"], rows=[row], truncated=True
    )
    content = ask("POST", "/api/v1/sql", json={"query": "SELECT …"}).json()
    assert content["columns"] == ["n", "n_1", "d", "at", "id", "x", "took", "raw", "list"]
    assert content["truncated"] is True
    (item,) = content["items"]
    assert (item["n"], item["n_1"]) == (1, 2)
    assert item["d"] == "1.10"
    assert item["at"] == "2026-01-02T03:04:05.000006Z"
    assert item["id"] == str(uuid.UUID(int=1))
    assert item["x"] is None


@pytest.mark.parametrize("path", ["/healthz", "/api/v1/runs", "/nonsense", "/api/v1/runs?limit=0"])
def test_every_answer_says_that_this_is_rota(ask, path):
    """Good or bad, each carries the collector's version, so that nobody mistakes another server for it."""
    assert ask("GET", path).headers["Rota-Collector"] == "1.2.3"


@pytest.mark.parametrize("host", ["127.0.0.1:4318", "localhost", "LOCALHOST:1", "[::1]:4318", "127.1.2.3"])
def test_this_machine_is_answered(ask, host):
    """Every way to say loopback is good."""
    assert ask("GET", "/api/v1/runs", host=host).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:4318", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1"]
)
def test_a_foreign_host_is_refused(ask, host):
    """A page whose name was rebound to 127.0.0.1 still sends its own name, and reads nothing."""
    answer = ask("GET", "/api/v1/runs", host=host)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "foreign_host")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://localhost.evil.example", "http://[::1"])
def test_a_foreign_page_cannot_post(ask, origin):
    """A page elsewhere can send a request here without being able to read the answer: it must not have an effect."""
    answer = ask("POST", "/api/v1/sql", json={"query": "SELECT 1"}, headers={"Origin": origin})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "foreign_origin")


def test_a_page_of_this_machine_can_post(ask):
    """The dashboard's own page is on loopback."""
    answer = ask("POST", "/api/v1/sql", json={"query": "SELECT 1"}, headers={"Origin": "http://localhost:8501"})
    assert answer.json() == {"columns": ["n"], "items": [{"n": 1}], "truncated": False}


def test_ready_is_when_both_stores_follow(stores, ask):
    """A lag is no trouble; a store that fails or stopped following is, and is named."""
    stores.control_progress.lag_bytes = 7
    answer = ask("GET", "/readyz")
    lags = {"telemetry_lag_bytes": 0, "control_lag_bytes": 7}
    others = {"skipped_bytes": 0, "retention": None, "forward": {}}
    assert (answer.status_code, answer.json()) == (200, {**lags, **others, "trouble": None})
    stores.telemetry_progress.trouble = "OSError: disk"
    stores.control_progress.alive = False
    answer = ask("GET", "/readyz")
    assert answer.status_code == 503
    assert answer.json()["trouble"] == "telemetry: OSError: disk; control: does not follow the journal"
    assert ask("GET", "/healthz").status_code == 200


def test_answers_are_what_the_openapi_document_says(stores, ask):
    """Each answer validates against the schema of its path, in which every field is required."""
    told(stores, "failed", error_type="E")
    document = ask("GET", "/api/v1/openapi.json").json()
    paths = {
        "/api/v1/workflows": "/api/v1/workflows",
        "/api/v1/workflows/{name}": "/api/v1/workflows/etl.nightly",
        "/api/v1/runs": "/api/v1/runs",
        "/api/v1/runs/{run_id}": f"/api/v1/runs/{RUN}",
        "/api/v1/runs/{run_id}/tasks": f"/api/v1/runs/{RUN}/tasks",
        "/readyz": "/readyz",
        "/healthz": "/healthz",
    }
    for template, path in paths.items():
        schema = document["paths"][template]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(ask("GET", path).json(), {**schema, "components": document["components"]})
    error = {"$ref": "#/components/schemas/Error", "components": document["components"]}
    jsonschema.validate(ask("GET", "/api/v1/nonsense").json(), error)
    assert set(document["components"]["schemas"]["Run"]["required"]) >= {"id", "workflow", "state", "reason", "exit_code"}


def test_no_page_loads_scripts_from_elsewhere(ask):
    """There is the document, and none of the usual pages, whose scripts come from another company's servers."""
    for path in ("/docs", "/redoc", "/api/v1/docs"):
        assert ask("GET", path).status_code == 404


def test_a_clock_set_back_gives_no_negative_duration(stores):
    """A run that ended before it began has a duration that nobody knows."""
    run_id = "01990000-back"
    stores.control.apply([RunEvent("e", run_id, "w", "succeeded", T0, started_ns=T0 + SECOND)], 1)
    run = stores.control.run(run_id)
    assert duration_seconds(run) is None
    assert run_item(run)["duration_seconds"] is None


def test_times_are_iso_8601_in_utc_to_the_microsecond():
    """Also before 1970, and at the end of what 64 bits hold."""
    assert iso(0) == "1970-01-01T00:00:00.000000Z"
    assert iso(1_790_000_000_123_456_789) == "2026-09-21T14:13:20.123456Z"
    assert iso(-1) == "1969-12-31T23:59:59.999999Z"
    assert iso(2**63 - 1).startswith("2262-04-11T")
    assert iso(None) is None
    assert json.dumps(iso(1)) == '"1970-01-01T00:00:00.000000Z"'
