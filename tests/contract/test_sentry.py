"""Check-ins of the real ``sentry_sdk`` (its pins are in bench/peers/sentry.txt), whose DSN points to a collector."""

from __future__ import annotations

import gzip
import json
import subprocess
import uuid
from typing import Any

import pytest
from bench import environments
from collectors import CollectorProcess, clean_environment

BEGIN = "import sentry_sdk, sys\nsentry_sdk.init(sys.argv[1], release='etl@1.2', shutdown_timeout=10)\n"


def sentry(collector: CollectorProcess, program: str, key: str = "anything") -> subprocess.CompletedProcess[str]:
    """Run a program with the SDK and a DSN for ``collector``."""
    dsn = collector.url.replace("http://", f"http://{key}@") + "/1"
    command = [environments.peer("sentry"), "-c", BEGIN + program, dsn]
    return subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False)


def the_run(collector: CollectorProcess, workflow: str) -> dict[str, Any]:
    [run] = collector.applied().item("/runs", workflow=workflow)["items"]
    found: dict[str, Any] = run
    return found


def envelope(*items: tuple[dict[str, Any], bytes], head: bytes = b"{}") -> bytes:
    return b"\n".join([head, *(json.dumps(about).encode() + b"\n" + payload for about, payload in items)])


def a_check_in(monitor: str, status: str = "ok", **more: Any) -> bytes:
    said = json.dumps({"monitor_slug": monitor, "status": status, "check_in_id": uuid.uuid4().hex, **more}).encode()
    return envelope(({"type": "check_in", "length": len(said)}, said))


def post(collector: CollectorProcess, body: bytes, path: str = "/api/1/envelope/", **headers: str) -> Any:
    return collector._client.post(
        collector.url + path, content=body, headers={"content-type": "application/x-sentry-envelope", **headers}
    )


def test_the_decorator_makes_a_run_and_its_schedule(shared_collector: CollectorProcess) -> None:
    """@monitor with a crontab: one run with its duration, and the workflow has schedule, zone, grace and longest duration."""
    done = sentry(
        shared_collector,
        "import time\n"
        "config = {'schedule': {'type': 'crontab', 'value': '0 2 * * *'}, 'timezone': 'Europe/Berlin',"
        " 'checkin_margin': 10, 'max_runtime': 45}\n"
        "@sentry_sdk.monitor(monitor_slug='nightly', monitor_config=config)\n"
        "def main(): time.sleep(0.2)\n"
        "main()\n",
    )
    assert (done.returncode, done.stderr) == (0, "")
    run = the_run(shared_collector, "nightly")
    assert (run["state"], run["source"]) == ("succeeded", "sentry")
    assert 0.15 < run["duration_seconds"] < 30
    policy = shared_collector.item("/workflows/nightly/policy")["policy"]
    assert policy["schedule"] == {"cron": "0 2 * * *", "tz": "Europe/Berlin", "grace": "10m"}
    assert policy["expect"] == {"max_duration": "45m"}


def test_an_exception_is_a_failure(shared_collector: CollectorProcess) -> None:
    """A job that raises under @monitor is a run that failed; the error event that follows is taken and not kept."""
    done = sentry(
        shared_collector,
        "@sentry_sdk.monitor(monitor_slug='broken')\ndef main(): raise ValueError('no table')\nmain()\n",
    )
    assert done.returncode == 1
    run = the_run(shared_collector, "broken")
    assert (run["state"], run["reason"], run["error_type"]) == ("failed", "check_in", "check_in")


def test_check_ins_by_hand_are_one_run(shared_collector: CollectorProcess) -> None:
    """capture_checkin: the id of the check-in is the id of the run; in another environment it is another workflow."""
    identity = uuid.uuid4().hex
    program = (
        "from sentry_sdk.crons import capture_checkin\n"
        "sentry_sdk.get_client().options['environment'] = 'staging'\n"
        "config = {'schedule': {'type': 'interval', 'value': 2, 'unit': 'hour'}}\n"
        f"capture_checkin('by-hand', '{identity}', 'in_progress', monitor_config=config)\n"
    )
    assert sentry(shared_collector, program).returncode == 0
    run = the_run(shared_collector, "by-hand@staging")
    assert (run["id"], run["state"]) == (str(uuid.UUID(identity)), "running")
    assert sentry(shared_collector, program + f"capture_checkin('by-hand', '{identity}', 'ok', 3.5)\n").returncode == 0
    assert the_run(shared_collector, "by-hand@staging")["state"] == "succeeded"
    assert shared_collector.item("/workflows/by-hand@staging/policy")["policy"]["schedule"]["every"] == "2h"


