"""Reading a request's body: in bounded steps, to a limit that holds after decompression."""

from __future__ import annotations

import asyncio
import sys
import zlib

from rota_collector.asgi import Receive

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


ENCODINGS = (b"", b"identity", b"gzip", b"zstd", b"deflate")
_STEP = 1 << 18
_ZSTD_WINDOW: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 23}  # 8 MiB: what RFC 9659 lets a sender ask for
_GZIP_OR_ZLIB, _RAW = 32 + zlib.MAX_WBITS, -zlib.MAX_WBITS


class TooLarge(Exception):
    """The body is larger than the limit. Private to the receivers: they answer 413."""


class Corrupt(Exception):
    """The compressed body cannot be read. Private to the receivers: they answer 400."""


class Disconnected(Exception):
    """The client went away before the body was complete; nobody waits for an answer."""


async def read(receive: Receive, encoding: bytes, limit: int) -> bytes | bytearray:
    """The whole body, decompressed. Raises ``TooLarge``, ``Corrupt``, ``Disconnected``."""
    chunk, more = await _next(receive)
    if not more and encoding in (b"", b"identity"):
        if len(chunk) > limit:
            raise TooLarge
        return chunk
    sink = _SINKS.get(encoding, _Plain)(limit)
    while True:
        for i in range(0, len(chunk), _STEP):
            await sink.feed(chunk[i : i + _STEP])
        if not more:
            return await sink.finish()
        chunk, more = await _next(receive)


async def _next(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    return message.get("body", b""), message.get("more_body", False)


class _Plain:
    """Collects a body as it is."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._body = bytearray()

    async def feed(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > self._limit:
            raise TooLarge

    async def finish(self) -> bytearray:
        return self._body


class _Inflated(_Plain):
    """Collects a gzip or deflate body, decompressed; never more than a step beyond the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._stream = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._started = False

    async def feed(self, data: bytes) -> None:
        while data:
            if self._stream.eof:  # gzip may have several members
                self._stream = zlib.decompressobj(_GZIP_OR_ZLIB)
            await super().feed(self._decompress(data))
            data = self._stream.unconsumed_tail or self._stream.unused_data
            if data:
                await asyncio.sleep(0)  # a little of it can become very much: others have their turn

    async def finish(self) -> bytearray:
        while not self._stream.eof:
            rest = self._decompress(b"")
            if not rest:
                raise Corrupt("the compressed body ends too early")
            await super().feed(rest)
        return self._body

    def _decompress(self, data: bytes) -> bytes:
        started, self._started = self._started, True
        try:
            return self._stream.decompress(data, _STEP)
        except zlib.error as error:
            if started:
                raise Corrupt(f"the compressed body is damaged: {error}") from error
        try:  # some senders mean by deflate what the standard does not: no header
            self._stream = zlib.decompressobj(_RAW)
            return self._stream.decompress(data, _STEP)
        except zlib.error as error:
            raise Corrupt(f"the body is neither gzip nor deflate: {error}") from error


class _Unpacked(_Plain):
    """Collects a zstd body, decompressed; never more than a step beyond the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._stream = zstd.ZstdDecompressor(options=_ZSTD_WINDOW)

    async def feed(self, data: bytes) -> None:
        while data or not (self._stream.needs_input or self._stream.eof):
            if self._stream.eof:  # it may have several frames
                self._stream = zstd.ZstdDecompressor(options=_ZSTD_WINDOW)
            await super().feed(self._decompress(data))
            data = self._stream.unused_data if self._stream.eof else b""
            await asyncio.sleep(0)  # a little of it can become very much: others have their turn

    async def finish(self) -> bytearray:
        if not self._stream.eof:
            raise Corrupt("the compressed body ends too early")
        return self._body

    def _decompress(self, data: bytes) -> bytes:
        try:
            return self._stream.decompress(data, _STEP)
        except zstd.ZstdError as error:
            raise Corrupt(f"the body is no zstd: {error}") from error


_SINKS = {b"gzip": _Inflated, b"deflate": _Inflated, b"zstd": _Unpacked}
