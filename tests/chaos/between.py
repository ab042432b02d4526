"""Something between hosts and a collector that lets everything through, or does what networks, proxies and servers do instead."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

SLOW_SECONDS = 5.0
DOWN, SILENT, SLOW, ERROR, CUT, WELL = "down", "silent", "slow", "error", "cut", "well"
FAULTS = (DOWN, SILENT, SLOW, ERROR, CUT)
_ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\noops"
_HALF = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n{"answer": "go", "reas'
_TICK_SECONDS = 0.05


class Between:
    """Listens at ``address``, "host:port", for what is at ``there``. ``state``: how it is."""

    def __init__(self, there: str) -> None:
        host, _, port = there.rpartition(":")
        self._there = (host, int(port))
        self._door = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._door.getsockname()[1]
        self.state = WELL
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def become(self, state: str) -> None:
        """From now on, for new connections and for those that there are: these end."""
        self.state = state

    def close(self) -> None:
        """Nobody listens any more."""
        self._over.set()
        self._thread.join()
        self._door.close()

    def _listen(self) -> None:
        self._door.settimeout(_TICK_SECONDS)
        while not self._over.is_set():
            if self.state == DOWN and self._door.fileno() >= 0:
                self._door.close()
            if self.state == DOWN:
                self._over.wait(_TICK_SECONDS)
                continue
            if self._door.fileno() < 0:
                host, _, port = self.address.rpartition(":")
                self._door = socket.create_server((host, int(port)))
                self._door.settimeout(_TICK_SECONDS)
            with contextlib.suppress(OSError):
                connection, _ = self._door.accept()
                threading.Thread(target=self._serve, args=(connection, self.state), daemon=True).start()

    def _goes_on(self, state: str) -> bool:
        return self.state == state and not self._over.is_set()

    def _serve(self, here: socket.socket, state: str) -> None:
        """One connection, as long as nothing changes."""
        with here, contextlib.suppress(OSError, ValueError):
            here.settimeout(_TICK_SECONDS)
            for request in self._requests(here, state):
                if state == ERROR:
                    here.sendall(_ERROR)
                elif state == CUT:
                    here.sendall(_HALF)
                    return
                elif state != SILENT:
                    self._pass(here, request, state)

    def _requests(self, here: socket.socket, state: str) -> Iterator[bytes]:
        """Whole ones, which have a length."""
        data = b""
        while self._goes_on(state):
            head, mark, rest = data.partition(b"\r\n\r\n")
            length = _length(head) if mark else 0
            if mark and len(rest) >= length:
                yield head + mark + rest[:length]
                data = rest[length:]
                continue
            with contextlib.suppress(TimeoutError):
                more = here.recv(65536)
                if not more:
                    return
                data += more

    def _pass(self, here: socket.socket, request: bytes, state: str) -> None:
        """The request there and the answer back, on a connection of its own; slowly, or not."""
        if state == SLOW:
            self._over.wait(SLOW_SECONDS)
        with socket.create_connection(self._there) as there:
            there.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
            there.settimeout(_TICK_SECONDS)
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and self._goes_on(state):
                with contextlib.suppress(TimeoutError):
                    data = there.recv(65536)
                    if not data:
                        here.shutdown(socket.SHUT_WR)
                        return
                    here.sendall(data)


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0
