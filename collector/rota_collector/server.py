"""uvicorn inside this process: the HTTP server, on sockets that we bound ourselves."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rota_collector import connections
from rota_collector.asgi import App
from rota_collector.connections import Crowd
from rota_collector.gathering import Gathering
from rota_collector.ports import BACKLOG

DRAIN_SECONDS = 5.0  # for requests under way, once asked to stop
MOST_CONNECTIONS = 10_000

_HEAD_SECONDS = 10.0  # who has not sent a request's head by then is not going to; nor has shaken hands
_BODY_SECONDS = 20.0  # for the rest of a request, and longer as long as it comes in at
_SLOWEST = 4096  # bytes a second
_IDLE_SECONDS = 75.0  # a kept connection; longer than exporters pause between two exports
_STALLED_SECONDS = 60.0  # a client that does not read our answer
_FULL = json.dumps({"code": 14, "message": "too many connections; come back later, or raise ROTA_CONNECTIONS"}).encode()
_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 5\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(_FULL), _FULL)
)


class HttpServer(uvicorn.Server):
    """Serves ``app`` on ``listener``. ``run_until_stopped`` ends after ``stop``, when requests under way are answered.

    ``tls``: HTTPS there. ``local``: a Unix socket that is listened on besides; it has no TLS, its file's mode says who may.
    """

    def __init__(
        self, app: App, listener: socket.socket, drain_seconds: float, *,
        tls: ssl.SSLContext | None = None, local: socket.socket | None = None, most_connections: int = MOST_CONNECTIONS,
    ) -> None:  # fmt: skip
        config = uvicorn.Config(
            app, interface="asgi3", http=_Protocol, ws="none", lifespan="off", log_config=None, access_log=False,
            server_header=False, proxy_headers=False, timeout_keep_alive=int(_IDLE_SECONDS),
            timeout_graceful_shutdown=int(drain_seconds),
        )  # fmt: skip
        super().__init__(config)
        self._listener, self._tls, self._local = listener, tls, local
        self._crowd: Crowd[_Protocol] = Crowd(connections.room(most_connections))

    async def run_until_stopped(self) -> None:
        """Serve."""
        await self.serve(sockets=[self._listener, *([self._local] if self._local else ())])

    async def startup(self, sockets: Sequence[socket.socket] | None = None) -> None:  # noqa: ARG002 - they are known
        """Listen: as uvicorn does, with what it has no settings for."""
        self.servers = [await self._listen(self._listener, self._tls)]
        if self._local is not None:
            self.servers.append(await self._listen(self._local))
        self.started = True

    async def _listen(self, sock: socket.socket, tls: ssl.SSLContext | None = None) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        if sock.family == socket.AF_UNIX:
            return await loop.create_unix_server(self._connection, sock=sock, backlog=BACKLOG)
        seconds = _HEAD_SECONDS if tls else None
        return await loop.create_server(self._connection, sock=sock, ssl=tls, ssl_handshake_timeout=seconds, backlog=BACKLOG)

    def _connection(self) -> _Protocol:
        return _Protocol(self.config, self.server_state, self._crowd)

    def stop(self) -> None:
        """Take no more connections, and end when the open requests have been answered."""
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are ours: there is more to stop than the HTTP server."""
        yield


class _Protocol(HttpToolsProtocol):
    """HTTP/1.1 with a deadline for whatever the client owes us: a request's head, its body, the next request, reading.

    Who is late is cut off without an answer. To OTLP clients that means: send it again; a 408 would mean: throw it away.
    """

    def __init__(self, config: uvicorn.Config, state: Any, crowd: Crowd[_Protocol]) -> None:
        super().__init__(config, state, {})
        self._crowd = crowd
        self._due: tuple[float, Callable[[], object]] | None = None  # by when something has to happen, and what if it does not
        self._timer: asyncio.TimerHandle | None = None  # fires at that time or before
        self._stalled: asyncio.TimerHandle | None = None
        self._in_message = False
        self._body_began = 0.0
        self._body_bytes = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(cast("asyncio.Transport", Gathering(transport, self.loop.call_soon)))
        now = self.loop.time()
        self._crowd.starting(self, now)
        self._expect(_HEAD_SECONDS, self.transport.abort)
        leaver = self._crowd.one_too_many(now)
        if leaver is not None:
            leaver.give_way(is_newest=leaver is self)

    def give_way(self, *, is_newest: bool) -> None:
        """Somebody else needs the room, or there is none for us."""
        self._crowd.leave(self)
        if is_newest:
            self.transport.write(_REFUSAL)
            self.transport.close()
        else:
            self.transport.abort()

    def on_message_begin(self) -> None:
        self._in_message = True
        if self.cycle is not None:  # the first request's deadline runs from the connection on
            self._crowd.starting(self, self.loop.time())
            self._expect(_HEAD_SECONDS, self.transport.abort)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._body_began, self._body_bytes = self.loop.time(), 0
        self._expect(_BODY_SECONDS, self._body_is_late)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_message = False
        super().on_message_complete()
        if self.cycle.response_complete:
            self._rest()
        else:
            self._expect(None)
            self._crowd.served(self)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._in_message and not self.pipeline and not self.transport.is_closing():
            self._rest()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect(None)
        self._set_timer(None)
        self._crowd.leave(self)
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self._stalled or self.loop.call_later(_STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _rest(self) -> None:
        self._crowd.idle(self)
        self._expect(_IDLE_SECONDS, self.transport.abort)  # uvicorn's own timer stops at any byte

    def _body_is_late(self) -> None:
        """Time is up, unless enough came in, or it was us who did not read."""
        left = self._body_began + _BODY_SECONDS + self._body_bytes / _SLOWEST - self.loop.time()
        if self.flow.read_paused:
            self._expect(_BODY_SECONDS, self._body_is_late)
        elif left > 0 and not self.cycle.response_complete:  # nobody wants the rest of what was refused
            self._expect(left, self._body_is_late)
        else:
            self.transport.abort()

    def _expect(self, seconds: float | None, otherwise: Callable[[], object] = lambda: None) -> None:
        """Something within so many seconds; None: nothing any more.

        Something is expected several times a request, and next to nothing is ever late: a timer that is there may fire too early.
        """
        if seconds is None:
            self._due = None
            return
        due = self.loop.time() + seconds
        self._due = (due, otherwise)
        if self._timer is None or self._timer.when() > due:
            self._set_timer(due)

    def _set_timer(self, at: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if at is None else self.loop.call_at(at, self._look_who_is_late)

    def _look_who_is_late(self) -> None:
        self._timer = None
        if self._due is None:
            return
        due, otherwise = self._due
        if due > self.loop.time():
            self._set_timer(due)
        else:
            self._due = None
            otherwise()
