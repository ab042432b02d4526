"""CORS: pages of named origins may send OTLP from a browser. Off unless origins are named; the API never takes part."""

from __future__ import annotations

from collections.abc import Collection, MutableMapping
from typing import Any

from rota_collector.asgi import App, Receive, Send
from rota_collector.receive.otlp import Headers

_KEEP_SECONDS = 7200  # how long a browser need not ask again; more than Chromium takes
_SEEN = b"retry-after, rota-collector, rota-policy"  # of an answer, by the page


class Cors:
    """ASGI around ``app``: answers browsers that ask whether a page may send, and says so in the answers to what it sends.

    ``origins``: as browsers write them, lower case; ``*`` stands for all.
    """

    def __init__(self, app: App, origins: Collection[str]) -> None:
        self._app, self._origins = app, frozenset(origins)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        asked = dict(scope["headers"])
        allowed = self._allowed(asked.get(b"origin"))
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in asked:
            await send({"type": "http.response.start", "status": 204, "headers": _preflight(asked, allowed)})
            await send({"type": "http.response.body", "body": b""})
            return

        async def named(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *allowed, (b"access-control-expose-headers", _SEEN)]
            await send(message)

        await self._app(scope, receive, named if allowed else send)

    def _allowed(self, origin: bytes | None) -> Headers:
        """Nothing for a page that may not, or no page at all."""
        if origin is None or not self._origins & {"*", origin.decode("latin-1").lower()}:
            return []
        return [(b"access-control-allow-origin", origin), (b"vary", b"origin")]


def _preflight(asked: MutableMapping[bytes, bytes], allowed: Headers) -> Headers:
    if not allowed:
        return [(b"vary", b"origin")]
    headers = [
        *allowed,
        (b"access-control-allow-methods", b"POST"),
        (b"access-control-allow-headers", asked.get(b"access-control-request-headers", b"content-type")),
        (b"access-control-max-age", b"%d" % _KEEP_SECONDS),
    ]
    if b"access-control-request-private-network" in asked:  # a page from the internet, and a collector on loopback
        headers.append((b"access-control-allow-private-network", b"true"))
    return headers
