"""The HTTP server against clients that are slow, silent or too many."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop

from rota_collector import ports, server
from rota_collector.config import Address
from rota_collector.server import HttpServer

PATIENCE_SECONDS = 20.0
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
HEAD_OF_POST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers what it was sent; of ``/large`` megabytes, ``/refused`` at once, ``/wait`` never."""
    body, more = b"", scope["path"] != "/refused"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message["body"], message["more_body"]
    if scope["path"] == "/wait":
        await asyncio.Event().wait()
    body = bytes(50 << 20) if scope["path"] == "/large" else body or b"good"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def serve() -> Iterator[Callable[..., Address]]:
    """Starts servers of ``echo``; returns where they listen."""
    with contextlib.ExitStack() as opened:

        def start(**options: Any) -> Address:
            listener = ports.listen(Address("127.0.0.1", 0), "ROTA_HTTP")
            running = HttpServer(echo, listener, 1.0, **options)
            address = ports.bound(listener)
            thread = threading.Thread(target=lambda: uvloop.run(running.run_until_stopped()))
            thread.start()
            opened.callback(thread.join)
            opened.callback(running.stop)
            return address

        yield start


@pytest.fixture
def quick(monkeypatch) -> None:
    """Everybody has half a second for everything, and must send a kilobyte a second."""
    for name in ("_HEAD_SECONDS", "_BODY_SECONDS", "_IDLE_SECONDS", "_STALLED_SECONDS"):
        monkeypatch.setattr(server, name, 0.5)
    monkeypatch.setattr(server, "_SLOWEST", 1000)


def connect(address: Address, said: bytes = b"") -> socket.socket:
    found = socket.create_connection(address, PATIENCE_SECONDS)
    found.sendall(said)
    return found


def all_of(sock: socket.socket) -> bytes:
    """What comes until the other side closes."""
    found = b""
    with sock, contextlib.suppress(ConnectionResetError):
        while chunk := sock.recv(1 << 16):
            found += chunk
    return found


def answered(sock: socket.socket, said: bytes = GET) -> bytes:
    """The answer to a request, the connection left open."""
    sock.sendall(said)
    found = b""
    while b"\r\n\r\n" not in found or not found.partition(b"\r\n\r\n")[2]:
        chunk = sock.recv(1 << 16)
        if not chunk:
            return found
        found += chunk
    return found


def keep_sending(sock: socket.socket, what: bytes) -> None:
    """Ten times a second, for ten seconds or until it fails."""
    for _ in range(100):
        sock.sendall(what)
        threading.Event().wait(0.1)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "said", [b"", b"\r\n", b"GET / HT", HEAD_OF_POST[:-2], HEAD_OF_POST, HEAD_OF_POST + b"x"],
    ids=["nothing", "blank line", "some of a head", "most of a head", "a head", "some of a body"],
)  # fmt: skip
def test_who_does_not_finish_a_request_is_cut_off(serve, said):
    """A client that stops anywhere within its request is cut off without an answer: OTLP clients then send again."""
    assert all_of(connect(serve(), said)) == b""


@pytest.mark.usefixtures("quick")
def test_a_body_that_dribbles_is_cut_off(serve):
    """A body that comes byte by byte has no longer than one that does not come."""
    sock = connect(serve(), HEAD_OF_POST)
    ended = threading.Event()
    reader = threading.Thread(target=lambda: (all_of(sock), ended.set()))
    reader.start()
    with contextlib.suppress(OSError):
        keep_sending(sock, b"x")
    reader.join(PATIENCE_SECONDS)
    assert ended.is_set()


@pytest.mark.usefixtures("quick")
def test_a_slow_body_may_take_its_time(serve):
    """A large body over a slow line comes through, as long as it keeps coming."""
    sock = connect(serve(), b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4000\r\n\r\n")
    for _ in range(8):
        sock.sendall(b"x" * 500)
        threading.Event().wait(0.15)  # 1.2 s in all, at 3,300 bytes a second
    assert answered(sock, b"").endswith(b"x")
    sock.close()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("said", [b"", b"\r\n", b"GET"], ids=["nothing", "blank line", "some of a head"])
def test_a_kept_connection_is_not_kept_for_ever(serve, said):
    """After an answer a client has to come with a whole request again, in time."""
    sock = connect(serve())
    assert b"200 OK" in answered(sock)
    sock.sendall(said)
    assert all_of(sock) == b""


@pytest.mark.usefixtures("quick")
def test_the_rest_of_a_refused_body_is_not_waited_for(serve):
    """A body whose request is answered already has no more time than any, however fast it comes."""
    sock = connect(serve(), b"POST /refused HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    assert b"200 OK" in answered(sock, b"")
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        keep_sending(sock, b"1000\r\n" + b"x" * 4096 + b"\r\n")
    sock.close()


@pytest.mark.usefixtures("quick")
def test_who_does_not_read_is_cut_off(serve):
    """An answer that nobody reads holds a connection no longer than a while."""
    sock = connect(serve(), b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
    threading.Event().wait(2.0)
    assert len(all_of(sock)) < 50 << 20


def test_slow_clients_give_way(serve):
    """Where there is room for no more, the slowest go, and everybody who has something to say is answered."""
    address = serve(most_connections=5)
    slow = [connect(address, HEAD_OF_POST) for _ in range(5)]
    threading.Event().wait(server.connections._GRACE_SECONDS + 0.2)
    for _ in range(3):
        with connect(address) as honest:
            assert b"200 OK" in answered(honest)
    assert all_of(slow[0]) == b""  # the oldest went
    for sock in slow:
        sock.close()


def test_idle_connections_give_way(serve):
    """A kept connection that is not used now makes room for one that is; the one that rests longest goes first."""
    address = serve(most_connections=3)
    idle = [connect(address) for _ in range(3)]
    for sock in idle:
        assert b"200 OK" in answered(sock)
    with connect(address) as honest:
        assert b"200 OK" in answered(honest)
    assert b"200 OK" in answered(idle[2])
    assert all_of(idle[0]) == b""
    for sock in idle:
        sock.close()


def test_who_waits_for_an_answer_stays(serve):
    """When all wait for us, the newest is told to come back; nobody else notices."""
    address = serve(most_connections=3)
    waiting = [connect(address, b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n") for _ in range(3)]
    threading.Event().wait(0.3)
    refused = all_of(connect(address))
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 5" in refused
    for sock in waiting:
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(1)
        sock.close()
