"""All that is asked of the front over HTTP and gRPC: telemetry, pings and other people's doors are answered here, from the
journal; everything else is the keeper's.
"""

from __future__ import annotations

import os
import re
from collections.abc import MutableMapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from rota_collector.asgi import App
from rota_collector.board import Board, Cell
from rota_collector.clock import Clock
from rota_collector.config import Address, Config
from rota_collector.counters import Counters
from rota_collector.domain.rate import Rates
from rota_collector.errors import PortBusy
from rota_collector.journal import Journal
from rota_collector.log import say
from rota_collector.proxy import Proxy, Questions
from rota_collector.receive import access, github, grpc, lineage, otlp, pings, sentry
from rota_collector.receive.cors import Cors
from rota_collector.receive.tally import Counted, Tally
from rota_collector.store.keys import Keys
from rota_collector.store.lookups import Lookups

_HELD_OPEN = ("/api/v1/permission", "/api/v1/news")  # requests that wait for their answer, thousands of them


class Front:
    """The receivers, ready once the keeper is, whose API is at the socket ``keeper``. Raises ConfigError.

    ``recorded``: the end of the journal when it was opened. Everything is closed with ``opened``.
    """

    def __init__(
        self, config: Config, journal: Journal, recorded: int, board: Board, counters: Counters, clock: Clock, keeper: str,
        opened: AsyncExitStack,
    ) -> None:  # fmt: skip
        self._config, self._journal, self._opened, self._tally = config, journal, opened, Tally(counters)
        control = config.home / "control.sqlite"
        proxy, lookups = Proxy(keeper), Lookups(control)
        keys = Keys(control, clock, partial(board.__getitem__, Cell.KEY_CHANGES))
        opened.push_async_callback(proxy.close)
        opened.callback(lookups.close)
        opened.callback(keys.close)
        access.refuse_open_ports(keys, ROTA_HTTP=config.http, ROTA_GRPC=config.grpc)
        self._gate = access.Gate(keys, Rates(config.ingest_rate, clock.monotonic))
        self._asking = partial(board.__getitem__, Cell.ASKING)
        telemetry = otlp.Receiver(journal, max_body=config.max_body, asking=self._asking, tally=self._tally, gate=self._gate)
        opened.callback(telemetry.close)
        self._telemetry: App = Cors(telemetry, config.cors_origins) if config.cors_origins else telemetry
        rates = Rates(config.ping_rate, clock.monotonic)
        self._pings: App = Counted(pings.Receiver(journal, keys, lookups, clock, recorded, rates), "pings", self._tally)
        self._doors: dict[re.Pattern[str], App] = {
            sentry.PATH: Counted(sentry.door(journal, keys, clock, config.max_body, say, rates), "sentry", self._tally),
            lineage.PATH: Counted(lineage.door(journal, keys, clock, config.max_body, rates), "lineage", self._tally),
            github.PATH: Counted(github.door(journal, keys, clock, config.max_body, rates), "github", self._tally),
        }
        self._api: App = access.Nearby(proxy, keys)
        questions = Questions(keeper)
        opened.push_async_callback(questions.close)
        self._questions: App = access.Nearby(questions, keys)

    async def app(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """ASGI: one request to whoever answers it."""
        await self._answering(scope["path"])(scope, receive, send)

    def _answering(self, path: str) -> App:
        if path.startswith("/v1/"):
            return self._telemetry
        if path.startswith("/ping/"):
            return self._pings
        if path in _HELD_OPEN:
            return self._questions
        return next((app for pattern, app in self._doors.items() if pattern.fullmatch(path)), self._api)

    def serve_grpc(self, address: Address, http_port: int) -> str:
        """Listen for gRPC, and tell there of the port of the API; returns where. Raises PortBusy."""
        os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # it speaks on stderr when we start the keeper again
        config = self._config
        try:
            receiver = grpc.Receiver(
                self._journal, str(address), max_body=config.max_body, tls=config.tls, tally=self._tally, gate=self._gate,
                asking=self._asking, http_port=http_port,
            )  # fmt: skip
        except OSError as error:
            raise PortBusy(str(error)) from error
        self._opened.callback(receiver.close)
        return str(address._replace(port=receiver.port))
