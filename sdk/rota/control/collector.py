"""The collector over HTTP, for questions: one kept connection, which one caller uses at a time.

A name is looked up in a thread of its own, since the system's resolver may take as long as it likes. No proxy is used.
"""

from __future__ import annotations

import http.client
import os
import socket
import threading
import time
from urllib.parse import urlsplit

from rota import _config
from rota.wire import tls

PATH = "/api/v1/permission"
MAX_ANSWER = 1 << 20  # bytes
_GONE = (404, 409)


class Collector:
    """Where questions go, as the environment says when this is made."""

    def __init__(self) -> None:
        url = urlsplit(_config.endpoint())
        self._name = url.hostname or "127.0.0.1"
        self._is_secure = url.scheme == "https"
        self._port = url.port or (443 if self._is_secure else 80)
        self._prefix = url.path.rstrip("/")
        self._idle: list[http.client.HTTPConnection] = []

    def ask(self, body: bytes, timeout_seconds: float, path: str = PATH) -> bytes:
        """The body of the answer to a POST.

        Raises:
            KeyError: there is no such thing, or not any more (404, 409).
            OSError: nobody listens, or it took too long (``socket.timeout``).
            ValueError: what came is no answer, or a refusal.
        """
        deadline = time.monotonic() + timeout_seconds
        key = os.urandom(16).hex()  # asked twice with the same one, a question is answered once
        while True:
            kept = self._idle.pop() if self._idle else None
            connection = kept or self._connected(deadline)
            try:
                return self._exchange(connection, self._prefix + path, body, key, deadline)
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if kept is None or isinstance(error, socket.timeout):  # one that was kept may have been closed long ago
                    raise error if isinstance(error, OSError) else ValueError("no answer: %r" % error) from error

    def close(self) -> None:
        """Hang up."""
        while self._idle:
            self._idle.pop().close()

    def _exchange(self, connection: http.client.HTTPConnection, path: str, body: bytes, key: str, deadline: float) -> bytes:
        connection.sock.settimeout(_left(deadline))
        headers = {"Content-Type": "application/json", "Idempotency-Key": key, **_config.headers()}
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        said = answer.read(MAX_ANSWER)
        if answer.status != 200:
            connection.close()
            refusal = KeyError if answer.status in _GONE else ValueError
            raise refusal("%s:%d answered %d: %.200r" % (self._name, self._port, answer.status, said))
        self._idle.append(connection)
        return said

    def _connected(self, deadline: float) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self._name, self._port)  # for its words only: we connect ourselves
        address = _address_of(self._name, self._port, deadline)
        plain = socket.create_connection(address, _left(deadline))
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sock = self._secured(plain) if self._is_secure else plain
        except BaseException:
            plain.close()
            raise
        return connection

    def _secured(self, plain: socket.socket) -> socket.socket:
        return tls.context(*tls.files(os.environ)).wrap_socket(plain, server_hostname=self._name)


def _left(deadline: float) -> float:
    left_seconds = deadline - time.monotonic()
    if left_seconds <= 0:
        raise socket.timeout("time was up")
    return left_seconds


def _address_of(name: str, port: int, deadline: float) -> tuple[str, int]:
    if name == "localhost":
        return "127.0.0.1", port
    if _config.split_plain_url("http://[%s]" % name if ":" in name else "http://" + name):
        return name, port
    found: list[tuple[str, int]] = []
    failed: list[OSError] = []
    looker = threading.Thread(target=_look_up, args=(name, port, found, failed), name="rota-look-up", daemon=True)
    looker.start()
    looker.join(_left(deadline))
    if found:
        return found[0]
    raise failed[0] if failed else socket.timeout("%s was not found in time" % name)


def _look_up(name: str, port: int, found: list[tuple[str, int]], failed: list[OSError]) -> None:
    try:
        found.append(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[0][4][:2])  # type: ignore[arg-type]
    except OSError as error:
        failed.append(error)
