"""Who may do what: every endpoint × every scope × a key for all workflows, for this one, for another."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from asking import SECOND, T0, Api, Telemetry, new_stores

from rota.rules.fold import RunEvent
from rota_collector.api.app import Stores
from rota_collector.domain.admission import Need, Question
from rota_collector.domain.incident import Alerting, Incident, incident_id, told
from rota_collector.domain.message import Message
from rota_collector.domain.slots import Slot
from rota_collector.store import questions
from rota_collector.store.approvals import asked as asked_for
from rota_collector.store.dialect import upsert
from rota_collector.store.expectations_schema import slots
from rota_collector.store.incidents import keep
from rota_collector.store.keys import SCOPES, includes

# What an endpoint needs, and how it treats a key that is for some workflows only:
#   all     it is for keys that are for all workflows; others are told so
#   listed  it lists what the key may read, and nothing else
#   named   it is about one thing, which is not there for a key that may not read it
#   own     it changes that thing; one that is only shared for reading is refused
#   told    it names the workflows itself, and is refused where they are not the key's
#   any     any key but one for pings may ask
TABLE = """
    any    read    GET /me
    listed read    GET /activity
    listed read    GET /workflows
    named  read    GET /workflows/{name}
    named  read    GET /workflows/{name}/badge
    named  read    GET /workflows/{name}/days
    named  read    GET /workflows/{name}/policy
    named  read    GET /workflows/{name}/policy/versions
    named  read    GET /workflows/{name}/signals
    listed read    GET /runs
    named  read    GET /runs/{run_id}
    named  read    GET /runs/{run_id}/attributes
    named  read    GET /runs/{run_id}/decisions
    named  read    GET /runs/{run_id}/history
    named  read    GET /runs/{run_id}/logs
    named  read    GET /runs/{run_id}/metrics
    named  read    GET /runs/{run_id}/spans
    named  read    GET /runs/{run_id}/spans/{span_id}
    named  read    GET /runs/{run_id}/tasks
    named  read    GET /runs/{run_id}/work
    listed read    GET /slots
    listed read    GET /incidents
    named  read    GET /incidents/{incident_id}
    named  read    GET /incidents/{incident_id}/history
    listed read    GET /maintenance
    named  read    GET /advice/{name}
    listed read    GET /advice
    named  read    POST /policies/test
    named  read    POST /policies/check
    listed read    GET /leases
    listed read    GET /waiting
    listed read    GET /approvals
    named  read    GET /approvals/{approval_id}
    listed read    GET /policies
    listed ingest  GET /policies/asking
    listed ingest  POST /news
    told   ingest  POST /permission
    told   ingest  POST /retries
    listed read    GET /budgets
    own    ingest  POST /leases/{lease_id}/renew
    own    ingest  POST /leases/{lease_id}/release
    all    read    GET /channels
    listed read    GET /alerts
    all    read    POST /sql
    all    read    POST /export
    all    read    GET /logs
    all    read    GET /spans
    all    read    GET /tail
    own    operate POST /workflows/{name}/pause
    own    operate POST /workflows/{name}/resume
    own    operate POST /runs/{run_id}/outcome
    own    operate POST /runs/{run_id}/cancel
    own    operate POST /incidents/{incident_id}/ack
    own    operate POST /incidents/{incident_id}/snooze
    own    operate POST /incidents/{incident_id}/close
    told   operate POST /maintenance
    own    operate DELETE /maintenance/{quiet_id}
    own    operate POST /approvals/{approval_id}
    all    operate PUT /pools/{name}
    all    operate POST /channels/{name}/test
    told   admin   PUT /workflows/{name}/policy
    told   admin   POST /policies
    all    admin   POST /channels
    all    admin   DELETE /channels/{name}
    all    admin   GET /keys
    all    admin   POST /keys
    all    admin   POST /keys/{key_id}/rotate
    all    admin   DELETE /keys/{key_id}
    all    admin   GET /audit
    all    read    GET /metrics
"""
NEEDED = {
    f"{method} {path}": (kind, scope) for kind, scope, method, path in (line.split() for line in TABLE.strip().splitlines())
}
FOR_ANYBODY = {"GET /healthz", "GET /readyz", "GET /badge/{word}/{name}.svg"}
OUTSIDE = {"GET /metrics"}  # of /api/v1
LIMITS = {"all": None, "this": "b.*", "another": "a.*"}


class Told(Telemetry):
    """Knows nothing of any run, and says so to whatever is asked."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: {} if name in ("run_span", "run_attributes", "signals") else []


