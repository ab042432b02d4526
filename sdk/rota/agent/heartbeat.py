"""That the agent is there: how long it has been, every half minute. When that stops, its host is lost, or the agent is."""

from __future__ import annotations

import os
import time
from typing import Callable

from rota import __version__, _config
from rota.wire import events, metrics, names

INTERVAL_SECONDS = 30.0
_SERVICE = "rota-agent"
_MACHINE_ID = "/etc/machine-id"


class Heartbeat:
    """Says when the next one is due, and what it is. The first is due at once.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = self._next_at = clock()
        self._resource, self._scope = _resource(), events.scope(__version__, {names.SOURCE: "agent"})

    def is_due(self) -> bool:
        """Whether it is time for the next one."""
        return self._clock() >= self._next_at

    def line(self) -> bytes:
        """The next one, as an OTLP-JSON line of metrics."""
        self._next_at = self._clock() + INTERVAL_SECONDS
        return self._told(metrics.point(self._clock() - self._since, time.time_ns()))

    def last_line(self) -> bytes:
        """That the agent ends in good order, and is not to be missed."""
        return self._told(metrics.last_point(time.time_ns()))

    def _told(self, point: str) -> bytes:
        uptime = metrics.gauge(names.AGENT_UPTIME, "s", [point])
        return metrics.line([metrics.of_scope(self._resource, self._scope, [uptime])]).encode("ascii")


def _resource() -> str:
    pairs: dict[str, object] = {
        names.SERVICE_NAME: _SERVICE,
        names.SERVICE_VERSION: __version__,
        names.HOST_NAME: os.uname().nodename,
        names.HOST_ID: _machine_id() or None,
        names.PROCESS_PID: os.getpid(),
        names.PROCESS_UID: os.geteuid(),
    }
    pairs.update(_config.parse_pairs(os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")))
    return events.resource(pairs)


def _machine_id() -> str:
    """What systemd and D-Bus keep on Linux; empty elsewhere."""
    try:
        with open(_MACHINE_ID, "rb") as file:  # as text it would need a codec, of which the file may be unreadable for a user
            return file.read(64).strip().decode("ascii")
    except (OSError, ValueError):
        return ""
