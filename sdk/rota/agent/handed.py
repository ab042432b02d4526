"""Connections that one process accepts and another serves: the descriptor goes through a socket between the two."""

from __future__ import annotations

import array
import os
import socket

_FD_BYTES = array.array("i").itemsize


class HandedDoor:
    """The end at which connections arrive. Looks like a listening socket to whoever accepts from it."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._channel.setblocking(False)

    def fileno(self) -> int:
        """Readable when a connection has arrived, or when nobody will hand over any more."""
        return self._channel.fileno()

    def accept(self) -> tuple[socket.socket, str]:
        """The next connection.

        Raises:
            BlockingIOError: there is none now.
            EOFError: who handed them over is gone.
        """
        while True:
            data, ancillary, _, _ = self._channel.recvmsg(1, socket.CMSG_SPACE(_FD_BYTES))
            if not data:
                raise EOFError
            for level, kind, payload in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS) and len(payload) >= _FD_BYTES:
                    fd = array.array("i", payload[:_FD_BYTES])[0]
                    os.set_inheritable(fd, False)
                    return socket.socket(fileno=fd), ""

    def tell(self, line: str) -> None:
        """Say something to who hands over; it is lost when that does not listen."""
        try:
            self._channel.send(line.encode("utf-8", "surrogateescape"))
        except OSError:
            pass

    def close(self) -> None:
        """Take no more."""
        self._channel.close()


def hand_over(channel: socket.socket, connection: socket.socket) -> bool:
    """Give a connection to the process at the other end, without waiting; False when that takes none now."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [connection.fileno()]))]
    try:
        return channel.sendmsg([b"c"], rights) == 1
    except OSError:
        return False
