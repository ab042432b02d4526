"""Forwarding by plain HTTP, and the least HTTP that it needs: POSTs over one connection, sent without waiting, answered in order.

``http.client`` would cost a script 15 ms of imports. Only addresses are dialled, never names.
"""

from __future__ import annotations

import errno
import os
import time
from _socket import AF_INET, AF_INET6, SOCK_STREAM, socket
from _thread import allocate_lock

from rota import _config
from rota._forward import SILENT_SECONDS, leave_mark, mark_silent
from rota._spool import (
    FAILED_SECONDS,
    FOREIGN_MARK,
    REFUSED_SECONDS,
    UNHURRIED_MARK,
    clear_of_streams,
    is_stale,
    needs_shipper,
    others_wait,
)
from rota.wire.events import joined

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rota._spool import Spool, SpoolFile

EXIT_SECONDS = 0.2
ESTABLISH_SECONDS = 0.003  # at exit, on top of the time since the start: a dropped SYN must not cost the script more
START_SECONDS = 0.05  # before a script's code runs, for a collector on this machine to say whether there are other policies
RETRY_SECONDS = 1.0
REQUEST_BYTES = 256 * 1024
ANSWER_BYTES = 256 * 1024  # of answers not yet understood; a collector's are a few hundred
_PENDING = (errno.EINPROGRESS, errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOTCONN)


