"""The collector over HTTP, for questions: kept connections, each used by one caller at a time.

The least HTTP that this needs: ``http.client`` costs 35 ms of imports, and counts its time from one packet to the next. A name
is looked up in a thread of its own, since the system's resolver may take as long as it likes. No proxy is used.
"""

from __future__ import annotations

import os
import socket
import threading
import time

from rota import _config
from rota.wire import tls

PATH = "/api/v1/permission"
MAX_ANSWER = 1 << 20  # bytes
_GONE = (404, 409)


class Collector:
    """Where questions go, as the environment says when this is made.

    Raises:
        ValueError: ``ROTA_ENDPOINT`` is no URL.
    """

    def __init__(self) -> None:
        self._name, self._port, self._prefix, self._host, self._is_secure = _parts(_config.endpoint())
        self._idle: list[socket.socket] = []

    def ask(self, body: bytes | None, timeout_seconds: float, path: str = PATH) -> bytes:
        """The body of the answer to a POST, or without a body to a GET.

        Raises:
            KeyError: there is no such thing, or not any more (404, 409).
            OSError: nobody listens, or it took too long (``socket.timeout``).
            ValueError: what came is no answer, or a refusal.
        """
        deadline = time.monotonic() + timeout_seconds
        request = self._request(path, body)
        while True:
            kept = self._idle.pop() if self._idle else None
            connection = kept or self._connected(deadline)
            try:
                status, said, is_over = _exchange(connection, request, deadline)
            except BaseException as error:
                connection.close()
                if kept is None or not isinstance(error, ConnectionError):  # one that was kept may have been closed long ago
                    raise
                continue
            connection.close() if is_over else self._idle.append(connection)
            if status != 200:
                refusal = KeyError if status in _GONE else ValueError
                raise refusal("%s answered %d: %.200r" % (self._host, status, said))
            return said

    def close(self) -> None:
        """Hang up."""
        while self._idle:
            self._idle.pop().close()

    def _request(self, path: str, body: bytes | None) -> bytes:
        """A POST has a key: asked twice with the same one, a question is answered once."""
        headers = {"Host": self._host, **_config.headers()}
        if body is not None:
            headers.update({"Content-Type": "application/json", "Content-Length": str(len(body))})
            headers["Idempotency-Key"] = os.urandom(16).hex()
        lines = ["%s: %s" % pair for pair in headers.items() if "\r" not in pair[1] and "\n" not in pair[1]]
        first = "%s %s%s HTTP/1.1" % ("GET" if body is None else "POST", self._prefix, path)
        return "\r\n".join([first, *lines, "", ""]).encode("latin-1", "replace") + (body or b"")

    def _connected(self, deadline: float) -> socket.socket:
        address = _address_of(self._name, self._port, deadline)
        # Not socket.create_connection, which imports what IDNA needs, for an address too.
        plain = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        try:
            plain.settimeout(_left(deadline))
            plain.connect(address)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return self._secured(plain) if self._is_secure else plain
        except BaseException:
            plain.close()
            raise

    def _secured(self, plain: socket.socket) -> socket.socket:
        return tls.context(*tls.files(os.environ)).wrap_socket(plain, server_hostname=self._name)


def _parts(url: str) -> tuple[str, int, str, str, bool]:
    """(name, port, path before all others, Host, whether it is TLS). Raises ValueError."""
    plain = _config.split_plain_url(url)
    if plain is not None and plain[1] < 65536:
        name, port, path = plain
        return name, port, path.partition("?")[0].rstrip("/"), url[7:].partition("/")[0], False
    from urllib.parse import urlsplit  # with what it imports itself it costs 3 ms, which most do not need

    parts = urlsplit(url)
    is_secure = parts.scheme == "https"
    name, port = parts.hostname or "127.0.0.1", parts.port or (443 if is_secure else 80)
    return name, port, parts.path.rstrip("/"), parts.netloc.rpartition("@")[2], is_secure


def _exchange(connection: socket.socket, request: bytes, deadline: float) -> tuple[int, bytes, bool]:
    """(status, body, whether the connection is over)."""
    connection.settimeout(_left(deadline))
    connection.sendall(request)
    head, rest = _until(connection, b"\r\n\r\n", b"", deadline)
    while head[9:10] == b"1":  # an interim answer
        head, rest = _until(connection, b"\r\n\r\n", rest, deadline)
    status = int(head[9:12])
    headers = dict(_split(line) for line in head.lower().split(b"\r\n")[1:])
    is_over = headers.get(b"connection") == b"close" or head.startswith(b"HTTP/1.0")
    if headers.get(b"transfer-encoding") == b"chunked":
        return status, _chunked(connection, rest, deadline), is_over
    body, _ = _exactly(connection, int(headers[b"content-length"]) if b"content-length" in headers else 0, rest, deadline)
    return status, body, is_over


def _split(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.strip(), value.strip()


def _chunked(connection: socket.socket, rest: bytes, deadline: float) -> bytes:
    """A body that some proxy has cut into pieces."""
    body = b""
    while True:
        size, rest = _until(connection, b"\r\n", rest, deadline)
        length = int(size.partition(b";")[0], 16)
        piece, rest = _exactly(connection, length + 2, rest, deadline)
        if length == 0:
            return body
        body += piece[:-2]
        if len(body) > MAX_ANSWER:
            raise ValueError("an answer without an end")


def _until(connection: socket.socket, mark: bytes, data: bytes, deadline: float) -> tuple[bytes, bytes]:
    while mark not in data:
        data += _more(connection, deadline)
        if len(data) > MAX_ANSWER:
            raise ValueError("an answer without an end")
    before, _, after = data.partition(mark)
    return before, after


def _exactly(connection: socket.socket, length: int, data: bytes, deadline: float) -> tuple[bytes, bytes]:
    if not 0 <= length <= MAX_ANSWER:
        raise ValueError("an answer of %d bytes" % length)
    while len(data) < length:
        data += _more(connection, deadline)
    return data[:length], data[length:]


def _more(connection: socket.socket, deadline: float) -> bytes:
    connection.settimeout(_left(deadline))
    data = connection.recv(65536)
    if not data:
        raise ConnectionResetError("the connection was closed")
    return data


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
