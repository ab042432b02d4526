"""Pings, sent with curl to a real collector: what is answered, and which runs come of it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from collectors import CollectorProcess
from servers import client_of, rota

from rota_collector import _files
from rota_collector.clock import ManualClock
from rota_collector.journal import Journal
from rota_collector.receive.pings import Receiver
from rota_collector.store import lookups
from rota_collector.store.control import Control
from rota_collector.store.key_changes import KeyChanges
from rota_collector.store.keys import Keys
from rota_collector.store.lookups import Lookups


def new_key(collector: CollectorProcess, **asked: Any) -> dict[str, Any]:
    answer = collector.post("/api/v1/keys", {"scope": "ping", **asked})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def bound(collector: CollectorProcess) -> tuple[str, str]:
    """(the address of a key for a workflow of its own, the workflow)."""
    workflow = f"job-{uuid.uuid4().hex[:8]}"
    return collector.url + new_key(collector, workflow=workflow)["path"], workflow


def curl(url: str, *options: str, body: bytes | None = None) -> tuple[int, str]:
    """(status, text) of an answer."""
    data = ["--data-binary", "@-"] if body is not None else []
    command = ["curl", "-sS", "-m", "20", "-w", "\n%{http_code}", *options, *data, url]
    done = subprocess.run(command, input=body or b"", stdout=subprocess.PIPE, check=True)
    text, _, status = done.stdout.decode().rpartition("\n")
    return int(status), text


def runs(collector: CollectorProcess, workflow: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = collector.applied().item("/runs", workflow=workflow)["items"]
    return found


def outputs(collector: CollectorProcess, workflow: str) -> list[str]:
    query = f"SELECT body FROM logs WHERE event_name = 'rota.output' AND workflow = '{workflow}' ORDER BY logged_at"
    found = collector.applied().post("/api/v1/sql", {"query": query}).json()
    return [row["body"] for row in found["items"]]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_each_verb_is_a_ping(shared_collector: CollectorProcess, method: str) -> None:
    """GET, POST and PUT are answered OK, and make a run that succeeded."""
    url, workflow = bound(shared_collector)
    assert curl(url, "-X", method) == (200, "OK")
    [run] = runs(shared_collector, workflow)
    assert (run["state"], run["source"], run["host"]) == ("succeeded", "ping", None)


def test_head_is_a_ping_without_a_body(shared_collector: CollectorProcess) -> None:
    """HEAD is answered with the headers that Healthchecks sends and no body, and is a run all the same."""
    url, workflow = bound(shared_collector)
    status, head = curl(url, "-I")
    assert status == 200
    assert {"ping-body-limit: 100000", "access-control-allow-origin: *"} <= set(head.lower().splitlines())
    assert len(runs(shared_collector, workflow)) == 1


def test_another_verb_is_refused(shared_collector: CollectorProcess) -> None:
    """DELETE is no ping."""
    assert curl(bound(shared_collector)[0], "-X", "DELETE")[0] == 405


@pytest.mark.parametrize(
    ("suffix", "state", "reason", "exit_code"),
    [
        ("/start", "running", None, None),
        ("/", "succeeded", None, None),
        ("/0", "succeeded", None, 0),
        ("/fail", "failed", "ping", None),
        ("/3", "failed", "exit", 3),
        ("/255", "failed", "exit", 255),
    ],
)
def test_a_suffix_says_how_the_run_is(
    shared_collector: CollectorProcess, suffix: str, state: str, reason: str | None, exit_code: int | None
) -> None:
    """What stands at the end of the address becomes the state, the reason and the exit status of the run."""
    url, workflow = bound(shared_collector)
    assert curl(url + suffix) == (200, "OK")
    [run] = runs(shared_collector, workflow)
    assert (run["state"], run["reason"], run["exit_code"]) == (state, reason, exit_code)


@pytest.mark.parametrize("end", ["/256", "?rid=7", "?rid="])
def test_an_address_out_of_form_is_400(shared_collector: CollectorProcess, end: str) -> None:
    """An exit status that none can be, and a rid that is no UUID, are refused in the words of Healthchecks."""
    url, workflow = bound(shared_collector)
    assert curl(url + end) == (400, "invalid url format")
    assert runs(shared_collector, workflow) == []


def test_a_success_ends_the_run_that_was_started(shared_collector: CollectorProcess) -> None:
    """Start and success without a rid are one run; a second success is a second run."""
    url, workflow = bound(shared_collector)
    for suffix in ("/start", "", ""):
        assert curl(url + suffix) == (200, "OK")
    assert [run["state"] for run in runs(shared_collector, workflow)] == ["succeeded", "succeeded"]


def test_runs_that_overlap_are_told_apart_by_rid(shared_collector: CollectorProcess) -> None:
    """After start A, start B and success B, A is still open; each run has its rid as its id."""
    url, workflow = bound(shared_collector)
    a, b = str(uuid.uuid4()), str(uuid.uuid4())
    for address in (f"{url}/start?rid={a}", f"{url}/start?rid={b}", f"{url}?rid={b}"):
        assert curl(address) == (200, "OK")
    assert {run["id"]: run["state"] for run in runs(shared_collector, workflow)} == {a: "running", b: "succeeded"}


def test_a_ping_with_a_rid_that_is_repeated_is_one_event(shared_collector: CollectorProcess) -> None:
    """What `curl --retry` sends twice has one event id, and is one run."""
    url, workflow = bound(shared_collector)
    rid = uuid.uuid4()
    for _ in range(2):
        assert curl(f"{url}/4?rid={rid}") == (200, "OK")
    assert len(runs(shared_collector, workflow)) == 1
    query = f"SELECT event_name, count(DISTINCT event_id) AS n FROM logs WHERE workflow = '{workflow}' GROUP BY event_name"
    found = {row["event_name"]: row["n"] for row in shared_collector.post("/api/v1/sql", {"query": query}).json()["items"]}
    assert found.pop("rota.run.state") == 1
    assert set(found) <= {"rota.incident"}  # the collector's own word on the failure


def test_a_run_that_began_before_a_restart_is_ended_after_it(collector: CollectorProcess) -> None:
    """The collector is killed between start and success: they are one run."""
    workflow = bound(collector)[1]
    path = new_key(collector, workflow=workflow)["path"]
    assert curl(f"{collector.url}{path}/start") == (200, "OK")
    collector.kill()
    collector.start()
    assert curl(f"{collector.url}{path}/5") == (200, "OK")
    [run] = runs(collector, workflow)
    assert (run["state"], run["exit_code"]) == ("failed", 5)
    assert run["started_at"] < run["ended_at"]


def test_the_end_of_the_output_is_the_error(shared_collector: CollectorProcess) -> None:
    """A body is kept as output of the run; the last ten lines of it are the error of one that failed."""
    url, workflow = bound(shared_collector)
    assert curl(url + "/2", body="\n".join(f"line {i}" for i in range(20)).encode()) == (200, "OK")
    [run] = runs(shared_collector, workflow)
    assert (run["error_type"], run["error_message"]) == ("exit", "\n".join(f"line {i}" for i in range(10, 20)))
    assert outputs(shared_collector, workflow)[0].startswith("line 0\n")


def test_a_log_changes_no_state(shared_collector: CollectorProcess) -> None:
    """The body of a log belongs to the run that is open, which stays open."""
    url, workflow = bound(shared_collector)
    curl(url + "/start")
    assert curl(url + "/log", body=b"half way") == (200, "OK")
    [run] = runs(shared_collector, workflow)
    assert run["state"] == "running"
    logs = shared_collector.item(f"/runs/{run['id']}/logs")["items"]
    assert "half way" in [log["body"] for log in logs]


def test_no_body_is_too_large_or_too_strange(shared_collector: CollectorProcess) -> None:
    """Of 200 kB 100,000 bytes are kept, and NUL, control characters and broken UTF-8 are kept as well as they can be."""
    url, workflow = bound(shared_collector)
    assert curl(url + "/fail", body=b"x" * 200_000) == (200, "OK")
    assert curl(url + "/fail", body=b"a\0b\xff\x1b[31mc") == (200, "OK")
    large, strange = outputs(shared_collector, workflow)
    assert len(large) == 100_000
    assert strange == "a\ufffdb\ufffd\x1b[31mc"


def test_a_slug_is_made_when_that_is_asked(shared_collector: CollectorProcess) -> None:
    """A workflow that never ran is 404 until create=1 makes it (201), with the schedule in the query as its policy."""
    slug = f"etl.{uuid.uuid4().hex[:8]}"
    url = shared_collector.url + new_key(shared_collector, patterns=["etl.*"])["path"].rpartition("/")[0] + "/" + slug
    assert curl(url) == (404, "not found")
    assert curl(url + "?create=1&schedule=0+2+*+*+*&tz=Europe/Berlin&grace=10m&max_duration=1h") == (201, "Created")
    assert curl(url + "?create=1") == (200, "OK")
    assert curl(url) == (200, "OK")
    policy = shared_collector.applied().item(f"/workflows/{slug}/policy")["policy"]
    assert policy["schedule"] == {"cron": "0 2 * * *", "tz": "Europe/Berlin", "grace": "10m"}


def test_a_key_opens_only_what_it_is_for(shared_collector: CollectorProcess) -> None:
    """An unknown key, and a slug beyond the pattern of a key, are 404, create=1 or not."""
    url = shared_collector.url + new_key(shared_collector, patterns=["etl.*"])["path"].rpartition("/")[0]
    assert curl(f"{url}/web.x?create=1") == (404, "not found")
    assert curl(f"{shared_collector.url}/ping/rp_{'x' * 24}") == (404, "not found")


def test_a_key_from_elsewhere_lives_until_it_is_revoked(shared_collector: CollectorProcess) -> None:
    """The UUID of a Healthchecks check pings its workflow; revoked, it is 404; keys are listed without their secret."""
    environment, value = client_of(shared_collector), str(uuid.uuid4())
    made = rota("key", "create", "--workflow", "moved", "--value", value, "--json", environment=environment)
    identity = json.loads(made.stdout)["id"]
    assert curl(f"{shared_collector.url}/ping/{value}") == (200, "OK")
    listed = rota("key", "ls", "--json", environment=environment).stdout
    assert identity in listed
    assert value not in listed
    assert rota("key", "rm", identity, environment=environment).returncode == 0
    assert curl(f"{shared_collector.url}/ping/{value}") == (404, "not found")


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"scope": "owner"}, 422, "unknown_scope"),
        ({"scope": "ping", "workflow": "w", "patterns": ["w*"]}, 422, "invalid"),
        ({"scope": "ping", "value": "secret"}, 422, "invalid"),
    ],
)
def test_a_key_that_cannot_be_is_refused(
    shared_collector: CollectorProcess, asked: dict[str, str], status: int, code: str
) -> None:  # fmt: skip
    """Another scope, a key that is bound and free, and a value that can be guessed are refused with the reason."""
    answer = shared_collector.post("/api/v1/keys", asked)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_value_is_one_key(shared_collector: CollectorProcess) -> None:
    """The same value cannot be two keys."""
    asked = {"scope": "ping", "workflow": "w", "value": str(uuid.uuid4())}
    assert [shared_collector.post("/api/v1/keys", asked).status_code for _ in range(2)] == [200, 409]


@pytest.fixture
def ping(tmp_path: Path) -> Callable[[str], httpx.Response]:
    """Sends a ping to a receiver without a network."""
    clock = ManualClock()
    control = Control(tmp_path / "control.sqlite")
    journal, keys = Journal(tmp_path / "journal", clock=clock), Keys(control.path, clock)
    made = KeyChanges(control.engine).create("ping", workflow="w", now_ns=0)
    assert made is not None
    receiver = Receiver(journal, keys, Lookups(control.path), clock, journal.durable_end)

    def send(suffix: str) -> httpx.Response:
        async def request() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(receiver), base_url="http://collector") as client:
                return await client.get(f"/ping/{made[1]}{suffix}")

        return asyncio.run(request())

    return send


def test_what_cannot_be_kept_is_not_ok(ping: Callable[[str], httpx.Response], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk a ping is answered 503 with Retry-After, and OK as soon as there is space."""

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(_files, "write_all", full)
        answer = ping("")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert ping("").status_code == 200


def test_what_cannot_be_looked_up_is_not_guessed(ping: Callable[[str], httpx.Response], monkeypatch: pytest.MonkeyPatch) -> None:
    """While nobody can see which runs are open, a ping that ends one is answered 503 and can be sent again."""

    def locked(_: Path) -> None:
        raise sqlite3.OperationalError("database is locked")

    with monkeypatch.context() as patched:
        patched.setattr(lookups, "connect", locked)
        assert ping("").status_code == 503
    assert ping("").status_code == 200
