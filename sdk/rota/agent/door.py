"""The agent's socket: a script connects, says hello in one line, and leaves at once; who asks for the status gets one line back.

The kernel, not the line, says who connected: the peer's credentials, and on Linux 6.5 and later a pidfd that names the
very process even when it has ended meanwhile.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import struct
import sys

from rota.agent import witness
from rota.errors import RotaError

_SO_PEERPIDFD = 77
_LONGEST_HELLO = 8192
STATUS_WORD = {"status": 1}
PERMIT_WORD = b'{"permit":1,'  # how every question begins, and what follows may be long


class DoorError(RotaError):
    """The socket cannot be opened: another agent listens there, or its directory cannot be written."""


class Hello:
    """Who said hello. ``pidfd`` is None where the kernel names nobody; ``pid`` is as this process numbers it (0: unknown)."""

    __slots__ = ("pid", "pidfd", "spool", "stem")

    def __init__(self, pid: int, pidfd: int | None, spool: str, stem: str) -> None:
        self.pid, self.pidfd, self.spool, self.stem = pid, pidfd, spool, stem


class Asked:
    """A caller that asks for permission; ``data`` is what it has said so far, a line or more. Its connection stays open."""

    def __init__(self, data: bytes) -> None:
        self.data = data


class StatusAsked:
    """A caller waits for the agent's status, as one line of JSON."""


class Caller:
    """An accepted connection whose line has not come yet. ``pidfd`` is taken at once: the caller may be gone soon."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.connection.setblocking(False)
        self.pid, self.uid = credentials(connection)
        self._pidfd = _peer_pidfd(connection, self.pid)
        self._data = b""

    def read(self) -> Hello | Asked | StatusAsked | None:
        """What the caller says, once it is there.

        Raises:
            ValueError: what came is no hello, or the caller is neither we nor root, or it hung up without one.
        """
        if self.uid not in (os.geteuid(), 0):
            raise ValueError("uid %d says hello to an agent of uid %d" % (self.uid, os.geteuid()))
        try:
            data = self.connection.recv(_LONGEST_HELLO)
        except BlockingIOError:
            return None
        self._data += data
        is_whole = b"\n" in self._data or (self._data.startswith(PERMIT_WORD) and data)
        if not is_whole and data and len(self._data) < _LONGEST_HELLO:
            return None
        if self._data.startswith(PERMIT_WORD):
            return Asked(self._data)
        said = _parse(self._data)
        if isinstance(said, StatusAsked):
            return said
        spool, stem = said
        pidfd, self._pidfd = self._pidfd, None
        return Hello(self.pid, pidfd, spool, stem)

    def answer(self, status: dict[str, object]) -> None:
        """Tell the status; a caller that does not read it gets what fits into the socket's buffer."""
        try:
            self.connection.send(json.dumps(status).encode("ascii") + b"\n")
        except OSError:  # it has gone
            pass

    def close(self) -> None:
        """Hang up; a pidfd that no hello took is closed too."""
        self.connection.close()
        self.let_go()

    def let_go(self) -> None:
        """Close the pidfd that no hello took."""
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None


class Door:
    """Where callers come in: a listening socket, and its file."""

    def __init__(self, listening: socket.socket, path: str) -> None:
        self._listening, self._path = listening, path
        self._inode = os.lstat(path).st_ino

    def fileno(self) -> int:
        """Readable when somebody calls."""
        return self._listening.fileno()

    def accept(self) -> tuple[socket.socket, object]:
        """The next caller. Raises BlockingIOError when there is none, and what ``socket.accept`` does."""
        return self._listening.accept()

    def close(self) -> None:
        """Listen no more; the file goes too."""
        self._listening.close()
        try:
            if os.lstat(self._path).st_ino == self._inode:  # else another agent listens there by now
                os.unlink(self._path)
        except OSError:
            pass


def open_door(path: str, mode: int = 0o600) -> Door:
    """Listen at ``path``; a socket file that nobody listens on is replaced. ``mode``: who may call.

    Raises:
        DoorError: somebody listens there, or it cannot be made.
    """
    if _somebody_listens(path):
        raise DoorError("another agent listens on %s: stop it, or choose another ROTA_HOME or ROTA_AGENT" % path)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.makedirs(os.path.dirname(path) or ".", mode=0o755 if mode & 0o007 else 0o700, exist_ok=True)
        _clear(path)
        _bind(door, path, mode)
        door.listen(512)
    except OSError as error:
        door.close()
        raise DoorError("cannot listen on %s: %s. Set ROTA_AGENT to a shorter or writable path" % (path, error)) from error
    door.setblocking(False)
    return Door(door, path)


def _clear(path: str) -> None:
    """Remove the socket of an agent that is gone; nothing else, whatever the path may name."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "there is a file that is no socket", path)
        os.unlink(path)
    except FileNotFoundError:
        pass


def _bind(door: socket.socket, path: str, mode: int) -> None:
    mask = os.umask(0o777 & ~mode)
    try:
        door.bind(path)
    finally:
        os.umask(mask)


def _somebody_listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except socket.timeout:
            return True
        except OSError:
            return False
        return True


def credentials(connection: socket.socket) -> tuple[int, int]:
    """(pid, uid) of the peer as it connected. Where the system does not tell, the mode has kept others out: (0, our uid)."""
    if sys.platform != "linux":
        return 0, os.geteuid()
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid


def _peer_pidfd(connection: socket.socket, pid: int) -> int | None:
    try:
        pidfd = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError as error:
        is_older = error.errno == errno.ENOPROTOOPT  # than Linux 6.5; else it is gone, and the number may be another's
        return witness.open_pidfd(pid) if is_older and pid > 0 else None
    os.set_inheritable(pidfd, False)
    return pidfd


def _parse(data: bytes) -> tuple[str, str] | StatusAsked:
    try:
        hello = json.loads(data)
        if hello == STATUS_WORD:
            return StatusAsked()
        spool, stem = hello["spool"], hello["stem"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError("no hello: %r" % data[:80]) from error
    if hello.get("hello") != 1 or not _is_path(spool) or not _is_stem(stem):
        raise ValueError("a hello that is not understood: %r" % data[:80])
    return os.path.normpath(spool), stem


def _is_path(given: object) -> bool:
    """Whether the system can be asked for it: an absolute path without a zero, of characters that a file name can have."""
    if not isinstance(given, str) or not os.path.isabs(given) or "\0" in given:
        return False
    try:
        os.fsencode(given)
    except UnicodeEncodeError:
        return False
    return True


def _is_stem(given: object) -> bool:
    return isinstance(given, str) and 0 < len(given) <= 64 and given.replace("-", "").isalnum()
