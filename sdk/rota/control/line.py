"""One connection to an agent, on which questions for permission go, and their answers come back."""

from __future__ import annotations

import os
import socket

from rota._spool import clear_of_streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_ANSWER = 1 << 20  # bytes


class AgentLine:
    """One connection to an agent: a line of JSON there, a line back."""

    def __init__(self, path: str) -> None:
        self._is_shut = False
        self._socket = socket.socket(fileno=clear_of_streams(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).detach()))
        try:
            self._socket.settimeout(1.0)
            self._socket.connect(path)
            self._identity = self._status()
        except BaseException:
            self._socket.close()
            raise

    def ask(self, line: bytes, timeout_seconds: float) -> bytes:
        """The answer to a line. Raises OSError when none comes in time."""
        connection = self._socket
        if connection.gettimeout() != timeout_seconds:
            connection.settimeout(timeout_seconds)
        connection.sendall(line)
        said = connection.recv(65536)
        while not said.endswith(b"\n"):
            said += _more(connection.recv(65536), said)
        return said

    async def ask_async(self, loop: Any, line: bytes, timeout_seconds: float) -> bytes:
        """The same, awaited. When time is up we hang up ourselves, which ends the wait: a task of its own would cost more."""
        self._socket.setblocking(False)
        alarm = loop.call_later(timeout_seconds, self._shut)
        try:
            await loop.sock_sendall(self._socket, line)
            said = b""
            while not said.endswith(b"\n"):
                said += _more(await loop.sock_recv(self._socket, 65536), said)
            return said
        except OSError:
            if self._is_shut:
                raise socket.timeout("no answer") from None
            raise
        finally:
            alarm.cancel()

    def _shut(self) -> None:
        self._is_shut = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # the agent has gone meanwhile
            pass

    def is_whole(self) -> bool:
        """Whether the descriptor still is ours: a program may close those that it did not open, and get the number again."""
        try:
            return self._status() == self._identity
        except OSError:
            return False

    def close(self) -> None:
        """Hang up, without touching a descriptor that is another's by now."""
        if self.is_whole():
            self._socket.close()
        else:
            self._socket.detach()

    def _status(self) -> tuple[int, int]:
        status = os.fstat(self._socket.fileno())
        return status.st_dev, status.st_ino


def _more(data: bytes, before: bytes) -> bytes:
    if not data or len(before) > MAX_ANSWER:
        raise ConnectionError("the agent hung up in the middle of an answer")
    return data
