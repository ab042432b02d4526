"""Alerts leave: over real HTTP and real SMTP, through the real process that sends, and to nowhere they must not."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time

import httpx
import otlp
import pytest
from asking import T0, Api, new_stores
from collectors import clean_environment, until
from receivers import HttpReceiver, MailReceiver

from rota_collector.clock import SystemClock
from rota_collector.domain.message import Notice, compose
from rota_collector.notify.worker import Worker
from rota_collector.store.alerts import Alerts
from rota_collector.store.dialect import open_sqlite
from rota_collector.watch.outbox import Sender

PATIENCE = 30.0


@pytest.fixture
def receiver():
    made = HttpReceiver()
    yield made
    made.close()


@pytest.fixture
def mail():
    made = MailReceiver()
    yield made
    made.close()


class Place:
    """An outbox and its sender, both real."""

    def __init__(self, folder, allow_private=True) -> None:
        self.engine = open_sqlite(folder / "control.sqlite")
        self.alerts = Alerts(self.engine)
        self.worker = Worker(allow_private=allow_private)
        self.sender = Sender(self.alerts, self.worker, SystemClock(), chance=lambda: 0.0)
        self._count = itertools.count()

    def put(self, *channels, **fields):
        """Enqueue one alert for each of these channels; their ids."""
        now_ns = time.time_ns()
        found = notice(next(self._count), now_ns)._replace(**fields)
        messages = compose([found], channels, "http://127.0.0.1:8501")
        with self.engine.execution_options(writes=True).begin() as connection:
            self.alerts.enqueue(connection, messages, now_ns)
        self.sender.wake()
        return [message.id for message in messages]

    def state(self, state):
        return self.alerts.page(state).items

    def close(self):
        self.sender.stop(PATIENCE)
        self.engine.dispose()


def notice(number, at_ns):
    return Notice(
        incident_id=f"incident-{number}", transition="opened", kind="failed", workflow="etl.nightly", host="web-1", at_ns=at_ns,
        since_ns=at_ns, summary="the run failed", run_id="run-1", last_good_ns=None, error="Traceback\nValueError: no",
        due_ns=None, tz=None,
    )  # fmt: skip


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    yield made
    made.close()


# -- they arrive ------------------------------------------------------------------------------------------------------


def test_a_webhook_is_signed_as_its_receiver_verifies_it(place, receiver):
    """Standard Webhooks: id, time and body are signed with the secret of the channel; the body is the payload."""
    channel = place.alerts.add_channel("ops", receiver.url + "/hook", 1)
    place.sender.start()
    (identity,) = place.put("ops")
    (delivery,) = receiver.wait(1)
    assert delivery.path == "/hook"
    assert delivery.is_signed_with(channel.secret)
    assert not delivery._replace(body=delivery.body + b" ").is_signed_with(channel.secret)
    assert delivery.headers["webhook-id"] == delivery.payload["id"] == identity
    assert delivery.headers["content-type"] == "application/json"
    assert delivery.payload["incidents"][0]["workflow"] == "etl.nightly"
    until(lambda: place.state("sent"), "the message to be marked")


def test_a_mail_arrives_with_what_it_says(place, mail):
    """Title as subject, text as body; what users wrote begins no header and calls nobody."""
    place.alerts.add_channel("mail", mail.url, 1)
    place.sender.start()
    (identity,) = place.put("mail", workflow="etl\r\nBcc: evil@example.org", summary="see @everyone")
    until(lambda: mail.mails, "the mail")
    (found,) = mail.mails
    assert "evil@example.org" in found["Subject"]
    assert found["Bcc"] is None
    text = found.get_content()
    assert "@everyone" not in text
    assert "ValueError: no" in text
    assert f"alert {identity}" in text


def test_messages_arrive_in_order(place, receiver):
    """As they were enqueued, although the first attempt failed."""
    failures = iter([503])
    receiver.answer = lambda _: (next(failures, 200), {"Retry-After": "0"})
    place.alerts.add_channel("ops", receiver.url, 1)
    ids = [place.put("ops")[0] for _ in range(5)]
    place.sender.start()
    receiver.wait(6)
    assert [delivery.payload["id"] for delivery in receiver.deliveries] == [ids[0], *ids]


def test_a_channel_that_hangs_delays_no_other(place, receiver):
    """One receiver never answers; the other has all of its messages before that is given up."""
    silent = HttpReceiver()
    silent.answer = lambda _: (silent.released.wait(PATIENCE) and 200, {})
    place.alerts.add_channel("silent", silent.url, 1)
    place.alerts.add_channel("ops", receiver.url, 1)
    place.sender.start()
    for _ in range(5):
        place.put("ops", "silent")
    receiver.wait(5)
    until(lambda: len(place.state("sent")) == 5, "the messages to be marked")
    assert len(silent.deliveries) == 1
    silent.close()


def test_a_refusal_for_good_becomes_a_dead_letter(place, receiver, capsys):
    """404 is not tried again; it is said on stderr and kept."""
    receiver.answer = lambda _: (404, {})
    place.alerts.add_channel("ops", receiver.url, 1)
    place.sender.start()
    (identity,) = place.put("ops")
    (dead,) = until(lambda: place.state("dead"), "the dead letter")
    assert (dead.id, dead.error, dead.attempts) == (identity, "it answered 404", 1)
    assert len(receiver.deliveries) == 1
    said = ""

    def is_said() -> bool:
        nonlocal said
        said += capsys.readouterr().err
        return "will not reach 'ops': it answered 404" in said

    until(is_said, "a word on stderr")  # it comes after the mark


def test_a_receiver_that_is_busy_says_when_to_come_back(place, receiver):
    """429 with Retry-After waits at least so long."""
    receiver.answer = lambda _: (429, {"Retry-After": "1000"})
    place.alerts.add_channel("ops", receiver.url, 1)
    place.sender.start()
    place.put("ops")
    waiting = until(lambda: [each for each in place.state("waiting") if each.attempts], "the attempt to be marked")[0]
    assert waiting.next_ns - time.time_ns() > 900 * 10**9


# -- the process that sends -------------------------------------------------------------------------------------------


def test_the_process_starts_with_the_first_message(place, receiver):
    """Nothing is started for a collector that tells nobody."""
    place.sender.start()
    assert place.worker.pid is None
    place.alerts.add_channel("ops", receiver.url, 1)
    place.put("ops")
    receiver.wait(1)
    assert place.worker.pid is not None


def test_a_process_that_is_killed_in_the_middle_loses_nothing(place, receiver):
    """The message under way is tried again by a new process, under the same id."""
    receiver.answer = lambda _: (receiver.released.wait(PATIENCE) and 200, {})
    place.alerts.add_channel("ops", receiver.url, 1)
    place.sender.start()
    (identity,) = place.put("ops")
    receiver.wait(1)
    first = place.worker.pid
    os.kill(first, signal.SIGKILL)
    waiting = until(lambda: [each for each in place.state("waiting") if each.attempts], "the failure to be marked")[0]
    assert "ended by itself" in waiting.error
    receiver.released.set()
    until(lambda: place.state("sent"), "the second attempt")
    assert {delivery.payload["id"] for delivery in receiver.deliveries} == {identity}
    assert place.worker.pid != first


# -- over HTTP --------------------------------------------------------------------------------------------------------


@pytest.fixture
def served(new_collector, tmp_path):
    """A collector whose channels may reach this machine."""
    return new_collector(ROTA_WEBHOOK_ALLOW_PRIVATE="1").start()


def delete(collector, path):
    return httpx.delete(collector.url + "/api/v1" + path, timeout=PATIENCE, trust_env=False)


def test_channels_are_added_listed_tested_and_removed(served, receiver):
    """The secret is told once; what is secret in an address never is."""
    address = receiver.url.replace("//", "//user:hidden@") + "/T000/token"
    added = served.post("/api/v1/channels", {"name": "ops", "url": address}).json()
    assert added["secret"].startswith("whsec_")
    (listed,) = served.item("/channels")["items"]
    assert listed == {key: value for key, value in added.items() if key != "secret"}
    assert "hidden" not in json.dumps(added)
    assert "token" not in json.dumps(added)
    tested = served.post("/api/v1/channels/ops/test", {}).json()
    (delivery,) = receiver.wait(1)
    assert delivery.payload["id"] == tested["id"]
    assert delivery.is_signed_with(added["secret"])
    assert served.post("/api/v1/channels", {"name": "ops", "url": address}).status_code == 409
    assert delete(served, "/channels/ops").json() == {"removed": "ops"}
    assert served.item("/channels")["items"] == []
    assert delete(served, "/channels/ops").status_code == 404
    assert served.post("/api/v1/channels/ops/test", {}).status_code == 404


def test_a_test_that_fails_says_why(served, receiver):
    """Whoever adds a channel sees what the receiver answered."""
    receiver.answer = lambda _: (401, {})
    served.post("/api/v1/channels", {"name": "ops", "url": receiver.url})
    answer = served.post("/api/v1/channels/ops/test", {})
    assert answer.status_code == 502
    assert answer.json()["error"]["message"] == "channel 'ops' did not take the test message: it answered 401"


def test_an_address_that_cannot_be_used_is_refused_when_it_is_added(collector):
    """With the reason, and, for a private one, the setting that allows it."""
    for url, reason in (
        ("http://127.0.0.1:9/", "ROTA_WEBHOOK_ALLOW_PRIVATE=1"),
        ("https://10.1.2.3/", "ROTA_WEBHOOK_ALLOW_PRIVATE=1"),
        ("json://192.168.1.1/", "ROTA_WEBHOOK_ALLOW_PRIVATE=1"),
        ("slack://nothing", "Slack"),
        ("nothing://at-all", "nothing://"),
        ("syslog://", "syslog://"),
        ("not an address", "spaces"),
    ):
        answer = collector.post("/api/v1/channels", {"name": "ops", "url": url})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "channel_refused"), url
        assert reason in answer.json()["error"]["message"]
    assert collector.post("/api/v1/channels", {"name": "../x", "url": "https://example.org"}).status_code == 422
    assert collector.item("/channels")["items"] == []


def test_alerts_are_listed_by_state(tmp_path):
    """What was sent, what waits, and what nobody got and why, as the API's document says."""
    stores = new_stores(tmp_path)
    api, alerts = Api(stores), stores.alerts
    messages = compose([notice(number, T0) for number in range(3)], ["ops"], "http://127.0.0.1:8501")
    with stores.expectations.transaction() as connection:
        alerts.enqueue(connection, messages, T0)
    waiting, sent, dead = (message.id for message in messages)
    alerts.mark_sent(sent, T0 + 1)
    alerts.mark_failed(dead, T0 + 2, None, "it answered 404")
    found = {state: api.item("/alerts", state=state)["items"] for state in ("waiting", "sent", "dead")}
    assert {state: [each["id"] for each in items] for state, items in found.items()} == {
        "waiting": [waiting], "sent": [sent], "dead": [dead],
    }  # fmt: skip
    assert found["dead"][0]["error"] == "it answered 404"
    assert (found["dead"][0]["next_at"], found["waiting"][0]["next_at"]) == (None, "2026-09-21T14:13:20.000000Z")
    page = api.item("/alerts", limit=2)
    rest = api.item("/alerts", limit=2, cursor=page["next"])
    assert [each["id"] for each in page["items"] + rest["items"]] == [dead, sent, waiting]
    assert api.refusal("GET", "/alerts?state=lost")[:2] == (422, "invalid")
    assert api.refusal("GET", "/alerts?cursor=x")[:2] == (400, "bad_cursor")
    stores.control.close()


