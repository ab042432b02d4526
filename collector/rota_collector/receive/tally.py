"""What becomes of the requests that are received: counted, and, when they are refused, said."""

from __future__ import annotations

from functools import lru_cache

from rota_collector import log
from rota_collector.counters import Counters
from rota_collector.decode import Accepted
from rota_collector.domain.exposition import series

HTTP, GRPC = "http", "grpc"
_LONGEST_REASON = 300


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

    def refused(self, signal: str, transport: str, code: str, reason: str) -> None:
        """A request was answered with an error. ``signal`` is empty when nobody can tell."""
        self.counters.add(_requests(signal or "other", transport, code))
        words = f"refused {signal or 'a request'} over {transport} with {code}: {reason[:_LONGEST_REASON]}"
        log.say(words, log.WARN, f"refused {signal} {transport} {code}")


@lru_cache(maxsize=256)
def _requests(signal: str, transport: str, code: str) -> str:
    return series("rota_requests_total", signal=signal, transport=transport, code=code)


@lru_cache(maxsize=32)
def _of_signal(family: str, signal: str) -> str:
    return series(family, signal=signal)
