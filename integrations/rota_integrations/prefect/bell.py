"""Prefect's stream of events, as a bell: it tells that something has happened, and the REST API is asked what.

Nothing of an event is used, not even its name. So one that is lost, comes twice or cannot be read costs nothing but the time
until the next look.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import Any, Callable

from rota_integrations.following import puzzled
from rota_integrations.prefect.server import written

_OF_RUNS = {"prefix": ["prefect.flow-run.", "prefect.task-run."], "exclude_prefix": ["prefect.flow-run.heartbeat"]}
_PATIENCE_SECONDS = 30.0
_AGAIN_SECONDS = 0.5  # a task run is in the server's database a moment after its event has come
_LONGEST_SECONDS = 60.0  # between tries to connect
_WORTH_A_WORD = 3  # tries that failed one after the other: a server that starts again is none
_DAY_NS = 86_400 * 10**9

_silent = logging.getLogger(__name__)  # what websockets logs; who looks on hears of what is wrong by the looks
_silent.setLevel(logging.CRITICAL + 1)


class Bell:
    """Rings when a run has another state, as long as it is connected. Without the package websockets it never does.

    Args:
        url: of the API: of a server, or of a workspace of Prefect Cloud.
        token: who asks: the API key, or the password of a server of one's own.
        pause_seconds: until it connects again; longer each time, up to a minute.
    """

    def __init__(self, url: str, token: str | None, pause_seconds: float = 1.0) -> None:
        self._url = "ws" + url.rstrip("/")[len("http") :] + "/events/out"
        self._token, self._pause_seconds = token, pause_seconds
        self._is_said = False

    def __call__(self, ring: Callable[[], object]) -> None:
        """Ring from now on, from a thread of its own, until the process ends.

        Args:
            ring: is called each time.
        """
        threading.Thread(target=self._listen, args=(ring,), name="prefect events", daemon=True).start()

    def _listen(self, ring: Callable[[], object]) -> None:
        try:
            from websockets.exceptions import ConnectionClosedOK
            from websockets.sync.client import connect
            from websockets.typing import Subprotocol
        except ImportError:
            return
        tries, pause_seconds = 0, self._pause_seconds
        while True:
            began_at = time.monotonic()
            try:
                with connect(self._url, subprotocols=[Subprotocol("prefect")], logger=_silent) as connection:
                    self._subscribe(connection)
                    ring()  # for what happened before
                    _ring_on(connection, ring)
            except Exception as error:  # noqa: BLE001  whatever a server, what stands before it, or the library does
                if time.monotonic() - began_at > _PATIENCE_SECONDS:  # it did well until then
                    tries, pause_seconds = 0, self._pause_seconds
                tries += 1
                if tries == _WORTH_A_WORD and not isinstance(error, (OSError, ConnectionClosedOK)):  # the looks say who is away
                    self._say(error)
            time.sleep(pause_seconds)
            pause_seconds = min(_LONGEST_SECONDS, 2 * pause_seconds)

    def _say(self, error: Exception) -> None:
        if not self._is_said:
            self._is_said = True
            puzzled("prefect", "its stream of events", error)

    def _subscribe(self, connection: Any) -> None:
        """As Prefect's own client does, but for the past, which the looks know. Raises what the library does, and ValueError."""
        connection.send(json.dumps({"type": "auth", "token": self._token}))
        answer = json.loads(connection.recv(timeout=_PATIENCE_SECONDS))
        if answer["type"] != "auth_success":
            raise ValueError("asked who it is, it says %r" % answer)
        now_ns = time.time_ns()
        occurred = {"since": written(now_ns - _DAY_NS), "until": written(now_ns + 366 * _DAY_NS)}
        wanted = {"type": "filter", "backfill": False, "filter": {"event": _OF_RUNS, "occurred": occurred}}
        connection.send(json.dumps(wanted))


def _ring_on(connection: Any, ring: Callable[[], object]) -> None:
    """Ring for each message, and once more when no more come. Raises what the library does when the connection is lost."""
    patience_seconds = None
    while True:
        try:
            connection.recv(timeout=patience_seconds)
            patience_seconds = _AGAIN_SECONDS
        except TimeoutError:
            patience_seconds = None
        ring()
