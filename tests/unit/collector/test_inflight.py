"""Rules act once, in the transaction in which the facts arrive."""

from __future__ import annotations

import json

import pytest
from asking import SECOND, T0, Api, Telemetry, new_stores

from rota.rules.fold import RunEvent
from rota.wire import events, names
from rota_collector.decode.tasks import TaskEnd, task_ends
from rota_collector.decode.to_rows import Beside
from rota_collector.domain.admission import Question
from rota_collector.journal import Record, Signal
from rota_collector.store import inflight
from rota_collector.watch import tick
from rota_collector.watch.tick import Tools

RUN, NEXT = "01990000-0000-7000-8000-00000000000b", "01990000-0000-7000-8000-00000000000c"
NO_ROWS = "task('extract').rows == 0"


@pytest.fixture
def stores(tmp_path):
    """Empty ones."""
    made = new_stores(tmp_path, Telemetry({}))
    yield made
    made.control.close()


def ruled(stores, *rules, **more):
    """The policy of ``etl``."""
    document = {"rules": [{"when": when, "do": do} for when, do in rules], **more}
    stores.expectations.policies.put({"etl": document}, author="ada", reason=None, now_ns=T0)


def told(stores, *ends, state="running", run_id=RUN, attempt=1):
    """The run says its state, and tasks end."""
    event = RunEvent(f"{run_id}{state}{attempt}", run_id, "etl", state, T0 + 9 * SECOND, attempt, started_ns=T0, host="h1")
    stores.control.apply([event], stores.control.offset() + 1, Beside(ends=ends))


def end(task="extract", span="a", run_id=RUN, attempt=1, state="succeeded", at=T0, **facts):
    """A call of a task."""
    return TaskEnd(run_id, "etl", attempt, task, span, at, 1.0, state, facts)


def records(stores):
    """What is on its way into the journal, as attributes by event name."""
    _, queued = stores.expectations.queued(100)
    found = []
    for each in json.loads("[%s]" % ",".join(queued)):
        values = {pair["key"]: next(iter(pair["value"].values())) for pair in each["attributes"]}
        found.append((each["eventName"], values))
    return found


def acts(stores):
    """(answer, reason) of what rules did."""
    return [(values[names.GATE_ANSWER], values[names.REASON]) for name, values in records(stores) if name == names.DECISION_EVENT]


def test_a_rule_acts_when_the_fact_arrives_and_once(stores):
    """More facts that say the same make no second act; the run is cancelling, with the reason."""
    ruled(stores, (NO_ROWS, "cancel('nothing to load')"), ("task('extract').rows > 5", "alert"))
    told(stores)
    assert acts(stores) == []
    told(stores, end(rows=0))
    told(stores, end(span="b", rows=0))
    assert acts(stores) == [("cancel", "rule 1: nothing to load")]
    (cancelling,) = [values for name, values in records(stores) if name == names.RUN_STATE_EVENT]
    assert (cancelling[names.STATE], cancelling[names.REASON]) == ("cancelling", "rule 1: nothing to load")
    (cancel,) = stores.expectations.cancels.after(0)
    assert (cancel.run_id, cancel.by, stores.expectations.cancels.number) == (RUN, "rota", cancel.number)


def test_facts_that_come_before_their_run_wait_for_it(stores):
    """Spans and states travel apart."""
    ruled(stores, (NO_ROWS, "cancel"))
    stores.control.apply([], stores.control.offset() + 1, Beside(ends=[end(rows=0)]))
    assert acts(stores) == []
    told(stores)
    assert acts(stores) == [("cancel", f"rule 1: {NO_ROWS}")]


def test_a_run_that_is_over_is_not_cancelled(stores):
    """People are told all the same, where a rule says so."""
    ruled(stores, (NO_ROWS, "cancel"), (NO_ROWS, "alert('no rows')"))
    told(stores, end(rows=0), state="succeeded")
    assert acts(stores) == [("alert", "rule 2: no rows")]
    assert stores.expectations.cancels.after(0) == []


def test_a_call_that_is_told_again_counts_once(stores):
    """A request may come twice; its spans have the same ids."""
    ruled(stores, ("task('load').calls > 1", "alert('twice')"))
    told(stores, end("load"))
    told(stores, end("load"))
    assert acts(stores) == []
    told(stores, end("load", span="b"))
    assert acts(stores) == [("alert", "rule 1: twice")]


def test_what_comes_late_adds_to_the_counts_and_is_not_the_latest(stores):
    """The order is that of the ends, not of arrival."""
    ruled(stores, ("task('load').rows == 1", "alert('one')"), ("task('load').failures == 1", "alert('a failure')"))
    told(stores, end("load", rows=2, at=T0 + 5 * SECOND))
    told(stores, end("load", span="b", rows=1, state="failed", at=T0 + SECOND))
    assert acts(stores) == [("alert", "rule 2: a failure")]


def test_an_attempt_begins_with_nothing_known(stores):
    """What an earlier attempt told is no fact of this one, even where it comes late."""
    ruled(stores, ("task('load').failures == 2", "cancel"))
    told(stores, end("load", state="failed"))
    told(stores, end("load", span="b", state="failed", attempt=2), attempt=2)
    told(stores, end("load", span="c", state="failed", attempt=1), attempt=2)
    assert acts(stores) == []


def test_a_run_is_compared_with_the_last_good_one(stores):
    """Only one that succeeded is remembered."""
    ruled(stores, ("task('extract').rows < 0.5 * last('extract').rows", "alert('half of it is missing')"))
    told(stores, end(rows=100), state="succeeded")
    told(stores, end(rows=10, run_id="x", span="x"), state="failed", run_id="x")
    assert len(acts(stores)) == 1
    told(stores, end(rows=60, run_id=NEXT, span="b"), run_id=NEXT)
    assert len(acts(stores)) == 1
    told(stores, end(rows=40, run_id=NEXT, span="c", at=T0 + SECOND), run_id=NEXT)
    assert len(acts(stores)) == 2


