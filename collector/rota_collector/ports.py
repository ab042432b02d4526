"""Listening sockets, and who holds a port that we cannot have."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rota_collector.config import Address
from rota_collector.errors import PortBusy

BACKLOG = 1024
_LONGEST_SOCKET_PATH = 100  # the kernel takes 107 bytes, macOS 103
_LISTEN = "0A"  # the state column of /proc/net/tcp


def listen(address: Address, setting: str) -> socket.socket:
    """A listening socket on ``address`` (port 0: a free one). Raises PortBusy, which names ``setting`` as what to change."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # not SO_REUSEPORT: a second listener must be refused
    try:
        sock.bind((address.host, address.port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise PortBusy(_refusal(address, setting, error)) from error
    sock.setblocking(False)
    return sock


class Private(NamedTuple):
    """A listening unix socket, and a path of it that is short enough to connect to."""

    socket: socket.socket
    path: str


def listen_privately(path: Path) -> Private:
    """A unix socket at ``path`` for this user alone; replaces a socket that is there. Raises PortBusy."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        short = _short(path)
        sock.bind(short)
        path.chmod(0o600)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise PortBusy(f"cannot listen on {path}: {error.strerror or error}. Name another directory: ROTA_HOME=/path") from error
    sock.setblocking(False)
    return Private(sock, short)


def _short(path: Path) -> str:
    """A path of the same file that fits into the address of a socket, as long as this process lives."""
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH or not os.path.isdir("/proc/self/fd"):
        return str(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    return f"/proc/self/fd/{directory}/{path.name}"


def bound(sock: socket.socket) -> Address:
    """Where a socket really listens."""
    return Address(*sock.getsockname()[:2])


def check(address: Address, setting: str) -> None:
    """Raises PortBusy unless ``address`` could be listened on now."""
    listen(address, setting).close()


def _refusal(address: Address, setting: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{address} ({setting}) is in use{holder(address.port)}. Stop that, or choose another: {setting}=127.0.0.1:PORT"
    return f"cannot listen on {address} ({setting}): {error.strerror or error}. Choose another: {setting}=127.0.0.1:PORT"


def holder(port: int) -> str:
    """`` by pid 123 (name)`` for whoever listens on the TCP port of this machine, as far as /proc tells; otherwise empty."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port)}
    for entry in Path("/proc").glob("[0-9]*") if sockets else ():
        try:
            if any(os.readlink(fd) in sockets for fd in (entry / "fd").iterdir()):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                return f" by pid {entry.name} ({command[:80] or '?'})"
        except OSError:
            continue  # not ours to look at, or gone
    return ""


def _listening(port: int) -> Iterator[str]:
    """The inodes of the sockets that listen on ``port``."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]
