"""What every answer carries, and which requests a loopback API must refuse although they come from this machine.

A page in somebody's browser can send requests to 127.0.0.1, and, after rebinding its own name to that address, read the
answers. Its requests then name that name in Host, and they name the page in Origin: both are checked.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlsplit

from rota.wire.names import COLLECTOR_HEADER
from rota_collector.api.envelope import refusal
from rota_collector.asgi import App, Message, Receive, Send
from rota_collector.config import is_loopback
from rota_collector.errors import StoreError
from rota_collector.store.keys import Keys

_READING = ("GET", "HEAD", "OPTIONS")


class Guard:
    """ASGI around ``app``: names the collector in every answer, refuses foreign hosts and origins."""

    def __init__(self, app: App, version: str, keys: Keys) -> None:
        self._app, self._keys = app, keys
        self._header = (COLLECTOR_HEADER.lower().encode(), version.encode())

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def signed(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), self._header]
            await send(message)

        refused = self._refused(scope) if scope["type"] == "http" else None
        app: App = self._app if refused is None else refused
        await app(scope, receive, signed)

    def _refused(self, scope: Message) -> Any | None:
        host, origin = _header(scope, b"host"), _header(scope, b"origin")
        if scope["path"].startswith(("/api", "/metrics")) and not _is_ours("//" + host) and self._is_open():
            return refusal(
                403, "foreign_host", f"Host {host!r} is not this machine", "ask for localhost, 127.0.0.1 or [::1] by that name"
            )
        if origin and scope["method"] not in _READING and not _is_ours(origin):
            hint = "send it from a program, not from a page"
            return refusal(403, "foreign_origin", f"Origin {origin!r} may not write here", hint)
        return None

    def _is_open(self) -> bool:
        """A page has no key: once there is one, and it is asked for, the name under which we are asked protects nobody."""
        try:
            return self._keys.is_open
        except StoreError:
            return True


def _header(scope: Message, wanted: bytes) -> str:
    return next((value for name, value in scope["headers"] if name == wanted), b"").decode("latin-1")


def _is_ours(url: str) -> bool:
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False