def test_whatever_else_an_sdk_sends_is_taken(shared_collector: CollectorProcess) -> None:
    """Errors, messages and transactions are answered 200, so that nothing is said in the job's log, and make no run."""
    done = sentry(
        shared_collector,
        "sentry_sdk.capture_message('hello')\n"
        "sentry_sdk.get_client().options['traces_sample_rate'] = 1.0\n"
        "with sentry_sdk.start_transaction(name='t'): pass\n",
    )
    assert (done.returncode, done.stderr) == (0, "")
    event = envelope(({"type": "event"}, b'{"message": "x"}'), ({"type": "session", "length": 2}, b"{}"))
    answer = post(shared_collector, event)
    assert (answer.status_code, answer.json()) == (200, {"ignored": {"event": 1, "session": 1}})


@pytest.mark.parametrize(
    ("schedule", "spec"),
    [
        ({"type": "interval", "value": 1, "unit": "month"}, "31d"),
        ({"type": "interval", "value": 2, "unit": "week"}, "14d"),
        ({"type": "interval", "value": 10, "unit": "minute"}, "10m"),
    ],
)
def test_intervals_are_never_shorter_than_meant(shared_collector: CollectorProcess, schedule: Any, spec: str) -> None:
    """Sentry's months are as long as the longest one: a monthly job is not missed for a long month."""
    name = f"every-{schedule['unit']}"
    assert post(shared_collector, a_check_in(name, monitor_config={"schedule": schedule})).status_code == 200
    shared_collector.applied()
    assert shared_collector.item(f"/workflows/{name}/policy")["policy"]["schedule"]["every"] == spec


def test_the_same_check_in_again_is_one_event(shared_collector: CollectorProcess) -> None:
    """An SDK that sends again, gzipped this time, tells nothing new."""
    body = a_check_in("again", "error")
    assert post(shared_collector, body).status_code == 200
    assert post(shared_collector, gzip.compress(body), **{"content-encoding": "gzip"}).status_code == 200
    assert the_run(shared_collector, "again")["state"] == "failed"
    found = shared_collector.post("/api/v1/sql", {"query": "SELECT count(*) AS n FROM run_events WHERE workflow = 'again'"})
    assert found.json()["items"] == [{"n": 1}]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "first line"),
        (b"[]", "first line"),
        (b'{}\n{"type": "check_in", "length": 99}\n{}', "99 bytes"),
        (b'{}\n{"type": "check_in", "length": -1}\n{}', "-1 bytes"),
        (envelope(({"type": "check_in"}, b'{"status": "ok"}')), "names no monitor"),
        (envelope(({"type": "check_in"}, b'{"monitor_slug": "a", "status": "missed"}')), "'missed'"),
        (envelope(({"type": "check_in"}, b'{"monitor_slug": "a", "status": "ok", "check_in_id": "x"}')), "no UUID"),
        (envelope(({"type": "check_in"}, b"[" * 100_000)), "no JSON object"),
    ],
)
def test_what_is_no_envelope_is_refused(shared_collector: CollectorProcess, body: bytes, said: str) -> None:
    """Nothing of a damaged envelope is kept; the answer is 400 and says why."""
    answer = post(shared_collector, body)
    assert (answer.status_code, said in answer.json()["detail"]) == (400, True), answer.text


def test_other_methods_and_pages_are_refused(shared_collector: CollectorProcess) -> None:
    """Only POST; and a page in a browser needs a key although a program needs none."""
    assert shared_collector.get("/api/1/envelope/").status_code == 405
    assert post(shared_collector, a_check_in("page"), origin="https://evil.example").status_code == 401
    assert post(shared_collector, a_check_in("page"), **{"content-encoding": "br"}).status_code == 415


def test_with_keys_the_dsn_must_hold_one(collector: CollectorProcess) -> None:
    """With an admin key made, the public key of the DSN is a ping key, and only for its own workflows."""
    admin = collector.post("/api/v1/keys", {"scope": "admin"}).json()["key"]
    bearer = {"headers": {"Authorization": f"Bearer {admin}"}}
    key = collector.post("/api/v1/keys", {"scope": "ping", "patterns": ["etl-*"]}, **bearer).json()["key"]
    program = "from sentry_sdk.crons import capture_checkin\ncapture_checkin('etl-load', status='ok')\n"
    assert sentry(collector, program, key).returncode == 0
    assert sentry(collector, program.replace("etl-", "crm-"), key).returncode == 0  # the job is not harmed
    for auth, status in (("", 401), ("sentry_key=no", 401), (f"Sentry sentry_version=7, sentry_key={key}", 403)):
        assert post(collector, a_check_in("crm-load"), **{"x-sentry-auth": auth}).status_code == status
    assert post(collector, a_check_in("etl-x"), f"/api/1/envelope/?sentry_key={key}").status_code == 200
    query = {"query": "SELECT DISTINCT workflow FROM run_events ORDER BY workflow"}

    def workflows() -> Any:
        return collector.post("/api/v1/sql", query, **bearer).json()["items"]

    collector.applied()
    assert workflows() == [{"workflow": "etl-load"}, {"workflow": "etl-x"}]
