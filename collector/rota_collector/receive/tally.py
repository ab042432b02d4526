"""What becomes of the requests that are received: counted, and, when they are refused, said."""

from __future__ import annotations

from functools import lru_cache

from rota_collector import log
from rota_collector.asgi import App, Message, Receive, Send
from rota_collector.counters import Counters
from rota_collector.decode import Accepted
from rota_collector.domain.exposition import series

HTTP, GRPC = "http", "grpc"
_LONGEST_REASON = 300
_FIRST_ERROR = 400


class Tally:
    """Counts into ``counters``. Any thread."""

    def __init__(self, counters: Counters | None = None) -> None:
        self.counters = counters or Counters()

    def kept(self, signal: str, transport: str, outcome: Accepted, size: int, code: str = "200") -> None:
        """A request of ``size`` bytes was answered with success. ``signal``: traces, logs, metrics."""
        add = self.counters.add
        add(_requests(signal, transport, code))
        add(_of_signal("rota_items_accepted_total", signal), outcome.items - outcome.rejected)
        add(_of_signal("rota_received_bytes_total", signal), size)
        if outcome.rejected:
            add(_of_signal("rota_items_rejected_total", signal), outcome.rejected)
            log.say(f"{signal} over {transport}: {outcome.reason}", log.WARN, f"rejected {signal} {transport}")

    def answered(self, signal: str, status: int) -> None:
        """A request over HTTP was answered, by whoever said why."""
        if status < _FIRST_ERROR:
            self.counters.add(_requests(signal, HTTP, str(status)))
        else:
            self.refused(signal, HTTP, str(status), "the answer says why")

    def refused(self, signal: str, transport: str, code: str, reason: str) -> None:
        """A request was answered with an error. ``signal`` is empty when nobody can tell."""
        self.counters.add(_requests(signal or "other", transport, code))
        words = f"refused {signal or 'a request'} over {transport} with {code}: {reason[:_LONGEST_REASON]}"
        log.say(words, log.WARN, f"refused {signal} {transport} {code}")


class Counted:
    """ASGI around an application that does not count by itself. ``signal``: what is sent to it."""

    def __init__(self, app: App, signal: str, tally: Tally) -> None:
        self._app, self._signal, self._tally = app, signal, tally

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._tally.answered(self._signal, message["status"])
            await send(message)

        await self._app(scope, receive, counting)


@lru_cache(maxsize=256)
def _requests(signal: str, transport: str, code: str) -> str:
    return series("rota_requests_total", signal=signal, transport=transport, code=code)


@lru_cache(maxsize=32)
def _of_signal(family: str, signal: str) -> str:
    return series(family, signal=signal)
