"""granian inside this process: the HTTP server, on a socket that we bound ourselves."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Any

from granian._granian import SocketHolder
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server

from rota_collector.ports import BACKLOG

App = Callable[..., Awaitable[None]]

_HEADER_TIMEOUT_MS = 10_000  # who has not sent a request's head by then is not going to

_STDERR = {"formatter": "generic", "class": "logging.StreamHandler", "stream": "ext://sys.stderr"}


class HttpServer(Server):
    """Serves ``app`` on ``listener``. ``serve()`` runs until ``stop()``, which lets requests under way finish."""

    def __init__(self, app: App, listener: socket.socket) -> None:
        super().__init__(
            app,
            interface=Interfaces.ASGINL,
            websockets=False,
            backlog=BACKLOG,
            http1_settings=HTTP1Settings(header_read_timeout=_HEADER_TIMEOUT_MS),
            log_level=LogLevels.error,
            log_dictconfig={"handlers": {"console": _STDERR, "access": _STDERR}},
        )
        self._listener = listener

    def _init_shared_socket(self) -> None:
        # granian would bind with SO_REUSEPORT, so that a second collector on the port would not be refused, and could
        # not say which port it got for 0. The descriptor is its own from here on.
        holder: Any = SocketHolder
        self._ssp, self._shd = None, holder(self._listener.detach(), False, BACKLOG)

    def stop(self) -> None:
        """Accept nothing more; ``serve()`` returns when the requests under way are answered."""
        super().stop()  # type: ignore[no-untyped-call]
