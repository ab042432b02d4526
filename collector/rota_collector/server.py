"""uvicorn inside this process: the HTTP server, on a socket that we bound ourselves."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rota_collector.ports import BACKLOG

App = Callable[..., Awaitable[None]]

DRAIN_SECONDS = 5.0  # for requests under way, once asked to stop
_HEAD_SECONDS = 10.0  # who has not sent a request's head by then is not going to
_IDLE_SECONDS = 75  # a kept connection; longer than exporters pause between two exports


class HttpServer(uvicorn.Server):
    """Serves ``app`` on ``listener``. ``run_until_stopped`` ends after ``stop``, when requests under way are answered."""

    def __init__(self, app: App, listener: socket.socket, drain_seconds: float) -> None:
        config = uvicorn.Config(
            app, http=_Protocol, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False,
            proxy_headers=False, backlog=BACKLOG, timeout_keep_alive=_IDLE_SECONDS, timeout_graceful_shutdown=int(drain_seconds),
        )  # fmt: skip
        super().__init__(config)
        self._listener = listener

    async def run_until_stopped(self) -> None:
        """Serve."""
        await self.serve(sockets=[self._listener])

    def stop(self) -> None:
        """Take no more connections, and end when the open requests have been answered."""
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are ours: there is more to stop than the HTTP server."""
        yield


class _Protocol(HttpToolsProtocol):
    """HTTP/1.1 with a deadline for the head of a request, from the connection or from its first byte on (slowloris)."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect_head()

    def on_message_begin(self) -> None:
        self._expect_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._forget_deadline()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(_HEAD_SECONDS, self.transport.close)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