def test_a_task_is_denied_by_what_its_host_tells_and_by_what_arrived(stores):
    """The newer of them counts."""
    ruled(stores, (NO_ROWS, "deny('load_*')"))
    told(stores, end(rows=0))
    asked = Question("etl", RUN, 1, "load_orders", "h1")
    assert stores.room.ask(asked, None, None, "", 0).result().answer == "deny"
    assert stores.room.ask(asked._replace(task="report"), None, None, "", 0).result().answer == "go"
    newer = asked._replace(facts={"tasks": {"extract": {"rows": 3}}})
    assert stores.room.ask(newer, None, None, "", 0).result().answer == "go"


def test_an_alert_is_an_incident_until_a_run_succeeds_without_it(stores):
    """Opened with the rule's words, closed by the next good run."""
    ruled(stores, (NO_ROWS, "alert('no rows')"))
    tools = Tools(stores.expectations, stores.alerts, lambda _: 0, "")
    told(stores, end(rows=0), state="succeeded")
    assert tick.judge(tools, T0 + 10 * SECOND)
    api = Api(stores)
    (incident,) = api("GET", "/api/v1/incidents").json()["items"]
    assert (incident["kind"], incident["summary"], incident["run_id"]) == ("rule", "rule 1: no rows", RUN)
    later = RunEvent("later", NEXT, "etl", "succeeded", T0 + 30 * SECOND, started_ns=T0 + 20 * SECOND, host="h1")
    stores.control.apply([later], stores.control.offset() + 1, Beside(ends=[end(run_id=NEXT, span="b", rows=5)]))
    assert tick.judge(tools, T0 + 40 * SECOND)
    (incident,) = api("GET", "/api/v1/incidents").json()["items"]
    assert (incident["state"], incident["reason"]) == ("closed", "a run succeeded, and no rule objected")


def test_a_person_cancels_a_run_once(stores):
    """Who asks again is told of the first; a run that is over cannot be cancelled, and that is said."""
    api = Api(stores)
    told(stores)
    for who in ("ada", "bob"):
        said = api("POST", f"/api/v1/runs/{RUN}/cancel", json={"by": who, "reason": "wrong day"}).json()
        assert (said["run_id"], said["by"], said["reason"]) == (RUN, "ada", "ada: wrong day")
    known = api("POST", "/api/v1/news", json={}).json()
    assert [each["run_id"] for each in known["cancels"]] == [RUN]
    assert api("POST", "/api/v1/news", json={"known": known["number"]}).json() == {**known, "cancels": []}
    assert api("POST", "/api/v1/news", json={"run_ids": ["another"]}).json()["cancels"] == []
    told(stores, state="succeeded")
    assert api("POST", "/api/v1/news", json={}).json()["cancels"] == []
    refused = api("POST", f"/api/v1/runs/{RUN}/cancel", json={})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "run_over")


def test_a_further_attempt_of_a_cancelled_run_is_not_to_end(stores):
    """Unless somebody says so again, and hosts hear of that."""
    api = Api(stores)
    told(stores)
    first = api("POST", f"/api/v1/runs/{RUN}/cancel", json={"by": "ada"}).json()
    told(stores, state="cancelled")
    told(stores, attempt=2)
    assert api("POST", "/api/v1/news", json={}).json()["cancels"] == []
    second = api("POST", f"/api/v1/runs/{RUN}/cancel", json={"by": "bob"}).json()
    assert second["number"] > first["number"]
    (heard,) = api("POST", "/api/v1/news", json={"known": first["number"]}).json()["cancels"]
    assert (heard["run_id"], heard["by"]) == (RUN, "bob")


def test_facts_are_forgotten_and_what_rules_did_is_not(stores):
    """Else a rule would act again."""
    ruled(stores, (NO_ROWS, "alert"))
    told(stores, end(rows=0))
    with stores.expectations.transaction() as connection:
        inflight.forget(connection, T0 + 3600 * SECOND)
    told(stores, end(span="b", rows=0))
    assert len(acts(stores)) == 1


@pytest.mark.parametrize("workflow", ["etl", "Zürich/täglich", 'a "quoted" one'])
def test_spans_are_read_for_the_workflows_with_rules_only(workflow):
    """As the SDK writes them: the run in the scope, the task and its facts in the span."""
    scope = events.scope("1", {names.RUN_ID: RUN, names.WORKFLOW: workflow, names.ATTEMPT: 2})
    pairs = {names.TASK_NAME: "extract", "rows": 7, "ratio": 0.5, "is_full": True, "names": ["a", "b"]}
    ids, times = (RUN.replace("-", ""), "00f067aa0ba902b7", ""), (T0, T0 + SECOND)
    span = events.span(*ids, '"extract"', events.KIND_INTERNAL, *times, events.attributes(pairs), "")
    line = events.spans_line(events.resource({names.SERVICE_NAME: "x"}), {scope: [span]}).encode("ascii")
    record = Record(0, len(line), Signal.TRACES_JSON, T0, line)
    (found,) = task_ends([record], {workflow})
    facts = {"rows": 7, "ratio": 0.5, "is_full": True, "names": ["a", "b"]}
    assert found[:8] == (RUN, workflow, 2, "extract", "00f067aa0ba902b7", T0 + SECOND, 1.0, "succeeded")
    assert {name: found.told[name] for name in facts} == facts
    assert task_ends([record], {"another"}) == []
    assert task_ends([record], frozenset()) == []