class Asked(NamedTuple):
    """An API with one workflow, ``b.one``, and all that there may be of it; and keys by (scope, limit)."""

    api: Api
    keys: dict[tuple[str, str], str]
    ids: dict[str, str]

    def __call__(self, endpoint: str, key: str | None) -> Any:
        method, template = endpoint.split()
        path = re.sub(r"\{(\w+)\}", lambda found: OPEN_RUN if endpoint in OF_OPEN_RUNS else self.ids[found[1]], template)
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return self.api(method, path if endpoint in OUTSIDE else "/api/v1" + path, headers=headers, **BODIES.get(endpoint, {}))


BODIES: dict[str, dict[str, Any]] = {
    "POST /runs/{run_id}/outcome": {"json": {"state": "failed"}},
    "POST /incidents/{incident_id}/snooze": {"json": {"seconds": 9}},
    "POST /runs/{run_id}/cancel": {"json": {"reason": "a test"}},
    "POST /news": {"json": {}},
    "POST /permission": {"json": {"workflow": "b.one", "run_id": "asking"}},
    "POST /retries": {"json": {"workflow": "b.one", "run_id": "asking"}},
    "POST /leases/{lease_id}/renew": {"json": {"token": 1}},
    "POST /leases/{lease_id}/release": {"json": {"token": 1}},
    "POST /approvals/{approval_id}": {"json": {"answer": "approve"}},
    "PUT /pools/{name}": {"json": {"limit": 3}},
    "POST /maintenance": {"json": {"workflow": "b.*", "seconds": 9}},
    "PUT /workflows/{name}/policy": {"json": {"expect": {"failures": 2}}},
    "POST /policies/test": {"json": {"workflow": "b.one"}},
    "POST /policies/check": {"json": {"workflow": "b.one"}},
    "POST /policies": {"json": {"workflow": "b.one"}},
    "POST /sql": {"json": {"query": "SELECT 1"}},
    "POST /export": {"json": {"format": "none"}},  # so that whoever may ask is told at once what is wrong with it
    "GET /logs": {"params": {"limit": 0}},
    "GET /spans": {"params": {"limit": 0}},
    "GET /tail": {"params": {"kinds": "none"}},
}
RUN, OPEN_RUN = "01990000-0000-7000-8000-00000000000b", "02990000-0000-7000-8000-00000000000c"
OF_OPEN_RUNS = {"POST /runs/{run_id}/cancel"}
ASKING = {"gates": [{"kind": "concurrency", "limit": 100}], "retry": {"budget": {"least": 1000}}}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """Made once, as an application takes long to make."""
    yield from begun(tmp_path_factory)


@pytest.fixture
def asked(world: Asked) -> Asked:
    """With all that there may be of ``b.one``, whatever the test before left of it."""
    return world._replace(ids=furnished(world.api.stores))


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """One of its own."""
    for found in begun(tmp_path_factory):
        yield found._replace(ids=furnished(found.api.stores))


def begun(folder: pytest.TempPathFactory) -> Iterator[Asked]:
    stores = new_stores(folder.mktemp("asked"), Told())
    api = Api(stores)
    made = {("admin", "all"): stores.key_changes.create("admin", now_ns=T0)}
    for scope in SCOPES:
        for limit, pattern in LIMITS.items():
            made[scope, limit] = stores.key_changes.create(scope, name=f"{scope} {limit}", pattern=pattern, now_ns=T0)
    yield Asked(api, {who: found[1] for who, found in made.items() if found is not None}, {})
    stores.keys.close()
    stores.control.close()


def furnished(stores: Stores) -> dict[str, str]:
    """A run, a policy, a slot, an incident with its alert, and a quiet time of ``b.one``; what their paths name."""
    begin = RunEvent("s", RUN, "b.one", "running", T0 - SECOND)
    is_open = RunEvent("o", OPEN_RUN, "b.one", "running", T0 - SECOND)
    stores.control.apply([is_open, begin, RunEvent("e", RUN, "b.one", "failed", T0, started_ns=T0 - SECOND)], 1)
    stores.expectations.policies.put({"b.one": {"schedule": {"every": "1h"}, **ASKING}}, author="ada", reason=None, now_ns=T0)
    stores.expectations.cancels.order(OPEN_RUN, "ada", "a test", T0)
    scope = f"workflow of {uuid.uuid4()}"
    (lease,) = stores.leases.acquire(scope, Question("b.one", RUN), [Need(scope, 1, 1, 60 * SECOND)]) or ()
    with stores.expectations.transaction() as connection:
        approval = asked_for(connection, Question("b.one", scope), 0, "operate", None, T0)
        questions.keep(connection, [questions.Asked("t", "b.one", RUN, 1, None, T0, "wait", T0)])
    incident = Incident(str(uuid.uuid4()), "missed", "b.one", "", T0, T0, "no run started")
    message = Message(incident.id, "ops", "b.one is missed", "", {"count": 1, "incidents": [{"id": incident.id}]})
    with stores.expectations.transaction() as connection:
        connection.execute(upsert(slots), {"workflow": "b.one", "host": "", **Slot(T0, T0, T0, 1, "missed")._asdict()})
        keep(connection, [told("opened", incident, Alerting(), T0)])
        stores.alerts.enqueue(connection, [message], T0)
    window = stores.expectations.quiet.add_maintenance(
        workflow="b.one", host="*", from_ns=T0, until_ns=T0 + 60 * SECOND, reason="", by="ada"
    )
    more = {"lease_id": lease.id, "approval_id": approval.id}
    unknown = {"key_id": "none", "span_id": "00"}
    return {"name": "b.one", "run_id": RUN, "incident_id": incident.id, "quiet_id": window.id, **more, **unknown}