def test_a_run_that_fails_reaches_the_receiver(served, receiver):
    """From the code that failed to whoever is to act, with nothing in between left out."""
    secret = served.post("/api/v1/channels", {"name": "ops", "url": receiver.url}).json()["secret"]
    served.send(*otlp.whole_run(7, "failed", exit_code=1, error_type="ValueError", error_message="no such column"))
    (delivery,) = receiver.wait(1)
    assert delivery.is_signed_with(secret)
    (incident,) = delivery.payload["incidents"]
    assert (incident["transition"], incident["kind"], incident["workflow"]) == ("opened", "failed", "etl.nightly")
    assert incident["id"] == served.item("/incidents")["items"][0]["id"]
    sent = until(lambda: served.item("/alerts", state="sent")["items"], "the alert to be marked")
    assert [each["id"] for each in sent] == [delivery.payload["id"]]


def test_the_command_line_adds_lists_tests_and_removes(served, receiver):
    """As a person types it; a failure has its reason on stderr and an exit status."""

    def rota(*words):
        environment = clean_environment(ROTA_ENDPOINT=served.url, ROTA_HOME=str(served.home))
        command = [sys.executable, "-m", "rota", "channel", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    assert "nobody is told of anything" in rota("ls")[1]
    added = rota("add", "ops", receiver.url + "/hidden")
    assert added[0] == 0
    assert "whsec_" in added[1]
    assert "hidden" not in added[1]
    assert rota("ls")[1].splitlines()[1].split()[:3] == ["ops", "webhook", f"{receiver.url}/…"]
    assert json.loads(rota("ls", "--json")[1]) == served.item("/channels")["items"]
    assert rota("test", "ops")[1].startswith("delivered: alert ")
    receiver.answer = lambda _: (500, {})
    status, _, said = rota("test", "ops")
    assert (status, said) == (1, "rota: channel 'ops' did not take the test message: it answered 500\n")
    assert rota("rm", "ops")[1] == "ops is removed\n"
    assert rota("rm", "ops")[0] == 1
    assert rota("add", "bad", "slack://nothing")[0] == 1
