"""What both transports do with a request's bytes: look whether all of it can be kept, then keep it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from rota_collector.decode import Accepted
from rota_collector.domain.reach import EVERYTHING, Reach
from rota_collector.journal import Journal, Signal
from rota_collector.receive.checked import checked

_LARGE = 1 << 20  # from here on a body is validated in a thread, piece by piece, while others are served


class Intake:
    """Validates whole requests and appends them to the journal. For one event loop."""

    def __init__(self, journal: Journal, threads: str) -> None:
        self._journal = journal
        self._validation = ThreadPoolExecutor(2, threads)

    async def keep(self, signal: Signal, payload: bytes | bytearray, reach: Reach = EVERYTHING) -> Accepted:
        """Returns when what is within reach of the sender is on disk. Raises Malformed, JournalError."""
        if len(payload) < _LARGE:
            what = checked(signal, payload, reach)
        else:
            what = await asyncio.get_running_loop().run_in_executor(self._validation, checked, signal, payload, reach)
        if what.payload:  # an empty protobuf request is fine, and there is nothing to keep
            await self._journal.append(what.signal, what.payload)
        return what.outcome

    def close(self) -> None:
        """Ends the threads. The journal is closed by whoever opened it."""
        self._validation.shutdown(wait=False, cancel_futures=True)
