"""Questions over HTTP, with the least of it: what servers and proxies between may answer."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from rota.control import collector
from rota.control.client import Client, Unreachable
from rota.control.collector import Collector

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextlib.contextmanager
def server(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Says the answers, one a request, over as many connections as are made; one that ends in ``!`` hangs up afterwards."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve() -> None:
            waiting = list(answers)
            while waiting:
                with door.accept()[0] as connection:
                    while waiting and (data := connection.recv(65536)):
                        requests.append(data)
                        answer = waiting.pop(0)
                        connection.sendall(answer.removesuffix(b"!"))
                        if answer.endswith(b"!"):
                            break

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{door.getsockname()[1]}", requests
        thread.join(30)


@pytest.fixture
def to(monkeypatch) -> Callable[[str], Collector]:
    """Makes one that asks there; it hangs up at the end."""
    made: list[Collector] = []

    def make(url: str) -> Collector:
        monkeypatch.setenv("ROTA_ENDPOINT", url)
        made.append(Collector())
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}!",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}!",
    ],
)
def test_an_answer_may_be_framed_as_http_allows(to, answer):
    """A second question follows, over the same connection where that goes on."""
    with server(answer, answer) as (url, requests):
        asked = to(url)
        assert [asked.ask(b'{"a":1}', 10), asked.ask(b'{"a":2}', 10)] == [b"{}", b"{}"]
    assert [request.partition(b"\r\n\r\n")[2] for request in requests] == [b'{"a":1}', b'{"a":2}']


def test_a_question_is_a_post_with_the_key_of_the_environment(to, monkeypatch):
    """Path and prefix, host, token, and an idempotency key that no two questions share."""
    monkeypatch.setenv("ROTA_TOKEN", "rk_1")
    with server(OK, OK) as (url, requests):
        asked = to(url + "/below/")
        asked.ask(b"{}", 10)
        asked.ask(b"{}", 10, "/api/v1/leases/7/renew")
    first, second = (request.decode().split("\r\n") for request in requests)
    assert (first[0], second[0]) == ("POST /below/api/v1/permission HTTP/1.1", "POST /below/api/v1/leases/7/renew HTTP/1.1")
    assert f"Host: {url[7:]}" in first
    assert "Authorization: Bearer rk_1" in first
    keys = [line for lines in (first, second) for line in lines if line.startswith("Idempotency-Key: ")]
    assert len(set(keys)) == 2


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://127.0.0.1:4318", ("127.0.0.1", 4318, "", "127.0.0.1:4318", False)),
        ("http://127.0.0.1/", ("127.0.0.1", 80, "", "127.0.0.1", False)),
        ("http://localhost:4318/rota/", ("127.0.0.1", 4318, "/rota", "localhost:4318", False)),
        ("http://[::1]:4318/a/b?c=d", ("::1", 4318, "/a/b", "[::1]:4318", False)),
        ("http://collector.example", ("collector.example", 80, "", "collector.example", False)),
        ("https://ada:secret@10.0.0.1/rota", ("10.0.0.1", 443, "/rota", "10.0.0.1", True)),
    ],
)
def test_an_endpoint_is_taken_apart(url, parts):
    """Whether it is plain enough to do that by hand, or urllib has to."""
    assert collector._parts(url) == parts


def test_a_port_that_is_none_is_said_to_be():
    """It is a wrong endpoint, as others are."""
    with pytest.raises(ValueError, match="[Pp]ort"):
        collector._parts("http://127.0.0.1:99999")


def test_an_address_needs_nothing_to_look_names_up():
    """A run that gives back what it was granted must not end later for modules that it does not use."""
    code = (
        "import sys; from rota.control.collector import Collector; print(Collector().ask(b'{}', 30)); "
        "print(sorted({'urllib.parse', 'encodings.idna', 'stringprep', 'ssl'} & set(sys.modules)))"
    )
    with server(OK) as (url, _):
        environment = {**os.environ, "ROTA_ENDPOINT": url}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "b'{}'\n[]\n"


def test_a_connection_that_was_closed_meanwhile_is_made_anew(to):
    """Servers close what is idle; the question goes out again. On a new connection that is an error."""
    with server(OK + b"!", OK + b"!", b"!") as (url, requests):
        asked = to(url)
        assert [asked.ask(b"{}", 10), asked.ask(b"{}", 10)] == [b"{}", b"{}"]
        with pytest.raises(ConnectionError):
            asked.ask(b"{}", 10)
    assert len(requests) == 3


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n", KeyError),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", KeyError),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", ValueError),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", ValueError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", ValueError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", ValueError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ValueError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}!", ConnectionError),
    ],
)
def test_what_is_no_answer_is_an_error(to, answer, error):
    """Of few kinds, so that whoever asks knows them all."""
    with server(answer) as (url, _), pytest.raises(error):
        to(url).ask(b"{}", 10)


def test_the_time_is_for_all_of_it(to, monkeypatch):
    """A server that says a letter now and then does not get any more of it."""
    clock = iter(range(1000))
    monkeypatch.setattr(collector.time, "monotonic", lambda: next(clock))
    with server(b"HTTP/1.1 200 OK\r\n") as (url, _), pytest.raises(socket.timeout):
        to(url).ask(b"{}", 3)


def test_a_name_is_looked_up_for_so_long_and_no_longer(to, monkeypatch):
    """A resolver that hangs holds a thread of its own."""
    released = threading.Event()

    def look_up(*_: object, **__: object) -> list[object]:
        released.wait(30)
        return [(0, 0, 0, "", ("127.0.0.1", 1))]

    monkeypatch.setattr(collector.socket, "getaddrinfo", look_up)
    with pytest.raises(socket.timeout, match=r"collector\.example was not found in time"):
        to("http://collector.example").ask(b"{}", 0.01)
    released.set()


def test_an_endpoint_that_is_no_url_is_as_if_nobody_answered(monkeypatch):
    """The policy has said what holds then."""
    monkeypatch.setenv("ROTA_ENDPOINT", "http://[::1:x")
    with pytest.raises(Unreachable):
        Client("/nowhere", sockets=()).ask({"task": "load"}, 1)


@pytest.mark.parametrize(("error", "seconds"), [(ConnectionRefusedError(), 1), (TimeoutError(), 30)], ids=["refused", "silent"])
def test_who_did_not_answer_is_left_alone_for_a_while(monkeypatch, error, seconds):
    """One that is silent for longer than one that is not there."""
    now, asked = [0.0], []

    def ask(*_: object) -> bytes:
        asked.append(now[0])
        raise error

    monkeypatch.setattr(Collector, "ask", ask)
    client = Client("/nowhere", sockets=(), now=lambda: now[0])
    while now[0] <= seconds:
        with pytest.raises(Unreachable):
            client.ask({}, 1)
        now[0] += 0.5
    assert asked == [0.0, seconds]
