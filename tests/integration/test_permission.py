"""Permission from a real collector: many clients at once, kills, and what is told of it afterwards."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import otlp
import pytest
from collectors import CollectorProcess, until

ONE = {"gates": [{"kind": "concurrency", "limit": 1}]}


def store(collector: CollectorProcess, workflow: str, document: dict[str, Any]) -> None:
    collector.put(f"/api/v1/workflows/{workflow}/policy", document)


def ask(collector: CollectorProcess, workflow: str, run_id: str, wait: float = 0.0, **more: Any) -> dict[str, Any]:
    options = {"headers": {"Idempotency-Key": more.pop("key")}} if "key" in more else {}
    question = {"workflow": workflow, "run_id": run_id, "wait_seconds": wait, **more}
    answer = collector.post("/api/v1/permission", question, **options)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def release(collector: CollectorProcess, lease: dict[str, Any]) -> int:
    return collector.post(f"/api/v1/leases/{lease['id']}/release", {"token": lease["token"]}).status_code


def new_run() -> str:
    return str(uuid.uuid4())


def test_the_answer_is_as_the_contract_has_it(shared_collector: CollectorProcess) -> None:
    """All of its names, in every answer; a lease says how long it holds and has a token."""
    store(shared_collector, "shape", ONE)
    found = ask(shared_collector, "shape", new_run())
    assert set(found) == {"answer", "reason", "gate", "kind", "decision_id", "ticket", "look_again_seconds", "leases"}
    (lease,) = found["leases"]
    assert (found["answer"], lease["scope"], lease["token"]) == ("go", "workflow shape", 1)
    assert 0 < lease["expires_in_seconds"] <= 60
    waiting = ask(shared_collector, "shape", new_run())
    assert (waiting["answer"], waiting["gate"], waiting["kind"]) == ("wait", 0, "concurrency")
    assert 0 < waiting["look_again_seconds"] <= 60


def test_a_question_is_held_until_a_lease_is_free(shared_collector: CollectorProcess) -> None:
    """Whoever waits is answered when the holder releases, and not before; a release by a stale token is refused."""
    store(shared_collector, "held", ONE)
    (lease,) = ask(shared_collector, "held", new_run())["leases"]
    with ThreadPoolExecutor(1) as others:
        waiting = others.submit(ask, shared_collector, "held", new_run(), 20.0)
        until(lambda: waits_for(shared_collector, "held"), "the second to wait")
        assert release(shared_collector, {**lease, "token": lease["token"] + 1}) == 409
        assert not waiting.done()
        assert release(shared_collector, lease) == 200
        (next_lease,) = waiting.result()["leases"]
    assert next_lease["token"] > lease["token"]
    assert release(shared_collector, lease) == 409


def waits_for(collector: CollectorProcess, workflow: str) -> bool:
    """Whether somebody waits, as the file says."""
    return bool(rows(collector.home, "SELECT 1 FROM questions WHERE workflow = ? AND answer = 'wait'", workflow))


def rows(home: Path, query: str, *given: object) -> list[Any]:
    connection = sqlite3.connect(f"file:{home / 'control.sqlite'}?mode=ro", uri=True)
    try:
        return connection.execute(query, given).fetchall()
    finally:
        connection.close()


def test_who_goes_away_is_granted_nothing(shared_collector: CollectorProcess) -> None:
    """A client that gives up its question while it is held leaves the lease to the next."""
    store(shared_collector, "gone", ONE)
    (lease,) = ask(shared_collector, "gone", new_run())["leases"]
    question = {"workflow": "gone", "run_id": new_run(), "wait_seconds": 20}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{shared_collector.url}/api/v1/permission", json=question, timeout=0.5, trust_env=False)
    assert waits_for(shared_collector, "gone")
    with ThreadPoolExecutor(1) as others:
        waiting = others.submit(ask, shared_collector, "gone", new_run(), 20.0)
        until(
            lambda: len(rows(shared_collector.home, "SELECT 1 FROM questions WHERE workflow = 'gone'")) == 3, "the next to wait"
        )
        assert release(shared_collector, lease) == 200
        assert waiting.result()["answer"] == "go"


def test_a_question_after_the_keeper_was_killed_is_answered(new_collector: Callable[..., CollectorProcess]) -> None:
    """Connections that were open to it are none any more: the question goes to the next one."""
    collector = new_collector().start()
    store(collector, "again", ONE)
    run = new_run()
    (lease,) = ask(collector, "again", run)["leases"]
    for keeper in collector.keepers():
        os.kill(keeper, signal.SIGKILL)
    (same,) = ask(collector, "again", run)["leases"]
    assert (same["id"], same["token"]) == (lease["id"], lease["token"])


def test_fifty_clients_are_never_more_than_the_limit(shared_collector: CollectorProcess) -> None:
    """Each goes once; at no time do more than three hold a lease, and no token comes twice."""
    limit = 3
    store(shared_collector, "crowd", {"gates": [{"kind": "concurrency", "limit": limit, "scope": "crowd"}]})
    inside, most, tokens, turn = set[str](), 0, list[int](), threading.Lock()

    def one_run(_: int) -> None:
        nonlocal most
        run, ticket = new_run(), None
        with httpx.Client(base_url=shared_collector.url, timeout=60, trust_env=False) as client:
            while True:
                question = {"workflow": "crowd", "run_id": run, "ticket": ticket, "wait_seconds": 20}
                found = client.post("/api/v1/permission", json=question).json()
                if found["answer"] == "go":
                    break
                ticket = found["ticket"]
            (lease,) = found["leases"]
            with turn:
                inside.add(run)
                most = max(most, len(inside))
                tokens.append(lease["token"])
            with turn:
                inside.remove(run)
            answer = client.post(f"/api/v1/leases/{lease['id']}/release", json={"token": lease["token"]})
            assert answer.status_code == 200, answer.text

    with ThreadPoolExecutor(50) as clients:
        list(clients.map(one_run, range(150)))
    assert most <= limit
    assert sorted(tokens) == list(range(1, 151))
    assert shared_collector.item("/leases", scope="pool crowd")["items"] == []


def test_a_grant_whose_answer_was_lost_is_granted_once(new_collector: Callable[..., CollectorProcess]) -> None:
    """Killed between the grant and its answer, the collector gives who asks again the same lease, and nobody else one."""
    collector = new_collector().start()
    store(collector, "lost", ONE)
    for _ in range(2):
        run = new_run()

        def lose(run_id: str = run) -> None:
            try:
                ask(collector, "lost", run_id)
            except (httpx.HTTPError, AssertionError):
                pass  # it was killed before it answered

        asking = threading.Thread(target=lose)
        asking.start()
        (granted,) = until(lambda run_id=run: rows(collector.home, "SELECT id, token FROM leases WHERE run_id = ?", run_id), "it")
        collector.kill()
        asking.join()
        collector.start()
        assert ask(collector, "lost", new_run())["answer"] == "wait"
        (lease,) = ask(collector, "lost", run)["leases"]
        assert (lease["id"], lease["token"]) == granted
        assert release(collector, lease) == 200


def test_an_idempotency_key_is_answered_once(shared_collector: CollectorProcess) -> None:
    """Replayed it has the stored answer, with another payload 422, while it is being answered 409."""
    store(shared_collector, "keyed", ONE)
    run, key = new_run(), str(uuid.uuid4())
    first = ask(shared_collector, "keyed", run, key=key)
    again = ask(shared_collector, "keyed", run, key=key)
    assert [again[name] for name in ("ticket", "decision_id")] == [first[name] for name in ("ticket", "decision_id")]
    assert again["leases"][0]["id"] == first["leases"][0]["id"]
    question = {"workflow": "keyed", "run_id": new_run(), "wait_seconds": 20}
    other = shared_collector.post("/api/v1/permission", question, headers={"Idempotency-Key": key})
    assert (other.status_code, other.json()["error"]["code"]) == (422, "key_reused")
    key = str(uuid.uuid4())
    with ThreadPoolExecutor(1) as others:
        waiting = others.submit(ask, shared_collector, "keyed", question["run_id"], 20.0, key=key)
        until(lambda: waits_for(shared_collector, "keyed"), "the question to be held")
        flying = shared_collector.post("/api/v1/permission", question, headers={"Idempotency-Key": key})
        assert (flying.status_code, flying.json()["error"]["code"]) == (409, "in_flight")
        release(shared_collector, first["leases"][0])
        assert waiting.result()["answer"] == "go"


def test_every_answer_to_telemetry_tells_whether_policies_ask(new_collector: Callable[..., CollectorProcess]) -> None:
    """0 as long as none does; then a number by which a host gets what is new, and that a restart leaves as it is."""
    collector = new_collector().start()

    def number(path: str = "/v1/traces") -> int:
        return int(collector.post(path, {}).headers["Rota-Policy"])

    store(collector, "watched", {"schedule": {"every": "1h"}})
    assert number() == 0
    store(collector, "asks", ONE)
    first = number()
    assert first == number("/v1/logs") == collector.item("/policies/asking")["version"] != 0
    asked = collector.item("/policies/asking")["items"]
    assert asked == {"asks": {**ONE, "version": 1}}
    assert collector.item("/policies/asking", known=first) == {"version": first, "items": None}
    store(collector, "asks", {**ONE, "retry": {"attempts": 2}})
    assert number() not in (0, first)
    store(collector, "asks", ONE)
    second = number()
    collector.kill()
    collector.start()
    assert number() == second
    store(collector, "asks", {})
    assert (number(), collector.item("/policies/asking")["items"]) == (0, None)


def test_why_a_run_was_held_can_be_asked_afterwards(shared_collector: CollectorProcess) -> None:
    """One decision an answer, with what each gate said and the facts of it; also in SQL and in what was told of the run."""
    store(shared_collector, "told", {"gates": [{"kind": "upstream", "workflow": "never"}]})
    run = otlp.run_id(7)
    ticket = ask(shared_collector, "told", run)["ticket"]
    ask(shared_collector, "told", run, ticket=ticket)
    store(shared_collector, "told", ONE)
    assert ask(shared_collector, "told", run, ticket=ticket)["answer"] == "go"
    shared_collector.send(otlp.state(7, "running", workflow="told"))
    shared_collector.applied()
    path = f"/runs/{run}/decisions"
    items = until(
        lambda: len(shared_collector.item(path)["items"]) == 2 and shared_collector.item(path)["items"], "the decisions"
    )
    assert [(each["answer"], each["gate"], each["kind"]) for each in items] == [("wait", 0, "upstream"), ("go", None, None)]
    told = {each["kind"]: each for each in items[0]["answers"]}
    assert told["upstream"]["facts"]["runs"] == {"never": None}
    history = shared_collector.item(f"/runs/{run}/history")["items"]
    assert [each["word"] for each in history if each["kind"] == "decision"] == ["wait", "go"]


def test_a_collector_that_stops_sends_those_home_whom_it_holds(new_collector: Callable[..., CollectorProcess]) -> None:
    """They are told to wait, and ask again; it ends without waiting for them."""
    collector = new_collector().start()
    store(collector, "stops", ONE)
    ask(collector, "stops", new_run())
    with ThreadPoolExecutor(1) as others:
        waiting = others.submit(ask, collector, "stops", new_run(), 30.0)
        until(lambda: waits_for(collector, "stops"), "the question to be held")
        assert collector.stop() == 0
        assert waiting.result()["answer"] == "wait"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"wait_seconds": 31}, "wait_seconds"),
        ({"attempt": 0}, "attempt"),
        ({"unknown": 1}, "unknown"),
        ({"workflow": ""}, "workflow"),
    ],
)
def test_what_is_no_question_is_refused(shared_collector: CollectorProcess, wrong: dict[str, Any], said: str) -> None:
    """With what is wrong with it."""
    answer = shared_collector.post("/api/v1/permission", {"workflow": "w", "run_id": new_run(), **wrong})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")
    assert said in answer.json()["error"]["message"]
