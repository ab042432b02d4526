"""How a fact leaves the process: an agent is told, or the SDK forwards its own spool, or a detached shipper does.

1. A resident agent: one line to its socket, and the agent does the rest.
2. Plain HTTP to an address: sends without waiting while the script runs; answers are read at exit, ``EXIT_SECONDS`` in all.
3. Anything slow (TLS, names, gRPC): nothing happens here; a detached ``rota agent --once`` ships after the script's end.

No step looks up a name, starts a thread, or waits outside the bounded moment at exit. What is not acknowledged stays spooled.
"""

from __future__ import annotations

import os
import sys
import time
from _thread import allocate_lock

from rota import _config
from rota._http import Connection, Refused, Silent
from rota._spool import Spool, SpoolFile, lock_is_free
from rota.wire.events import joined

EXIT_SECONDS = 0.2
SILENT_SECONDS = 30  # how long an endpoint that did not answer is left alone
RETRY_SECONDS = 1.0
REQUEST_BYTES = 256 * 1024
_FOREIGN_FILES = 64  # how many other files in live/ are looked at on the way out


class AgentCarrier:
    """The agent has been told; it tails the spool and notices this process's end."""

    def push(self) -> None:
        """Nothing to do: the agent follows the file."""

    def close(self) -> None:
        """Nothing to do: the files stay in live/, unlocked by this process's end."""

    def forget(self) -> None:
        """A forked child writes files of its own, which the agent finds."""


class DetachedCarrier:
    """Leave the spool behind, and see that somebody ships it."""

    def __init__(self, spool: Spool, may_start: bool) -> None:
        self._spool, self._may_start = spool, may_start

    def push(self) -> None:
        """Nothing leaves while the script runs."""

    def close(self) -> None:
        """Move the files to left/ and start a detached shipper, unless one is at it or just failed."""
        for file in (self._spool.logs, self._spool.traces):
            file.finish(delivered=False)
        if self._may_start:
            start_shipper(self._spool.path)

    def forget(self) -> None:
        """Nothing is held."""


class HttpCarrier:
    """Forwards this process's own spool over one kept connection."""

    def __init__(self, spool: Spool, address: tuple[str, int, str]) -> None:
        self._spool, self._address = spool, address
        self._busy = allocate_lock()
        self._connection: Connection | None = None
        self._acked = {spool.logs: 0, spool.traces: 0}
        self._retry_at = 0.0  # monotonic; after a refusal the script tries again once a second, not at every event
        self._sent: list[tuple[SpoolFile, int]] = []  # requests without an answer yet, oldest first

    def push(self) -> None:
        """Send new lines and take answers that are there, without waiting."""
        if time.monotonic() < self._retry_at or not self._busy.acquire(False):
            return  # another thread is at it, and will take our lines too, or the next push does
        try:
            self._advance(0.0)
        except (Refused, Silent, OSError):
            self._disconnect()
            self._retry_at = time.monotonic() + RETRY_SECONDS
        finally:
            self._busy.release()

    def close(self) -> None:
        """Deliver what is left within ``EXIT_SECONDS``; then remove the files, or leave them."""
        deadline = time.monotonic() + EXIT_SECONDS
        slow = self._deliver(deadline)
        if slow:
            mark_silent(self._spool.path, self._address)
        leftover = False
        for file in (self._spool.logs, self._spool.traces):
            delivered = self._acked[file] >= file.size
            leftover = leftover or (not delivered and slow and not self._address[0].startswith("127."))
            file.finish(delivered)
        self._disconnect()
        if leftover or (not slow and self._is_acknowledged() and _others_need_a_shipper(self._spool.path)):
            start_shipper(self._spool.path)

    def forget(self) -> None:
        """A forked child must neither use nor shut down the parent's connection."""
        if self._connection is not None:
            self._connection.forget()
        self._busy = allocate_lock()
        self._connection, self._sent = None, []
        self._acked = {self._spool.logs: 0, self._spool.traces: 0}

    def _deliver(self, deadline: float) -> bool:
        """Push until everything is acknowledged or time is up; whether the endpoint was silent."""
        for _ in range(2):  # a connection kept open for long may have been closed by the server: once more on a new one
            try:
                while not self._is_acknowledged():
                    left_seconds = deadline - time.monotonic()
                    if left_seconds <= 0:
                        return True
                    self._advance(left_seconds)
                self._send_memory(deadline)
                return False
            except Silent:
                return True
            except (Refused, OSError):
                self._disconnect()
        return False

    def _is_acknowledged(self) -> bool:
        return all(self._acked[file] >= file.size for file in self._acked)

    def _advance(self, wait_seconds: float) -> None:
        """Send one request for each signal that has new lines, and read answers: all that is due, or what is there."""
        if self._connection is None:
            self._connection = Connection(self._address, _config.headers())
        for file, acked in self._acked.items():
            if all(sent is not file for sent, _ in self._sent):
                lines = file.read(acked, REQUEST_BYTES).splitlines()
                if lines:
                    self._connection.request("/v1/" + file.signal, joined(lines))
                    self._sent.append((file, acked + sum(map(len, lines)) + len(lines)))
        for status in self._connection.answers(len(self._sent), wait_seconds):
            file, end = self._sent.pop(0)
            if status >= 300:
                raise Refused("the collector answered %d" % status)
            self._acked[file] = end

    def _send_memory(self, deadline: float) -> None:
        """Lines that no disk took have this one chance."""
        for file in self._acked:
            if file.memory and self._connection is not None:
                self._connection.request("/v1/" + file.signal, joined(file.memory))
                self._connection.answers(1, deadline - time.monotonic())
                file.memory = []

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection, self._sent = None, []


