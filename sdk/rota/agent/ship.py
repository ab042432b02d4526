"""Delivery of spool lines: raw to a collector that says it is rota, through the official OTLP exporters to everybody else.

A request that is refused for its content is halved until the lines at fault stand alone, so that one bad line takes no
other with it. Everything else that goes wrong (``Unavailable``) loses nothing: the caller keeps the lines and comes back.
"""

from __future__ import annotations

import time
from typing import Callable, Iterator, Sequence

from rota.agent import raw
from rota.agent.answer import Answer, NotRota, Unavailable
from rota.agent.target import Target, target

REQUEST_BYTES = 512 * 1024
_ASK_AGAIN_SECONDS = 60.0  # how long "not rota" is believed

Send = Callable[[Sequence[bytes]], Answer]


class Shipper:
    """Delivers the lines of every signal to where the environment says.

    Args:
        is_rota: True or False overrules asking the server.
    """

    def __init__(self, is_rota: bool | None = None) -> None:
        self._lanes = {signal: _Lane(target(signal), is_rota) for signal in ("logs", "traces", "metrics")}

    @property
    def destination(self) -> str:
        """For people: where it goes."""
        return self._lanes["logs"].goal.url

    def ship(self, signal: str, lines: Sequence[bytes]) -> list[int]:
        """Deliver whole OTLP-JSON lines of one signal; returns the indexes of those that the server refuses for good.

        Raises:
            Unavailable: not everything was delivered. Sending all of it again is right: the collector drops duplicates.
        """
        refused: list[int] = []
        for start, end in _requests(lines):
            refused += _deliver(self._lanes[signal].send, lines[start:end], start)
        return refused

    def close(self) -> None:
        """Let go of connections."""
        for lane in self._lanes.values():
            lane.close()


class _Lane:
    """One signal's way to its server; finds out which way that is."""

    def __init__(self, goal: Target, is_rota: bool | None) -> None:
        self.goal = goal
        self._is_fixed = is_rota is not None or goal.protocol == "grpc"
        self._is_rota = is_rota if goal.protocol != "grpc" else False
        self._asked_at = 0.0
        self._exporter: Send | None = None
        self.close: Callable[[], None] = _nothing

    def send(self, lines: Sequence[bytes]) -> Answer:
        self._renew()
        if not self._ask():
            return self._export(lines)
        try:
            return raw.send(self.goal, lines)
        except NotRota:
            self._is_rota = self._is_rota if self._is_fixed else None
            raise

    def _renew(self) -> None:
        """Go on with another key when ``ROTA_TOKEN_FILE`` holds another: agents live longer than keys. One that cannot be read
        (it is just being replaced, or it is root's, and this an agent that became a user) takes no key away.
        """
        goal = target(self.goal.signal)
        if goal != self.goal and ("Authorization" in goal.headers or "Authorization" not in self.goal.headers):
            self.goal = goal
            self.close()
            self._exporter, self.close = None, _nothing

    def _ask(self) -> bool:
        is_stale = self._is_rota is False and time.monotonic() - self._asked_at > _ASK_AGAIN_SECONDS
        if self._is_rota is None or (is_stale and not self._is_fixed):
            self._is_rota, self._asked_at = raw.is_rota(self.goal), time.monotonic()
        return self._is_rota

    def _export(self, lines: Sequence[bytes]) -> Answer:
        if self._exporter is None:
            try:
                from rota.agent.official import Exporter
            except ImportError as error:
                text = "%s is no rota collector, and the OTLP exporters are missing (%s): pip install 'rota[agent]'"
                raise Unavailable(text % (self.goal.url, error)) from error
            exporter = Exporter(self.goal)
            self._exporter, self.close = exporter.send, exporter.close
        return self._exporter(lines)


def _nothing() -> None:
    """There is nothing to let go of."""


def _requests(lines: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Ranges of lines that make requests of at most ``REQUEST_BYTES``, or of one longer line."""
    start = size = 0
    for index, line in enumerate(lines):
        if index > start and size + len(line) > REQUEST_BYTES:
            yield start, index
            start, size = index, 0
        size += len(line)
    if lines:
        yield start, len(lines)


def _deliver(send: Send, lines: Sequence[bytes], first: int) -> list[int]:
    if send(lines) is Answer.ACCEPTED:
        return []
    if len(lines) == 1:
        return [first]
    half = len(lines) // 2
    return _deliver(send, lines[:half], first) + _deliver(send, lines[half:], first + half)