BEYOND = {"listed": (200, ""), "named": (404, "not_found"), "own": (404, "not_found"), "told": (403, "beyond_key")}


def shows_it(answer: Any) -> bool:
    """Whether a list has something of ``b.one``; the activity counts its run, without a name."""
    return "b.one" in answer.text or '"failed":1' in answer.text


def test_the_table_names_every_endpoint(asked: Asked) -> None:
    """What a key needs for a request is decided by a person: a new endpoint is added to the table above."""
    paths = asked.api.document["paths"]
    served = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods} - FOR_ANYBODY
    new = {each.replace("/api/v1", "", 1) for each in served} ^ set(NEEDED)
    assert not new, f"TABLE in this file does not say what a key needs for {', '.join(sorted(new))}, or it is no more"


@pytest.mark.parametrize("endpoint", NEEDED)
def test_without_a_key_nobody_is_answered(asked: Asked, endpoint: str) -> None:
    """None, one for pings, and one that does not exist: 401."""
    for key in (None, asked.keys["ping", "all"], "rr_none"):
        assert asked(endpoint, key).status_code == 401


@pytest.mark.parametrize("scope", [scope for scope in SCOPES if scope != "ping"])
@pytest.mark.parametrize("endpoint", NEEDED)
def test_each_key_gets_as_far_as_it_may(asked: Asked, endpoint: str, scope: str) -> None:
    """By its scope, and by the workflows that it is for: this one, all, or another one."""
    kind, needed = NEEDED[endpoint]
    for limit in ("another", "this", "all"):
        answer = asked(endpoint, asked.keys[scope, limit])
        code = answer.json()["error"]["code"] if answer.status_code >= 400 else ""
        got, where = (answer.status_code, code), f"{endpoint} with a key of {scope} for {limit}: {answer.text[:300]}"
        if kind == "any":
            assert got == (200, ""), where
        elif not includes(scope, needed):
            assert got == (403, "not_allowed"), where
            break  # the scope is looked at first, whatever the limit
        elif kind == "all":
            assert got == (403, "beyond_key") if limit != "all" else answer.status_code not in (401, 403), where
        elif limit == "another":
            assert got == BEYOND[kind], where
            assert kind != "listed" or not shows_it(answer), where
        elif limit == "this":
            assert got == (200, ""), where
            assert kind != "listed" or shows_it(answer), where
        else:  # what was closed or removed a line above is closed or gone
            assert answer.status_code in ((200, 404, 409) if kind == "own" else (200,)), where


@pytest.mark.parametrize(
    "endpoint", [endpoint for endpoint, (kind, _) in NEEDED.items() if kind in ("named", "listed", "own", "told")]
)
def test_what_is_shared_for_reading_can_be_read_and_no_more(asked: Asked, endpoint: str) -> None:
    """With `share: {read: [a.*]}` a key for `a.*` reads b.one as its own, and changes nothing of it."""
    policies = asked.api.stores.expectations.policies
    shared = {"schedule": {"every": "1h"}, "share": {"read": ["a.*"]}, **ASKING}
    policies.put({"b.one": shared}, author="ada", reason=None, now_ns=T0)
    answer = asked(endpoint, asked.keys["admin", "another"])
    if NEEDED[endpoint][0] in ("named", "listed"):
        assert answer.status_code == 200, answer.text
        assert NEEDED[endpoint][0] == "named" or shows_it(answer)
    else:
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "beyond_key")


@pytest.mark.parametrize("endpoint", NEEDED)
def test_the_document_says_what_a_key_needs(asked: Asked, endpoint: str) -> None:
    """Of the scopes that the OpenAPI document names for a request, the last is the one that it needs."""
    method, path = endpoint.split()
    (security,) = asked.api.document["paths"][path if endpoint in OUTSIDE else "/api/v1" + path][method.lower()]["security"]
    kind, needed = NEEDED[endpoint]
    assert security["key"][-1:] == ([] if kind == "any" else [needed])