class HttpCarrier:
    """Forwards this process's own spool over one kept connection."""

    def __init__(self, spool: Spool, address: tuple[str, int, str]) -> None:
        self._spool, self._address = spool, address
        self._files = (spool.logs, spool.traces)
        self._busy = allocate_lock()
        self._connection: Connection | None = None
        self._retry_at = 0.0  # monotonic; after a refusal the script tries again once a second, not at every event
        # (file, its sequence, end) of requests without an answer, the oldest first; no file: the question for other policies
        self._sent: list[tuple[SpoolFile | None, int, int]] = []
        self._answered = 0
        self._exit_seconds = EXIT_SECONDS
        self._policy = b""  # the number of the set of policies that ask, as answers tell it

    def push(self) -> None:
        """Send new lines and take answers that are there, without waiting."""
        if time.monotonic() < self._retry_at or not self._busy.acquire(False):
            return  # another thread is at it, and will take our lines too, or the next push does
        try:
            self._advance(0.0)
        except Exception:  # refused, silent, or an answer that nobody thought of: the fact is spooled, and the run goes on
            self._disconnect()
            self._retry_at = time.monotonic() + RETRY_SECONDS
        finally:
            self._busy.release()

    def other_policies(self) -> bool:
        """Whether the collector, if it is on this machine, has other policies than this host. Waits ``START_SECONDS`` at most,
        and not again for a while, once that was in vain.
        """
        if self._connection is not None:  # runs inside the process were told of before
            return self._differ()
        if not _is_local(self._address) or not is_stale(self._spool.path + UNHURRIED_MARK, SILENT_SECONDS):
            return False
        try:
            self._connection = Connection(self._address, _config.headers())
            self._connection.request("/v1/logs", b"", "application/x-protobuf")  # nothing to keep: no disk is waited for
            self._connection.answers(1, START_SECONDS)
        except Silent:
            self._sent.append((None, 0, 0))  # an answer may still come
            leave_mark(self._spool.path + UNHURRIED_MARK)
            self._exit_seconds = EXIT_SECONDS - START_SECONDS
            return False
        except (Refused, OSError):
            self._disconnect()
            return False
        self._policy = self._connection.policy
        return self._differ()

    def close(self) -> None:
        """Deliver what is left within ``EXIT_SECONDS``; then remove the files, or leave them to a shipper."""
        answered = self._answered
        timed_out = self._deliver(time.monotonic() + self._exit_seconds)
        is_silent = timed_out and self._answered == answered
        if is_silent:
            mark_silent(self._spool.path, self._address)
        is_delivered = self._is_acknowledged()
        for file in self._files:
            file.finish()
        self._disconnect()
        if not is_delivered or others_wait(self._spool.path) or self._asks_otherwise():
            is_hopeless = not is_delivered and (
                not timed_out or (is_silent and _is_local(self._address))
            )  # a shipper would fare no better
            if needs_shipper(self._spool.path, REFUSED_SECONDS if is_hopeless else FAILED_SECONDS):
                from rota._detach import start_shipper

                start_shipper(self._spool.path)

    def _asks_otherwise(self) -> bool:
        """Whether the collector's policies ask something else than what this host has: a shipper brings them."""
        return self._differ() and needs_shipper(self._spool.path, REFUSED_SECONDS, FOREIGN_MARK)

    def _differ(self) -> bool:
        """Whether the number of the collector's policies is another one than that of this host's."""
        if not self._policy:
            return False
        try:
            with open(os.path.dirname(self._spool.path) + "/policy/.version", "rb") as file:
                return file.read(32) != self._policy
        except OSError:
            return self._policy != b"0"

    def forget(self) -> None:
        """A forked child must neither use nor shut down the parent's connection."""
        if self._connection is not None:
            self._connection.forget()
        self._busy = allocate_lock()
        self._connection, self._sent = None, []

    def _deliver(self, deadline: float) -> bool:
        """Push until everything is acknowledged; whether time was up first. Reconnects as long as that brings anything."""
        may_reconnect = True  # a connection kept open for long may have been closed by the server
        while not self._is_acknowledged():
            left_seconds = deadline - time.monotonic()
            if left_seconds <= 0:
                return True
            answered = self._answered
            try:
                self._advance(left_seconds)
                self._send_memory(deadline)
            except Silent:
                return True
            except (Refused, OSError):
                self._disconnect()
                if not may_reconnect:
                    return False
                may_reconnect = False
            may_reconnect = may_reconnect or self._answered > answered
        return False

    def _is_acknowledged(self) -> bool:
        return all(file.acked >= file.size and not file.memory for file in self._files)

    def _advance(self, wait_seconds: float) -> None:
        """Send one request for each signal that has new lines, and read answers: the next ones due, or what is there."""
        if self._connection is None:
            self._connection = Connection(self._address, _config.headers())
        for file in self._files:
            if all(sent is not file for sent, _, _ in self._sent):
                sequence, acked = file.sequence, file.acked  # before the read: another thread may go on in a new file
                chunk = file.read(acked, REQUEST_BYTES)
                if chunk:
                    self._connection.request("/v1/" + file.signal, joined(chunk.splitlines()))
                    self._sent.append((file, sequence, acked + len(chunk)))
        for status in self._connection.answers(len(self._sent), wait_seconds):
            told, sequence, end = self._sent.pop(0)
            if status >= 300:
                raise Refused("the collector answered %d" % status)
            self._answered += 1
            self._policy = self._connection.policy
            if told is not None:
                told.acknowledge(sequence, end)

    def _send_memory(self, deadline: float) -> None:
        """Lines that no disk took, so far."""
        for file in self._files:
            if file.memory and self._connection is not None and not self._sent:
                lines = list(file.memory)
                self._connection.request("/v1/" + file.signal, joined(lines))
                if self._connection.answers(1, deadline - time.monotonic()):
                    for line in lines:
                        if line in file.memory:  # else another thread has written it by now: what is told twice counts once
                            file.memory.remove(line)
                    self._answered += 1

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection, self._sent = None, []


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
        self._head = "HTTP/1.1\r\nHost: %s:%d\r\n%s" % (shown, port, extra)
        self._out = b""
        self._in = b""
        self.policy = b""
        self._established = False
        family = AF_INET6 if ":" in host else AF_INET
        self._socket = socket(family, SOCK_STREAM, 0, clear_of_streams(socket(family, SOCK_STREAM).detach()))
        status = os.fstat(self._socket.fileno())
        self._identity = (status.st_dev, status.st_ino)
        self._socket.setblocking(False)
        code = self._socket.connect_ex((host, port))
        if code and code not in _PENDING:
            self.close()
            raise Refused(os.strerror(code))

    def request(self, path: str, body: bytes, kind: str = "application/json") -> None:
        """Queue one POST and send as much as the kernel takes now."""
        about = "Content-Type: %s\r\nContent-Length: %d\r\n\r\n" % (kind, len(body))
        head = "POST %s%s %s%s" % (self._prefix, path, self._head, about)
        self._out += head.encode("latin-1", "replace") + body
        self._send()

    def answers(self, expected: int, wait_seconds: float) -> list[int]:
        """Status codes of the next answers: up to ``expected``; waits for the first of them, unless ``wait_seconds`` is 0.

        Raises Silent when none came in time, Refused when the other side closed instead, or has more to say than it was asked.
        """
        deadline = time.monotonic() + wait_seconds
        while True:
            self._send()
            found = self._complete_answers()
            if len(found) > expected or len(self._in) > ANSWER_BYTES:
                raise Refused("this is no collector: it talks on")
            if found or not expected:
                return found
            left = deadline - time.monotonic()
            if not self._receive(left if self._established else min(left, ESTABLISH_SECONDS)):
                if wait_seconds <= 0:
                    return []
                raise Silent("none of %d answers came" % expected)

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
            self.policy = _header(head.lower(), b"rota-policy") or self.policy
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
    length = _header(head.lower(), b"content-length")
    if length.isdigit() and len(length) < 20:
        return int(length)
    return 0 if head[9:12] in (b"204", b"304") else None


def _header(head: bytes, wanted: bytes) -> bytes:
    """The value of a header in lower case; empty without it."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name == wanted:
            return value.strip()
    return b""


def _is_local(address: tuple[str, int, str]) -> bool:
    return address[0].startswith("127.") or address[0] == "::1"
