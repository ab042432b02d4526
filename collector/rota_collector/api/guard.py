"""What every answer carries, and which requests a loopback API must refuse although they come from this machine.

A page in somebody's browser can send requests to 127.0.0.1, and, after rebinding its own name to that address, read the
answers. Its requests then name that name in Host, and they name the page in Origin: both are checked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from rota.wire.names import COLLECTOR_HEADER
from rota_collector.api.envelope import refusal
from rota_collector.config import is_loopback

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_READING = ("GET", "HEAD", "OPTIONS")


class Guard:
    """ASGI around ``app``: names the collector in every answer, refuses foreign hosts and origins."""

    def __init__(self, app: App, version: str) -> None:
        self._app = app
        self._header = (COLLECTOR_HEADER.lower().encode(), version.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def signed(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), self._header]
            await send(message)

        refused = _refused(scope) if scope["type"] == "http" else None
        app: App = self._app if refused is None else refused
        await app(scope, receive, signed)


def _refused(scope: Scope) -> Any | None:
    headers = dict(scope["headers"])
    host, origin = (headers.get(name, b"").decode("latin-1") for name in (b"host", b"origin"))
    if scope["path"].startswith(("/api", "/metrics")) and not _is_ours("//" + host):
        return refusal(
            403, "foreign_host", f"Host {host!r} is not this machine", "ask for localhost, 127.0.0.1 or [::1] by that name"
        )
    if origin and scope["method"] not in _READING and not _is_ours(origin):
        return refusal(403, "foreign_origin", f"Origin {origin!r} may not write here", "send it from a program, not from a page")
    return None


def _is_ours(url: str) -> bool:
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False