def columns_of(asked: Asked, path: str, key: str) -> str:
    headers = {"Authorization": f"Bearer {key}", "Accept": "application/vnd.apache.arrow.stream"}
    answer = asked.api("GET", "/api/v1" + path, headers=headers)
    assert answer.headers["content-type"] == "application/vnd.apache.arrow.stream"
    return answer.content.decode("latin-1")


@pytest.mark.parametrize("path", ["/workflows", "/runs", "/runs?during=1&since=2026-09-21T00:00Z&until=2026-09-22T00:00Z"])
def test_columns_hold_what_may_be_read(asked: Asked, path: str) -> None:
    """Arrow answers are narrowed as JSON is."""
    assert "b.one" in columns_of(asked, path, asked.keys["read", "this"])
    assert "b.one" not in columns_of(asked, path, asked.keys["read", "another"])


def test_the_beginning_of_an_id_tells_nothing(fresh: Asked) -> None:
    """A run that may not be read is not there when the beginning of its id is fresh for either, and makes nothing ambiguous."""
    for key, status in (("another", 404), ("this", 200)):
        headers = {"Authorization": f"Bearer {fresh.keys['read', key]}"}
        assert fresh.api("GET", f"/api/v1/runs/{RUN[:8]}", headers=headers).status_code == status
    stores = fresh.api.stores
    stores.control.apply([RunEvent("o", RUN[:-1] + "c", "a.one", "running", T0)], 2)
    headers = {"Authorization": f"Bearer {fresh.keys['read', 'this']}"}
    assert fresh.api("GET", f"/api/v1/runs/{RUN[:8]}", headers=headers).json()["id"] == RUN


def test_pages_are_cut_after_they_were_narrowed(fresh: Asked) -> None:
    """A page holds as many as were fresh for, however many others lie between; and the cursor leads through all of them."""
    stores = fresh.api.stores
    for i in range(40):
        run_id = f"01990000-0000-7000-8000-1000000000{i:02d}"
        stores.control.apply([RunEvent(run_id, run_id, "a.x" if i % 10 == 0 else "c.x", "running", T0 + i)], 3 + i)
    headers, found, cursor = {"Authorization": f"Bearer {fresh.keys['read', 'another']}"}, [], ""
    while True:
        page = fresh.api("GET", f"/api/v1/runs?limit=2{cursor}", headers=headers).json()
        found.append([run["workflow"] for run in page["items"]])
        if page["next"] is None:
            break
        cursor = "&cursor=" + page["next"]
    assert found == [["a.x", "a.x"], ["a.x", "a.x"]]


def test_a_digest_that_tells_of_others_is_not_shown(fresh: Asked) -> None:
    """A message about incidents of several workflows is shown to who may read all of them."""
    stores = fresh.api.stores
    other = Incident(incident_id("missed", "a.one", "", T0), "missed", "a.one", "", T0, T0, "no run started")
    both = [{"id": fresh.ids["incident_id"]}, {"id": other.id}]
    with stores.expectations.transaction() as connection:
        keep(connection, [told("opened", other, Alerting(), T0)])
        stores.alerts.enqueue(connection, [Message("d", "ops", "2 alerts", "", {"count": 2, "incidents": both})], T0)
    seen = {limit: [each["id"] for each in fresh("GET /alerts", fresh.keys["read", limit]).json()["items"]] for limit in LIMITS}
    assert seen == {"all": ["d", fresh.ids["incident_id"]], "this": [fresh.ids["incident_id"]], "another": []}


@pytest.mark.parametrize(
    "document",
    [
        {"schedule": {"after": {"workflow": "b.one"}}},
        {"expect": {"upstream": ["b.one"]}},
        {"gates": [{"kind": "upstream", "all_of": ["b.one"]}]},
    ],
)
def test_who_waits_for_another_needs_to_be_let(fresh: Asked, document: dict[str, Any]) -> None:
    """A policy of a.two that waits for b.one is refused until b.one shares `gate` with the key that stores it."""
    headers = {"Authorization": f"Bearer {fresh.keys['admin', 'another']}"}
    refused = fresh.api("PUT", "/api/v1/workflows/a.two/policy", json=document, headers=headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "beyond_key")
    policies = fresh.api.stores.expectations.policies
    policies.put({"b.one": {"share": {"gate": ["a.*"]}}}, author="ada", reason=None, now_ns=T0)
    assert fresh.api("PUT", "/api/v1/workflows/a.two/policy", json=document, headers=headers).status_code == 200
