"""Prefect's websocket of events: it asks who is there, hears what is wanted, and sends what a test says."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

POLICY_VIOLATION = 1008
PATIENCE_SECONDS = 60


class Events:
    """One server.

    Args:
        password: without which it closes; None: it lets everybody in.
    """

    def __init__(self, password: str | None = None) -> None:
        self.password, self.url = password, ""
        self.asked: queue.Queue[str] = queue.Queue()  # the paths
        self.said: queue.Queue[dict[str, Any]] = queue.Queue()
        self._connected: queue.Queue[ServerConnection] = queue.Queue()

    @contextmanager
    def serving(self, port: int = 0) -> Iterator[None]:
        """It is there, for the length of a block; then every connection is closed."""
        with serve(self._answer, "127.0.0.1", port, subprotocols=[Subprotocol("prefect")]) as server:
            self.url = f"http://127.0.0.1:{server.socket.getsockname()[1]}/api"
            thread = Thread(target=server.serve_forever)
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join()

    def subscriber(self) -> ServerConnection:
        """The next one who is let in."""
        return self._connected.get(timeout=PATIENCE_SECONDS)

    def _answer(self, connection: ServerConnection) -> None:
        try:
            self._let_in(connection)
        except ConnectionClosed:
            pass

    def _let_in(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.asked.put(connection.request.path)
        who = json.loads(connection.recv(timeout=PATIENCE_SECONDS))
        self.said.put(who)
        if self.password is not None and who["token"] != self.password:
            connection.close(POLICY_VIOLATION, "Invalid token")
            return
        connection.send(json.dumps({"type": "auth_success"}))
        self.said.put(json.loads(connection.recv(timeout=PATIENCE_SECONDS)))
        self._connected.put(connection)
        connection.recv()  # who subscribed says no more, until it goes
