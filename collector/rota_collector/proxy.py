"""Passes requests on to the keeper, and its answers back, as they come: also those that have no end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, MutableMapping
from typing import Any

import httpcore

from rota_collector.asgi import Receive, Send

_CONNECTIONS = 200  # requests under way; more wait
_QUEUE_SECONDS, _QUEUE_LOOK_SECONDS = 10.0, 0.05  # for a place in the queue of the server
_MOST_QUESTION = 1 << 20  # bytes of a question about permission
_KEPT, _KEPT_SECONDS = 16, 30.0  # shorter than the keeper keeps them
_ATTEMPTS = 3  # of what only asks: kept connections are broken when the keeper was started again
_CONNECT_SECONDS = 10.0  # that a keeper which is just being started again may need to take a connection
_OF_BODY = frozenset((b"content-length", b"transfer-encoding"))
_OF_THIS_HOP = frozenset((b"connection", b"keep-alive", b"te", b"upgrade", b"proxy-connection"))
_NOT_PASSED_BACK = _OF_THIS_HOP | {b"date"}  # our own server tells that


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
        self._pool = httpcore.AsyncConnectionPool(
            uds=path, max_connections=_CONNECTIONS, max_keepalive_connections=_KEPT, keepalive_expiry=_KEPT_SECONDS
        )

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
            async with self._pool.stream(scope["method"], url, headers=headers, content=content, extensions=_TIMEOUTS) as answer:
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
        await self._pool.aclose()


_TIMEOUTS = {"timeout": {"connect": _CONNECT_SECONDS, "pool": _CONNECT_SECONDS}}


class Questions:
    """ASGI application for questions about permission, in front of the same server: thousands are held open at once, and a pool
    looks through all of its connections at each request. So here are plain ones: one a question, and used again.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._idle: list[_Connection] = []

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            body = bytearray()
            async for part in _body(receive):
                body += part
                if len(body) > _MOST_QUESTION:
                    await _say(send, 413, _envelope("too_large", f"a question has at most {_MOST_QUESTION} bytes", "send less"))
                    return
            await _while_there(receive, self._pass(_request(scope, bytes(body)), send))
        except _Disconnected:
            return
        except (OSError, asyncio.IncompleteReadError, ValueError):
            await _say(send, 503, _AWAY, (b"retry-after", b"1"))

    async def _pass(self, request: bytes, send: Send) -> None:
        connection, answer = await self._answered(request)
        head, body = answer
        await send({"type": "http.response.start", "status": int(head[0].split(b" ", 2)[1]), "headers": _told(head[1:])})
        await send({"type": "http.response.body", "body": body})
        self._idle.append(connection)

    async def _answered(self, request: bytes) -> tuple[_Connection, tuple[list[bytes], bytes]]:
        """Over one that is open, or, when there is none that still is, a new one."""
        while self._idle:
            connection = self._idle.pop()
            try:
                return connection, await connection.ask(request)
            except (OSError, asyncio.IncompleteReadError):
                connection.close()  # the server has closed it since; it has not read the question
        connection = await self._connected()
        try:
            return connection, await connection.ask(request)
        except BaseException:
            connection.close()
            raise

    async def _connected(self) -> _Connection:
        """A new one. When the server has not come to take those before, a Unix socket does not let us wait in line."""
        for _ in range(round(_QUEUE_SECONDS / _QUEUE_LOOK_SECONDS)):
            try:
                return _Connection(*await asyncio.open_unix_connection(self._path))
            except BlockingIOError:
                await asyncio.sleep(_QUEUE_LOOK_SECONDS)
        raise TimeoutError(f"no connection to {self._path} in {_QUEUE_SECONDS} s: its queue is full")

    async def close(self) -> None:
        """Close what is kept open."""
        while self._idle:
            self._idle.pop().close()


class _Connection:
    """HTTP/1.1 with a server that tells the length of each answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, request: bytes) -> tuple[list[bytes], bytes]:
        """(the lines of the head, the body). Raises OSError, IncompleteReadError; ValueError for an answer without a length."""
        try:
            self._writer.write(request)
            head = (await self._reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
            length = next((int(line[15:]) for line in head if line[:15].lower() == b"content-length:"), None)
            if length is None:
                raise ValueError(f"an answer without a length: {head!r}")
            return head, await self._reader.readexactly(length)
        except asyncio.CancelledError:
            self.close()  # nobody wants the answer, and the next one must not get it
            raise

    def close(self) -> None:
        """Close it."""
        self._writer.close()


def _request(scope: MutableMapping[str, Any], body: bytes) -> bytes:
    """A request as it goes on. Header fields were parsed by our server, so that none holds an end of line."""
    kept = [(name, value) for name, value in scope["headers"] if name not in _OF_THIS_HOP and name not in _OF_BODY]
    lines = [b"%s: %s" % (name, value.strip(b" \t")) for name, value in (*kept, (b"content-length", b"%d" % len(body)))]
    return b"\r\n".join([b"%s %s HTTP/1.1" % (scope["method"].encode(), _target(scope)), *lines, b"", b""]) + body


def _told(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    """The header fields of an answer."""
    fields = (line.partition(b":") for line in lines)
    return [(name.lower(), value.strip()) for name, _, value in fields if name.lower() not in _NOT_PASSED_BACK]


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
    headers = [pair for pair in told if pair[0] not in _NOT_PASSED_BACK and pair[0] != b"transfer-encoding"]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    async for chunk in answer.aiter_stream():
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _say(send: Send, status: int, body: bytes, *more: tuple[bytes, bytes]) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
