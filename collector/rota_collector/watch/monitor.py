"""The monitor: a loop with a clock that wakes at the next deadline, or when a fact comes in, and has what is due judged."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from rota_collector import log
from rota_collector.clock import Clock
from rota_collector.counters import Counters
from rota_collector.errors import JournalError
from rota_collector.journal import Signal
from rota_collector.store import events, incidents, quiet, watches
from rota_collector.watch import looking, tick
from rota_collector.watch.tick import Tools

BEAT_NS = 5 * 10**9  # how often it is written down that we watch
GAP_NS = 20 * 10**9  # without a beat for so long, we did not watch
START_GAP_NS = 2 * 10**9  # after a start that is sure, however short: what was sent meanwhile may wait in a spool
LONGEST_SLEEP_SECONDS = 1.0
_CATCH_UP_SECONDS = 1.0  # how long a tick waits for what the journal has and the store has not
_POLL_SECONDS = 0.01
_ROWS = 8  # of the queue are brought into the journal at once; a row holds what one transaction decided


class Journal(Protocol):
    """What the monitor needs of the journal."""

    @property
    def durable_end(self) -> int:
        """The offset after the last record that is on disk."""

    def append_blocking(self, signal: Signal, payload: bytes | bytearray) -> int:
        """Keep one request."""


class Monitor(threading.Thread):
    """Judges what is due.

    ``applied`` tells up to which journal offset the control store is; a deadline is judged only when it has all that the
    journal had after the deadline. ``settle_ns``: how long after a downtime of ours news from then may still come.
    """

    def __init__(
        self,
        tools: Tools,
        journal: Journal,
        applied: Callable[[], int],
        clock: Clock,
        settle_ns: int,
        alerted: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(name="rota-monitor", daemon=True)
        self._tools, self._journal, self._applied, self._clock = tools, journal, applied, clock
        self._settle_ns, self._alerted = settle_ns, alerted
        self._wakes = threading.Event()
        self._stopping = threading.Event()
        with tools.expectations.reading() as connection:
            self._last_beat_ns = quiet.last_beat(connection)
        self._beaten_ns = 0
        self._since_ns: int | None = None  # we watch without a gap
        self.trouble: str | None = None  # why the last tick failed; None while all is well
        self.counters = Counters()

    def wake(self) -> None:
        """Something changed: look now."""
        self._wakes.set()

    def run(self) -> None:
        """Tick until stopped."""
        while not self._stopping.is_set():
            began = self._clock.monotonic()
            try:
                self.tick()
                self.trouble = None
                sleep_seconds = self._sleep_seconds()
            except Exception as error:  # noqa: BLE001 (a monitor that gives up would never miss anything again)
                self.trouble = f"{type(error).__name__}: {error}"
                log.say(f"monitor: trying again: {self.trouble}", log.WARN)
                sleep_seconds = LONGEST_SLEEP_SECONDS
            self.counters.add("rota_monitor_ticks_total")
            self.counters.observe("rota_monitor_tick_seconds", self._clock.monotonic() - began)
            self._wakes.wait(sleep_seconds)
            self._wakes.clear()

    def stop(self) -> None:
        """Ask the thread to end after the present tick."""
        self._stopping.set()
        self._wakes.set()

    def tick(self) -> None:
        """Judge all that is due now, and bring what was decided into the journal."""
        now_ns = self._clock.now_ns()
        self._beat(now_ns)
        if self._has_caught_up():
            while tick.judge(self._tools, now_ns):
                pass
            while tick.remind(self._tools, now_ns):
                pass
            if self._since_ns is not None and now_ns - self._since_ns > tick.AGENT_SILENT_NS:  # else it was we who were away
                tick.miss_agents(self._tools, now_ns)
            if self._since_ns is not None:
                looking.watch_observers(self._tools, now_ns, self._since_ns)
            tick.regroup(self._tools, now_ns)
            self._alerted()
        self._flush()

    def _beat(self, now_ns: int) -> None:
        """Write down that we watch, and, when that was long ago, that we did not."""
        last_ns, self._last_beat_ns = self._last_beat_ns, now_ns
        gap = last_ns is not None and now_ns - last_ns > (GAP_NS if self._beaten_ns else START_GAP_NS)
        if gap or self._since_ns is None:
            self._since_ns = now_ns
        if not gap and 0 <= now_ns - self._beaten_ns < BEAT_NS:
            return
        with self._tools.expectations.transaction() as connection:
            if gap and last_ns is not None:
                self._tools.expectations.was_down(connection, last_ns, now_ns, now_ns + self._settle_ns)
            quiet.beat(connection, now_ns)
        self._beaten_ns = now_ns

    def _has_caught_up(self) -> bool:
        """Whether the store has all that the journal has by now, after a moment's patience."""
        end = self._journal.durable_end
        give_up_at = self._clock.monotonic() + _CATCH_UP_SECONDS
        while self._applied() < end:
            if self._clock.monotonic() > give_up_at or self._stopping.wait(_POLL_SECONDS):
                return False
        return True

    def _flush(self) -> None:
        while True:
            last, records = self._tools.expectations.queued(_ROWS)
            if not records:
                return
            try:
                self._journal.append_blocking(Signal.LOGS_JSON, events.line(records))
            except JournalError as error:
                self.trouble = str(error)  # they stay queued
                return
            self._tools.expectations.unqueue(last)

    def _sleep_seconds(self) -> float:
        with self._tools.expectations.reading() as connection:
            deadlines = [watches.next_ns(connection), incidents.next_ns(connection)]
        next_ns = min((at for at in deadlines if at is not None), default=None)
        if next_ns is None:
            return LONGEST_SLEEP_SECONDS
        return min(LONGEST_SLEEP_SECONDS, max(0.0, (next_ns - self._clock.now_ns()) / 1e9))
