"""How a fact leaves the process: an agent is told, or the SDK forwards its own spool, or a detached shipper does.

1. A resident agent: one line to its socket, and the agent does the rest.
2. Plain HTTP to an address (``_http``): sends without waiting while the script runs; answers are read at exit.
3. Anything slow (TLS, names, gRPC): a detached ``rota agent --once`` (``_detach``) ships after the script's end.

No step looks up a name, starts a thread, or waits outside the bounded moment at exit. What is not acknowledged stays spooled.
"""

from __future__ import annotations

import os
from time import monotonic, time

from rota import _config
from rota._spool import FAILED_SECONDS, needs_shipper

HURRY_SECONDS = 0.05
SILENT_SECONDS = 30  # how long an endpoint that did not answer is left alone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rota._http import HttpCarrier
    from rota._spool import Spool


class AgentCarrier:
    """The agent at ``path`` has been told; it tails the spool and notices this process's end."""

    def __init__(self, path: str, spool: Spool) -> None:
        self._path, self._spool, self._told_at = path, spool, 0.0

    def hurry(self) -> None:
        """Have the agent look now, unless it just did: whoever says hello is looked at. It looks by itself within a second."""
        now = monotonic()
        if now - self._told_at > HURRY_SECONDS:
            self._told_at = now
            tell_agent(self._path, self._spool)

    def other_policies(self) -> bool:
        """Never: the agent keeps them."""
        return False

    def push(self) -> None:
        """Nothing to do: the agent follows the file."""

    def close(self) -> None:
        """The files stay in live/, unlocked by this process's end; what had to wait is written at last."""
        for file in (self._spool.logs, self._spool.traces):
            file.settle()

    def forget(self) -> None:
        """A forked child writes files of its own, which the agent finds."""


class DetachedCarrier:
    """Leave the spool behind, and see that somebody ships it."""

    def __init__(self, spool: Spool, may_start: bool) -> None:
        self._spool, self._may_start = spool, may_start

    def other_policies(self) -> bool:
        """Nobody is asked while the script runs."""
        return False

    def push(self) -> None:
        """Nothing leaves while the script runs."""

    def close(self) -> None:
        """Move the files to left/ and start a detached shipper, unless one is at it or just failed."""
        for file in (self._spool.logs, self._spool.traces):
            file.finish()
        if self._may_start and needs_shipper(self._spool.path, FAILED_SECONDS):
            from rota._detach import start_shipper

            start_shipper(self._spool.path)

    def forget(self) -> None:
        """Nothing is held."""


def choose(spool: Spool, home: str) -> AgentCarrier | HttpCarrier | DetachedCarrier:
    """Who carries this process's facts."""
    for path in _config.agent_sockets(home):
        if tell_agent(path, spool):
            return AgentCarrier(path, spool)
    address = _config.plain_address(os.environ)
    if address is None:
        return DetachedCarrier(spool, may_start=True)
    from rota._http import HttpCarrier

    return DetachedCarrier(spool, may_start=False) if is_silent(spool.path, address) else HttpCarrier(spool, address)


def tell_agent(path: str, spool: Spool) -> bool:
    """Say hello to an agent: which process, which spool. False when nobody listens at ``path``."""
    if not os.path.exists(path):
        return False
    from _socket import AF_UNIX, SOCK_STREAM, socket

    from rota.wire.events import quoted

    try:
        connection = socket(AF_UNIX, SOCK_STREAM)
    except OSError:  # no descriptor is left, or this program may have no sockets
        return False
    try:
        connection.setblocking(False)
        connection.connect(path)
        line = '{"hello":1,"pid":%d,"spool":%s,"stem":%s}\n' % (os.getpid(), quoted(spool.path), quoted(spool.stem))
        return connection.send(line.encode("ascii")) == len(line)
    except OSError:
        return False
    finally:
        connection.close()


def leave_mark(path: str) -> None:
    """An empty file whose age tells; nowhere when there is no place for it."""
    try:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        os.utime(path)
    except OSError:
        pass


def mark_silent(spool_path: str, address: tuple[str, int, str]) -> None:
    """Remember on disk that this endpoint did not answer, so that the next scripts do not wait for it."""
    fd = os.open(spool_path + "/silent", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(fd, b"%s:%d" % (address[0].encode("ascii"), address[1]))
    os.close(fd)


def is_silent(spool_path: str, address: tuple[str, int, str]) -> bool:
    """Whether this endpoint was silent within the last ``SILENT_SECONDS``."""
    try:
        if abs(time() - os.stat(spool_path + "/silent").st_mtime) > SILENT_SECONDS:
            return False
        with open(spool_path + "/silent", "rb") as file:
            return file.read(256) == b"%s:%d" % (address[0].encode("ascii"), address[1])
    except OSError:
        return False
