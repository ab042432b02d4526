"""The least HTTP that forwarding needs: POSTs over one connection, sent without waiting, answered in order.

``http.client`` would cost a script 15 ms of imports. Only addresses are dialled, never names.
"""

from __future__ import annotations

import errno
import os
import time
from _socket import AF_INET, AF_INET6, SOCK_STREAM, socket

ESTABLISH_SECONDS = 0.005  # at exit, on top of the time since the start: a dropped SYN must not cost the script more
_PENDING = (errno.EINPROGRESS, errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOTCONN)


class Refused(Exception):
    """Nobody listens, or the other side closed, or said no."""


class Silent(Exception):
    """No answer within the time allowed."""


class Connection:
    """One TCP connection to ``(address, port, path prefix)``."""

    def __init__(self, address: tuple[str, int, str], headers: dict[str, str]) -> None:
        host, port, self._prefix = address
        shown = "[%s]" % host if ":" in host else host
        extra = "".join(["%s: %s\r\n" % pair for pair in headers.items() if "\r" not in pair[1] and "\n" not in pair[1]])
        self._head = "HTTP/1.1\r\nHost: %s:%d\r\nContent-Type: application/json\r\n%sContent-Length: " % (shown, port, extra)
        self._out = b""
        self._in = b""
        self._established = False
        self._socket = socket(AF_INET6 if ":" in host else AF_INET, SOCK_STREAM)
        status = os.fstat(self._socket.fileno())
        self._identity = (status.st_dev, status.st_ino)
        self._socket.setblocking(False)
        code = self._socket.connect_ex((host, port))
        if code and code not in _PENDING:
            self.close()
            raise Refused(os.strerror(code))

    def request(self, path: str, body: bytes) -> None:
        """Queue one POST and send as much as the kernel takes now."""
        head = "POST %s%s %s%d\r\n\r\n" % (self._prefix, path, self._head, len(body))
        self._out += head.encode("latin-1", "replace") + body
        self._send()

    def answers(self, expected: int, wait_seconds: float) -> list[int]:
        """Status codes of the next answers: all ``expected`` within ``wait_seconds``, or, when that is 0, those that are there.

        Raises Silent when time is up, Refused when the other side closed.
        """
        found: list[int] = []
        deadline = time.monotonic() + wait_seconds
        while True:
            self._send()
            found.extend(self._complete_answers())
            if len(found) >= expected:
                return found
            left = deadline - time.monotonic()
            if wait_seconds <= 0 and not self._receive(0.0):
                return found
            if wait_seconds > 0 and (left <= 0 or not self._receive(left if self._established else min(left, ESTABLISH_SECONDS))):
                raise Silent("%d of %d answers" % (len(found), expected))

    def close(self) -> None:
        """Close, unless the program has closed the descriptor and the number is now its own."""
        if self._is_ours():
            self._socket.close()
        else:
            self._socket.detach()

    forget = close

    def _is_ours(self) -> bool:
        try:
            status = os.fstat(self._socket.fileno())
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._identity

    def _send(self) -> None:
        while self._out:
            if not self._is_ours():
                raise Refused("the descriptor was closed by the program")
            try:
                sent = self._socket.send(self._out)
            except OSError as error:
                if error.errno in _PENDING:
                    return
                raise Refused(str(error)) from None
            self._established = True
            self._out = self._out[sent:]

    def _receive(self, wait_seconds: float) -> bool:
        """Take what has arrived, waiting at most so long for it; whether there is a reason to look again."""
        from select import POLLIN, POLLOUT, poll

        waiter = poll()
        waiter.register(self._socket.fileno(), POLLIN | (POLLOUT if self._out else 0))
        ready = waiter.poll(max(0.0, wait_seconds) * 1000)
        if not ready:
            return False
        if ready[0][1] & ~POLLOUT:
            try:
                data = self._socket.recv(65536)
            except OSError as error:
                if error.errno in _PENDING:
                    return True
                raise Refused(str(error)) from None
            if not data:
                raise Refused("the connection was closed")
            self._established = True
            self._in += data
        return True

    def _complete_answers(self) -> list[int]:
        found: list[int] = []
        while True:
            head, end, rest = self._in.partition(b"\r\n\r\n")
            if not end:
                return found
            length = _content_length(head)
            if length is None:
                raise Refused("an answer without a length")
            if len(rest) < length:
                return found
            self._in = rest[length:]
            status = head[9:12]
            found.append(int(status) if status.isdigit() else 599)


def _content_length(head: bytes) -> int | None:
    """The body's length; None when the answer is framed in another way."""
    for line in head.lower().split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name == b"content-length" and value.strip().isdigit():
            return int(value)
    return 0 if head[9:12] in (b"204", b"304") else None
