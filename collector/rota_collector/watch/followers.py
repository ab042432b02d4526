"""Followers carry the journal into the stores.

The journal is the only truth between stores: each store keeps its own position in it, moved in the transaction of the
rows it speaks of. A follower starts from that position, whatever happened before, and never skips a record. In a backlog
the next batch is read and made ready while one is applied: the two take about as long, and there is more than one core.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

from rota_collector import log
from rota_collector.clock import Clock
from rota_collector.journal import Record

BATCH_BYTES = 16 << 20  # of payload in one transaction
GATHER_SECONDS = 0.1  # how long the first small request waits for others: a transaction costs more than its rows
_WORTH_IT_BYTES = 1 << 20  # of payload, from which on nothing waits
EXIT_STATUS_FATAL = 70  # EX_SOFTWARE: a supervisor should start us again
_IDLE_SECONDS = 0.25  # how long a stop may go unnoticed by a follower that waits
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.1, 30.0


class Source(Protocol):
    """What a follower needs of the journal."""

    @property
    def durable_end(self) -> int:
        """The offset after the last record that is safely on disk."""

    def read(self, offset: int, max_bytes: int) -> list[Record]:
        """Records from ``offset`` on, about ``max_bytes`` of them; empty when there is none."""

    def wait_beyond(self, offset: int, timeout_seconds: float) -> bool:
        """Blocks until there is something after ``offset``."""


class _Batch(NamedTuple):
    """Records, and what ``prepare`` made of them."""

    records: list[Record]
    ready: Any

    @property
    def end(self) -> int:
        return self.records[-1].next_offset


def _as_they_are(records: Sequence[Record], _before: Any) -> Any:
    return records


class Follower(threading.Thread):
    """One store's reader of the journal, in a thread of its own.

    ``offset`` says where the store stands. ``prepare`` is given records, and what it made of the batch before if that may
    not be applied yet; ``apply`` brings what it returns into the store together with the new position.
    What goes wrong is said on stderr and tried again, later and later; an error in ``fatal`` ends the process, as the
    store's handle is beyond repair and a fresh process recovers from the journal.
    """

    def __init__(
        self,
        name: str,
        journal: Source,
        offset: Callable[[], int],
        apply: Callable[[Any], None],
        clock: Clock,
        fatal: tuple[type[BaseException], ...] = (),
        prepare: Callable[[Sequence[Record], Any], Any] = _as_they_are,
    ) -> None:
        super().__init__(name=f"rota-{name}", daemon=True)
        self._store, self._journal, self._clock, self._fatal = name, journal, clock, fatal
        self._prepare, self._apply = prepare, apply
        self._beside = ThreadPoolExecutor(1, f"rota-{name}-next")
        self._next: Future[_Batch] | None = None  # of a backlog
        self._offset = offset()
        self._behind_since: float | None = None  # monotonic; None: it was level at the last look
        self._applied_ns = 0  # when the last record that it has was received
        self._stopping = threading.Event()
        self._deadline = float("inf")
        self.trouble: str | None = None  # why the last attempt failed; None while all is well

    @property
    def offset(self) -> int:
        """Up to where in the journal this store is."""
        return self._offset

    @property
    def lag_bytes(self) -> int:
        """How much of the journal this store does not have yet."""
        return max(0, self._journal.durable_end - self._offset)

    @property
    def lag_seconds(self) -> float:
        """How old what it does not have yet may be; 0 when it has all."""
        since = self._behind_since
        if since is None or not self.lag_bytes:
            return 0.0
        return max(0.0, min(self._clock.monotonic() - since, (self._clock.now_ns() - self._applied_ns) / 1e9))

    def run(self) -> None:
        """Follow until stopped and, then, either at the end of the journal or out of time."""
        wait_seconds = _FIRST_WAIT_SECONDS
        while not self._stopping.is_set() or self._clock.monotonic() < self._deadline:
            try:
                at_end = not self._step()
            except self._fatal as error:
                self._die(error)
                break
            except Exception as error:  # noqa: BLE001 (a follower that gives up would lose what was acknowledged)
                self._complain(error, wait_seconds)
                at_end = self._stopping.wait(wait_seconds)  # what does not work now is tried again by the next start
                wait_seconds = min(2 * wait_seconds, _LONGEST_WAIT_SECONDS)
            else:
                self.trouble = None
                wait_seconds = _FIRST_WAIT_SECONDS
            if at_end and self._stopping.is_set():
                break
        self._beside.shutdown(wait=False)

    def stop(self, seconds: float) -> None:
        """Ask the follower to finish what the journal holds within ``seconds``. The journal takes no more by now."""
        self._deadline = self._clock.monotonic() + seconds
        self._stopping.set()

    def _step(self) -> bool:
        """Whether there was something to apply."""
        following, self._next = self._next, None
        batch = following.result() if following else self._first_of_what_is_new()
        if batch is None:
            self._behind_since = None
            return False
        if not batch.records:
            return True
        if self._journal.durable_end - batch.end >= _WORTH_IT_BYTES:
            self._next = self._beside.submit(self._read, batch.end, batch.ready)
        try:
            self._apply(batch.ready)
        except BaseException:
            self._next = None  # it was made in the belief that this one is applied
            raise
        self._offset, self._applied_ns = batch.end, batch.records[-1].received_ns
        if not self.lag_bytes:
            self._behind_since = None
        return True

    def _first_of_what_is_new(self) -> _Batch | None:
        """Waits for it a while; None when nothing came."""
        if not self._journal.wait_beyond(self._offset, _IDLE_SECONDS):
            return None
        if self._behind_since is None:
            self._behind_since = self._clock.monotonic()
        if self.lag_bytes < _WORTH_IT_BYTES:
            self._stopping.wait(GATHER_SECONDS)
        return self._read(self._offset, None)

    def _read(self, offset: int, before: Any) -> _Batch:
        records = self._journal.read(offset, BATCH_BYTES)
        return _Batch(records, self._prepare(records, before) if records else None)

    def _complain(self, error: Exception, wait_seconds: float) -> None:
        self.trouble = f"{type(error).__name__}: {error}"
        self._say(f"cannot apply the journal at {self._offset}, trying again in {wait_seconds:g} s: {self.trouble}", log.WARN)

    def _die(self, error: BaseException) -> None:
        self._say(f"this store failed for good; ending the process, start it again: {type(error).__name__}: {error}", log.ERROR)
        os._exit(EXIT_STATUS_FATAL)

    def _say(self, text: str, level: str) -> None:
        log.say(f"{self._store} store: {text}", level)
