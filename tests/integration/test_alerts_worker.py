"""The process that sends: what it may reach and touch, and what becomes of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from receivers import HttpReceiver, MailReceiver

from rota_collector.notify.outcome import INTERRUPTED, LATER, NEVER, SENT
from rota_collector.notify.worker import Worker

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


@pytest.fixture
def worker():
    """A process that may reach public addresses only."""
    made = Worker(allow_private=False)
    yield made
    made.close()


@pytest.fixture
def free_worker():
    """A process that may reach this machine too."""
    made = Worker(allow_private=True)
    yield made
    made.close()


def webhook(url):
    return {"do": "send", "kind": "webhook", "url": url, "id": "1", "secret": "whsec_AAAA", "payload": {}}


def through_apprise(url):
    return {"do": "send", "kind": "apprise", "url": url, "id": "1", "title": "title", "text": "text", "payload": {}}


def test_giving_one_up_interrupts_the_others_without_blaming_them(free_worker, receiver):
    """The process is killed because of one; the other ones' outcome says that they were only interrupted."""
    receiver.answer = lambda _: (receiver.released.wait(PATIENCE) and 200, {})
    first, second = (free_worker.submit(webhook(receiver.url)) for _ in range(2))
    receiver.wait(2)
    free_worker.give_up(first)
    assert first.outcome.result(PATIENCE).kind == LATER
    assert second.outcome.result(PATIENCE).kind == INTERRUPTED


def test_the_process_ends_when_nobody_talks_to_it_any_more(worker):
    """Its stdin closes with the collector, however that ended."""
    worker.answer({"do": "check", "kind": "webhook", "url": "https://example.org/"})
    pid = worker.pid
    worker.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(OSError, match="stopping"):
        worker.submit(webhook("https://example.org/"))


def test_the_process_inherits_no_secrets(monkeypatch):
    """Of the environment it has what finding Python, certificates and the time zone takes; no proxies, no keys."""
    names = ("AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY", "http_proxy", "ROTA_TOKEN", "HOME")
    made = Worker(allow_private=False, environ={**os.environ, **dict.fromkeys(names, "x")})
    made.answer({"do": "check", "kind": "webhook", "url": "https://example.org/"})
    with open(f"/proc/{made.pid}/environ", "rb") as file:
        found = {line.partition(b"=")[0].decode() for line in file.read().split(b"\0")}
    made.close()
    assert found.isdisjoint(names)


# -- where they must not go -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "[::ffff:127.0.0.1]", "0.0.0.0"]
)
def test_no_connection_is_made_to_a_private_address(worker, receiver, host):
    """However it is spelled, and also when a name resolves to it: looked at when it is connected to."""
    url = receiver.url.replace("127.0.0.1", host) + "/secret-path"
    for request in (webhook(url), through_apprise(url.replace("http:", "json:"))):
        outcome = worker.answer(request)
        assert outcome.kind != SENT
        assert "secret-path" not in outcome.said
    assert "ROTA_WEBHOOK_ALLOW_PRIVATE=1" in worker.answer(webhook(url)).said
    assert receiver.deliveries == []


def test_mail_does_not_get_around_it(worker, mail):
    """Every socket of the process is guarded, whatever protocol it speaks."""
    outcome = worker.answer(through_apprise(mail.url))
    assert outcome.kind == LATER
    assert "not a public address" in outcome.said
    assert mail.mails == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(free_worker, receiver, status):
    """Not by our webhook, and not by Apprise, even when its address asks for it."""
    target = HttpReceiver()
    receiver.answer = lambda _: (status, {"Location": target.url})
    outcome = free_worker.answer(webhook(receiver.url))
    assert outcome.kind == LATER
    assert "redirects are not followed" in outcome.said
    outcome = free_worker.answer(through_apprise(receiver.url.replace("http:", "json:") + "/?redirect=yes"))
    assert outcome.kind != SENT
    assert len(receiver.deliveries) == 2
    assert target.deliveries == []
    target.close()


@pytest.mark.parametrize("schema", ["syslog", "dbus", "gnome", "macosx", "windows", "file", "kde", "glib", "blink1"])
def test_what_would_act_on_this_machine_is_refused(worker, schema):
    """Notifications of a desktop, its logs, its devices."""
    outcome = worker.answer({"do": "check", "kind": "apprise", "url": f"{schema}://x"})
    assert outcome.kind == NEVER


_ATTEMPTS = """
import json, socket, subprocess, os, sys, urllib.request
from rota_collector.notify import guard
guard.install(allow_private=%s)

def attempt(what):
    try:
        what()
    except guard.Refused as error:
        return "refused"
    except Exception as error:
        return type(error).__name__
    return "done"

def unix():
    socket.socket(socket.AF_UNIX).connect("/nonexistent")

def datagram():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))

def by_name():
    socket.socket().connect(("localhost", 9))

def fork():
    os._exit(3) if os.fork() == 0 else None

def library():
    import ctypes
    ctypes.CDLL("libc.so.6")

results = {
    "program": attempt(lambda: subprocess.run(["true"])),
    "system": attempt(lambda: os.system("true")),
    "exec": attempt(lambda: os.execv("/bin/true", ["true"])),
    "spawn": attempt(lambda: os.posix_spawn("/bin/true", ["true"], {})),
    "fork": attempt(fork),
    "library": attempt(library),
    "read": attempt(lambda: open("/etc/passwd")),
    "dots": attempt(lambda: open(os.path.dirname(os.__file__) + "/../../../../../../../../etc/passwd")),
    "write": attempt(lambda: open("/tmp/of-a-plugin", "w")),
    "write in a library": attempt(lambda: open(os.__file__ + ".new", "w")),
    "read a library": attempt(lambda: open(os.__file__).close()),
    "unix": attempt(unix),
    "datagram": attempt(datagram),
    "by name": attempt(by_name),
}
print(json.dumps(results))
"""


@pytest.mark.parametrize("allow_private", [False, True])
def test_the_process_starts_nothing_and_touches_no_file(allow_private):
    """Programs, libraries, files and sockets of this machine stay out of reach, private addresses allowed or not."""
    done = subprocess.run([sys.executable, "-c", _ATTEMPTS % allow_private], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found.pop("read a library") == "done"
    network = {name: found.pop(name) for name in ("datagram", "by name")}
    assert set(found.values()) == {"refused"}, found
    assert ("refused" in network.values()) is not allow_private