def choose(spool: Spool, home: str) -> AgentCarrier | HttpCarrier | DetachedCarrier:
    """Who carries this process's facts."""
    for path in _config.agent_sockets(home):
        if tell_agent(path, spool):
            return AgentCarrier()
    address = _config.plain_address(os.environ)
    if address is None:
        return DetachedCarrier(spool, may_start=True)
    if is_silent(spool.path, address):
        return DetachedCarrier(spool, may_start=False)
    return HttpCarrier(spool, address)


def tell_agent(path: str, spool: Spool) -> bool:
    """Say hello to an agent: which process, which spool. False when nobody listens at ``path``."""
    from _socket import AF_UNIX, SOCK_STREAM, socket

    from rota.wire.events import text

    connection = socket(AF_UNIX, SOCK_STREAM)
    try:
        connection.setblocking(False)
        connection.connect(path)
        line = '{"hello":1,"pid":%d,"spool":%s,"stem":%s}\n' % (os.getpid(), text(spool.path), text(spool.stem))
        return connection.send(line.encode("ascii")) == len(line)
    except OSError:
        return False
    finally:
        connection.close()


def mark_silent(spool_path: str, address: tuple[str, int, str]) -> None:
    """Remember on disk that this endpoint did not answer, so that the next scripts do not wait for it."""
    fd = os.open(spool_path + "/silent", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(fd, b"%s:%d" % (address[0].encode("ascii"), address[1]))
    os.close(fd)


def is_silent(spool_path: str, address: tuple[str, int, str]) -> bool:
    """Whether this endpoint was silent within the last ``SILENT_SECONDS``."""
    try:
        if abs(time.time() - os.stat(spool_path + "/silent").st_mtime) > SILENT_SECONDS:
            return False
        with open(spool_path + "/silent", "rb") as file:
            return file.read(256) == b"%s:%d" % (address[0].encode("ascii"), address[1])
    except OSError:
        return False


def _others_need_a_shipper(spool_path: str) -> bool:
    """Whether something of an earlier or a dead process waits. ``left/`` is never listed: it may hold a day of files."""
    try:
        with os.scandir(spool_path + "/left") as left:
            if next(left, None) is not None:
                return True
    except OSError:
        pass
    with os.scandir(spool_path + "/live") as live:
        return any(lock_is_free(entry.path, os.O_RDWR) for entry, _ in zip(live, range(_FOREIGN_FILES)))


def start_shipper(spool_path: str) -> None:
    """Start ``rota agent --once``, detached, unless one works on this home (it will find our files) or just failed.

    Every descriptor of ours is closed in it: an inherited one would keep cron's lock, or a pipe somebody reads, open.
    """
    if not _config.detach_allowed() or not hasattr(os, "posix_spawn") or not sys.executable:
        return
    try:
        if abs(time.time() - os.stat(spool_path + "/once.failed").st_mtime) < SILENT_SECONDS:
            return
    except OSError:
        pass
    if not lock_is_free(spool_path + "/once.lock", os.O_RDWR | os.O_CREAT):
        return
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    code = "import sys; sys.path.append(%r); from rota.cli import main; sys.exit(main(['agent', '--once']))" % root
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    closed = [(os.POSIX_SPAWN_CLOSE, fd) for fd in _inheritable_descriptors()]
    environment = {k: v for k, v in os.environ.items() if k not in ("TRACEPARENT", "TRACESTATE", "BAGGAGE")}
    environment["ROTA_DISABLED"] = "1"
    os.posix_spawn(sys.executable, [sys.executable, "-I", "-c", code], environment, file_actions=null + closed, setsid=True)


def _inheritable_descriptors() -> list[int]:
    listed = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else map(str, range(256))
    return [int(name) for name in listed if int(name) > 2 and _is_inheritable(int(name))]


def _is_inheritable(fd: int) -> bool:
    try:
        return os.get_inheritable(fd)
    except OSError:  # closed meanwhile: it was the listing's own
        return False
