"""The journal between the collector's two processes: the front writes it, the keeper reads its files.

What goes from one to the other beside the files: how far they are on disk (a number on the board, and a bell that is rung
when it grows), and what the keeper itself decided, which it submits like everybody else and is answered when it is on disk.
The keeper, who answers /metrics, also asks for what the front has counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from struct import Struct
from struct import error as StructError  # noqa: N812 (a class, in spite of its name)

from rota_collector.board import Board, Cell
from rota_collector.errors import JournalClosed, JournalError, JournalFailed, JournalFull
from rota_collector.journal import Extent, Journal, Reader, Signal

_REQUEST = Struct("<BI")  # signal (or _READY, _NUMBERS), payload length
_ANSWER = Struct("<BQI")  # 0, or which error; offset; length of the error's text
_READY, _NUMBERS = 0, 255
_ERRORS: tuple[type[JournalError], ...] = (JournalClosed, JournalFull, JournalFailed)


class Bell:
    """Wakes the other process: a pipe in which bytes mean nothing but that something is new."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def ring(self) -> None:
        """Costs a microsecond, and never blocks."""
        try:
            os.write(self._writer, b"!")
        except (BlockingIOError, BrokenPipeError):
            pass  # it rings loud enough, or there is nobody

    def close(self) -> None:
        """No more ringing."""
        os.close(self._writer)


class PublishedExtent(Extent):
    """The durable end that the front tells the keeper."""

    def __init__(self, board: Board, bell: Bell) -> None:
        super().__init__()
        self._board, self._bell = board, bell

    def advance(self, end: int) -> None:
        """Everything before ``end`` is on disk."""
        super().advance(end)
        self._board[Cell.DURABLE_END] = end
        self._bell.ring()


Numbers = Callable[[], Mapping[str, float]]


async def serve(sock: socket.socket, journal: Journal, ready: Callable[[], None], numbers: Numbers) -> None:
    """In the front: bring into the journal what the keeper at the other end of ``sock`` submits, until it is gone."""
    reader, writer = await asyncio.open_connection(sock=sock)
    try:
        while True:
            number, length = _REQUEST.unpack(await reader.readexactly(_REQUEST.size))
            payload = await reader.readexactly(length)
            if number == _READY:
                ready()
            elif number == _NUMBERS:
                text = json.dumps(numbers()).encode()
                writer.write(_ANSWER.pack(0, 0, len(text)) + text)
            else:
                writer.write(await _answer(journal, Signal(number), payload))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # it ended
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def _answer(journal: Journal, signal: Signal, payload: bytes) -> bytes:
    try:
        return _ANSWER.pack(0, await journal.append(signal, payload), 0)
    except JournalError as error:
        text = str(error).encode()
        return _ANSWER.pack(1 + _ERRORS.index(type(error)), 0, len(text)) + text


class _FollowedExtent(Extent):
    """The durable end as the front tells it; a thread waits for the bell. ``gone`` is called when there is no front any more."""

    def __init__(self, board: Board, bell: int, gone: Callable[[], None]) -> None:
        super().__init__()
        self._board, self._bell, self._gone = board, bell, gone
        threading.Thread(target=self._listen, name="rota-bell", daemon=True).start()

    @property
    def durable_end(self) -> int:
        """As it is now, rung or not."""
        return self._board[Cell.DURABLE_END]

    def _listen(self) -> None:
        while os.read(self._bell, 1 << 16):
            self.advance(self.durable_end)
        self._gone()


class JournalLink(Reader):
    """In the keeper: the journal in ``directory``, which the front writes. Any thread.

    ``bell`` and ``sock`` are the keeper's ends; ``gone`` is called when the front has ended.
    """

    def __init__(self, directory: Path, board: Board, bell: int, sock: socket.socket, gone: Callable[[], None]) -> None:
        super().__init__(directory, _FollowedExtent(board, bell, gone))
        self._socket, self._turn = sock, threading.Lock()
        self._answers = sock.makefile("rb")

    def ready(self) -> None:
        """Tell the front that we serve."""
        self._socket.sendall(_REQUEST.pack(_READY, 0))

    def append_blocking(self, signal: Signal, payload: bytes | bytearray) -> int:
        """Keeps one request; returns its offset when it is on disk. Raises as ``Journal.append`` does: it is then not kept."""
        offset, _ = self._ask(_REQUEST.pack(signal, len(payload)) + payload)
        return offset

    def numbers(self) -> dict[str, float]:
        """What the front has counted, by series. Raises JournalClosed when it is gone."""
        found: dict[str, float] = json.loads(self._ask(_REQUEST.pack(_NUMBERS, 0))[1])
        return found

    def _ask(self, request: bytes) -> tuple[int, str]:
        try:
            with self._turn:
                self._socket.sendall(request)
                error, offset, length = _ANSWER.unpack(self._answers.read(_ANSWER.size))
                text = self._answers.read(length).decode()
        except (OSError, StructError) as broken:  # a shorter answer means that there is none
            raise JournalClosed("cannot append to the journal: the process that writes it is gone") from broken
        if error:
            raise _ERRORS[error - 1](text)
        return offset, text

    def close(self) -> None:
        """Nothing comes any more, so nobody need wait."""
        self._extent.close()
