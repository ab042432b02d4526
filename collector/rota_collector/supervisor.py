"""What systemd is told of us (sd_notify): that we are ready, that we live, that we stop. Elsewhere nobody listens.

A sign of life is sent only when a request went the whole way, through this process to the stores and back. When it does not,
for longer than the unit's WatchdogSec, systemd starts us again: a process that is there and does nothing is no collector.
Trouble that a restart does not mend (a full disk) is told as status, and is no reason for one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import MutableMapping
from typing import Any

from rota_collector.asgi import App

_SOONEST_SECONDS = 0.1  # between looks, until we are ready
_RESTFUL_SECONDS = 5.0  # and from then on; more often for a short watchdog
_ANSWER_SECONDS = 5.0


class Supervisor:
    """Speaks to the socket ``address`` (``@name``: an abstract one; empty: to nobody).

    Signs of life come three times in ``watchdog_seconds``, or more often.
    """

    def __init__(self, address: str = "", watchdog_seconds: float | None = None) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._pause_seconds = min(_RESTFUL_SECONDS, watchdog_seconds / 3) if watchdog_seconds else _RESTFUL_SECONDS
        self._is_ready, self._status = False, ""

    @classmethod
    def of(cls, environ: MutableMapping[str, str]) -> Supervisor:
        """The one that ``environ`` names, and which it names no longer: it is not for the processes that we start."""
        address, microseconds, pid = (environ.pop(f"{name}", "") for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"))
        is_ours = microseconds.isdecimal() and pid in ("", str(os.getpid()))
        return cls(address, int(microseconds) / 1e6 if is_ours else None)

    async def follow(self, app: App, where: str) -> None:
        """Tell how ``app`` is, until cancelled; ``where`` it listens is said to people."""
        while self._address:
            is_alive = await ask(app, "/healthz") == 200
            is_ready = is_alive and await ask(app, "/readyz") == 200
            if is_alive:
                self._tell("WATCHDOG=1")
            if is_ready and not self._is_ready:
                self._is_ready = True
                self._tell("READY=1")
            trouble = "it answers, and has trouble: /readyz says which" if is_alive else "it does not answer"
            self._say(where if is_ready else trouble)
            await asyncio.sleep(self._pause_seconds if self._is_ready else _SOONEST_SECONDS)

    def stopping(self) -> None:
        """We were asked to stop."""
        self._tell("STOPPING=1\nSTATUS=stopping")

    def _say(self, status: str) -> None:
        if status != self._status:
            self._status = status
            self._tell(f"STATUS={status}")

    def _tell(self, words: str) -> None:
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:  # nobody's fault but its own
            sock.setblocking(False)
            sock.sendto(words.encode(), self._address)


async def ask(app: App, path: str) -> int:
    """The status that ``app`` answers a GET with; 0 when it does not."""
    found = 0

    async def receive() -> MutableMapping[str, Any]:
        if found:
            await asyncio.Event().wait()  # whoever watches for the end of the connection: it is held until we have the answer
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal found
        found = message.get("status", found)

    with contextlib.suppress(Exception):
        await asyncio.wait_for(app(_scope(path), receive, send), _ANSWER_SECONDS)
        return found
    return 0


def _scope(path: str) -> MutableMapping[str, Any]:
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": [(b"host", b"localhost")],
        "client": None, "server": None,
    }  # fmt: skip
