"""Passes requests on to the keeper, and its answers back, as they come: also those that have no end."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Coroutine, MutableMapping
from typing import Any

import httpcore

from rota_collector.asgi import Receive, Send

_CONNECTIONS = 200  # requests under way; more wait
_HELD = "/api/v1/permission"  # what may be held open for half a minute, and must not keep others from being answered
_HELD_POOLS = 40  # of so many connections; a single large one would look through all of them at each request
_KEPT, _KEPT_SECONDS = 16, 30.0  # shorter than the keeper keeps them
_ATTEMPTS = 3  # of what only asks: kept connections are broken when the keeper was started again
_CONNECT_SECONDS = 10.0  # that a keeper which is just being started again may need to take a connection
_OF_THIS_HOP = frozenset((b"connection", b"keep-alive", b"te", b"upgrade", b"proxy-connection"))


def _envelope(code: str, message: str, hint: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": message, "hint": hint}}).encode()


_AWAY = _envelope(
    "starting",
    "the part of the collector that answers this is being started again; what is sent meanwhile is kept",
    "ask again in a moment; the collector's own words are on its stderr",
)


class Proxy:
    """ASGI application in front of the HTTP server on the unix socket ``path``."""

    def __init__(self, path: str) -> None:
        self._pools = [_pool_of(path, _KEPT), *(_pool_of(path, 1) for _ in range(_HELD_POOLS))]
        self._held = itertools.cycle(self._pools[1:])

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        has_body = any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])
        attempts = _ATTEMPTS if scope["method"] in ("GET", "HEAD") else 1
        while attempts:
            attempts -= 1
            try:
                await self._pass(scope, receive, send, _body(receive) if has_body else None)
                return
            except _Disconnected:
                return
            except _Malformed as error:
                message, hint = (
                    f"these header fields cannot be passed on: {error}",
                    "send each once, with a value that it may have",
                )
                await _say(send, 400, _envelope("malformed", message, hint))
                return
            except _Away:
                continue
        await _say(send, 503, _AWAY, (b"retry-after", b"1"))

    async def _pass(
        self, scope: MutableMapping[str, Any], receive: Receive, send: Send, content: AsyncIterator[bytes] | None
    ) -> None:
        """Raises _Away when there is no answer, _Malformed when none was asked for; an error after the answer began cuts the
        connection.
        """
        url = httpcore.URL(scheme=b"http", host=b"keeper", port=None, target=_target(scope))
        # Blanks around a value are not part of it: our HTTP server leaves those behind it, and the client does not send them.
        headers = [(name, value.strip(b" \t")) for name, value in scope["headers"] if name not in _OF_THIS_HOP]
        begun = False
        try:
            pool = next(self._held) if scope["path"] == _HELD else self._pools[0]
            async with pool.stream(scope["method"], url, headers=headers, content=content, extensions=_TIMEOUTS) as answer:
                begun = True
                await _while_there(receive, _pass_back(answer, send))
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            if begun:
                raise  # half an answer must not look like a whole one
            if isinstance(error, httpcore.LocalProtocolError):  # the HTTP server lets more through than may be passed on
                raise _Malformed(str(error)) from error
            raise _Away from error

    async def close(self) -> None:
        """Close what is kept open."""
        for pool in self._pools:
            await pool.aclose()


def _pool_of(path: str, kept: int) -> httpcore.AsyncConnectionPool:
    return httpcore.AsyncConnectionPool(
        uds=path, max_connections=_CONNECTIONS, max_keepalive_connections=kept, keepalive_expiry=_KEPT_SECONDS
    )


_TIMEOUTS = {"timeout": {"connect": _CONNECT_SECONDS, "pool": _CONNECT_SECONDS}}


class _Away(Exception):
    """The keeper did not answer."""


class _Malformed(Exception):
    """The request is none that may be passed on; the message says why."""


class _Disconnected(Exception):
    """The client went away while it sent its body."""


def _target(scope: MutableMapping[str, Any]) -> bytes:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return raw.partition(b"?")[0] + (b"?" + query if query else b"")


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Disconnected
        more = message.get("more_body", False)
        yield message.get("body", b"")


async def _while_there(receive: Receive, passing: Coroutine[Any, Any, None]) -> None:
    """Pass an answer back as long as somebody listens: an endless one would go on for nobody."""
    back, gone = asyncio.ensure_future(passing), asyncio.ensure_future(_disconnect(receive))
    try:
        await asyncio.wait((back, gone), return_when=asyncio.FIRST_COMPLETED)
        if not back.done():
            raise _Disconnected
        back.result()
    finally:
        back.cancel()
        gone.cancel()


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _pass_back(answer: httpcore.Response, send: Send) -> None:
    told = [(name.lower(), value) for name, value in answer.headers]
    headers = [pair for pair in told if pair[0] not in _OF_THIS_HOP and pair[0] != b"transfer-encoding"]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    async for chunk in answer.aiter_stream():
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _say(send: Send, status: int, body: bytes, *more: tuple[bytes, bytes]) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
