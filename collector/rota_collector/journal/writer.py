"""Appending to the journal.

``append`` returns when its record is fsynced. What an event loop appends in one turn is handed over together. One thread
writes. It takes everything that waits, writes it with one call, syncs once and wakes all, so that handing over, a sync and
waking cost a group and not a request.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from rota_collector import _files
from rota_collector._records import HEADER, Segment, Signal, header, records
from rota_collector.clock import Clock
from rota_collector.errors import JournalClosed, JournalError, JournalFailed, JournalFull
from rota_collector.journal.extent import Extent
from rota_collector.journal.reader import Reader

_GROUP_BYTES = 16 << 20  # what one group commit writes at most, unless a single record is larger


class _Waiting(NamedTuple):
    signal: Signal
    received_ns: int
    payload: bytes | bytearray
    future: asyncio.Future[int] | concurrent.futures.Future[int]
    loop: asyncio.AbstractEventLoop | None


class Journal(Reader):
    """Append-only log of requests in ``directory``. One process writes it; its threads may read it.

    Opening verifies the last segment: bytes after the last whole record (a write that a crash cut short, never
    acknowledged) are moved into ``quarantine/``; ``torn_bytes`` says how many. ``extent`` tells others how far it is;
    ``why_full`` may refuse what is to be appended, and says why.

    Raises ``JournalLocked`` when another process has it open, ``JournalFailed`` when the directory cannot be used.
    """

    def __init__(
        self,
        directory: Path,
        *,
        clock: Clock,
        segment_bytes: int = 64 << 20,
        waiting_bytes: int = 256 << 20,
        extent: Extent | None = None,
        why_full: Callable[[], str | None] = lambda: None,
    ) -> None:
        super().__init__(directory, extent or Extent())
        self._clock = clock
        self._segment_bytes, self._waiting_limit, self._why_full = segment_bytes, waiting_bytes, why_full
        self.torn_bytes = 0
        self._fd = -1  # the segment that is written; -1 after a failure that leaves its state unknown
        self._first = 0  # where it begins
        self._waiting_bytes = 0
        self._closed = False  # no more appends
        self._ends = False  # the writer has seen the last one
        self._lock = threading.Lock()
        self._gathered: dict[asyncio.AbstractEventLoop, list[_Waiting]] = {}  # what each loop hands over at its next turn
        self._queue: SimpleQueue[list[_Waiting] | None] = SimpleQueue()
        self.synced: Callable[[float], None] = lambda _: None  # called after each sync with how long it took
        self._lock_fd = -1
        try:
            self._lock_fd = _files.lock_directory(directory)
            _files.remove_unfinished(directory)
            self._extent.advance(self._recover())
        except OSError as error:
            self._release()
            raise _files.refusal(error, directory) from error
        self._writer = threading.Thread(target=self._write_groups, name="rota-journal", daemon=True)
        self._writer.start()

    # -- appending ------------------------------------------------------------------------------------------------

    async def append(self, signal: Signal, payload: bytes | bytearray) -> int:
        """Keeps one request; returns its offset when it is on disk.

        Raises ``JournalFull`` (no space, or too much waits), ``JournalFailed`` or ``JournalClosed``: it is then not kept.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        waiting = _Waiting(signal, self._clock.now_ns(), payload, future, loop)
        self._refuse_without_room()
        with self._lock:
            self._admit(payload)
            gathered = self._gathered.setdefault(loop, [])
            gathered.append(waiting)
        if len(gathered) == 1:
            loop.call_soon(self._hand_over, loop)
        return await future

    def append_blocking(self, signal: Signal, payload: bytes | bytearray) -> int:
        """``append`` for threads."""
        future: concurrent.futures.Future[int] = concurrent.futures.Future()
        self._refuse_without_room()
        with self._lock:
            self._admit(payload)
            self._queue.put([_Waiting(signal, self._clock.now_ns(), payload, future, None)])
        return future.result()

    def close(self) -> None:
        """Writes what waits, then stops. Appending afterwards raises; reading still works."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for gathered in self._gathered.values():
                self._queue.put(gathered)
            self._gathered.clear()
            self._queue.put(None)
        self._writer.join()
        self._extent.close()
        self._release()

    def _release(self) -> None:
        self._give_up_segment()
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
        self._lock_fd = -1

    def _refuse_without_room(self) -> None:
        if (why := self._why_full()) is not None:
            raise JournalFull(f"cannot append to the journal: {why}")

    def _admit(self, payload: bytes | bytearray) -> None:
        """Counts it as one that waits. The lock is held."""
        if self._closed:
            raise JournalClosed("cannot append to the journal: the collector is stopping")
        if self._waiting_bytes + len(payload) > self._waiting_limit and self._waiting_bytes:
            raise JournalFull(f"cannot append to the journal: {self._waiting_bytes} bytes wait for the disk; retry later")
        self._waiting_bytes += len(payload)

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            if gathered := self._gathered.pop(loop, None):
                self._queue.put(gathered)

    # -- the writer thread ----------------------------------------------------------------------------------------

    def _write_groups(self) -> None:
        while group := self._next_group():
            results: Sequence[int | JournalError]
            try:
                results = self._commit(group)
            except OSError as error:
                results = [_files.refusal(error, self._directory)] * len(group)
            except Exception as error:  # noqa: BLE001 - nobody may wait for ever, whatever happened
                self._give_up_segment()
                results = [JournalFailed(f"cannot write the journal: {type(error).__name__}: {error}")] * len(group)
            with self._lock:
                self._waiting_bytes -= sum(len(waiting.payload) for waiting in group)
            _wake(group, results)
            if self._ends:
                return

    def _next_group(self) -> list[_Waiting]:
        """Blocks for the first append, then takes what else waits. Empty when the journal was closed."""
        group: list[_Waiting] = []
        size = 0
        while not group or (size < _GROUP_BYTES and not self._queue.empty()):
            gathered = self._queue.get()
            if gathered is None:
                self._ends = True
                break
            group += gathered
            size += sum(len(waiting.payload) for waiting in gathered)
        return group

    def _commit(self, group: list[_Waiting]) -> list[int]:
        """Writes and syncs a group. On any error nothing of it counts, and the file is as before or given up."""
        if self._fd < 0 or self.durable_end - self._first >= self._segment_bytes:
            self._start_segment()
        offsets, buffers, end = [], [], self.durable_end
        for waiting in group:
            offsets.append(end)
            buffers += [header(end, waiting.signal, waiting.received_ns, waiting.payload), waiting.payload]
            end += HEADER.size + len(waiting.payload)
        position = self.durable_end - self._first
        try:
            _files.write_all(self._fd, buffers, position)
        except OSError:
            self._cut_back(position)
            raise
        began = self._clock.monotonic()
        try:
            _files.sync(self._fd)
        except OSError:
            # After a failed sync the kernel may call the lost pages clean: a second sync would lie. Never trust this file again.
            self._cut_back(position)
            self._give_up_segment()
            raise
        self.synced(self._clock.monotonic() - began)
        self._extent.advance(end)
        return offsets

    def _start_segment(self) -> None:
        self._give_up_segment()
        # One that never got a durable record has the same name and is replaced.
        self._fd, self._first = _files.create_segment(self._directory, self.durable_end), self.durable_end

    def _cut_back(self, position: int) -> None:
        try:
            os.ftruncate(self._fd, position)
        except OSError:
            self._give_up_segment()  # the next one begins at the durable end; what is behind it here is never read

    def _give_up_segment(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    # -- opening -------------------------------------------------------------------------------------------------------

    def _recover(self) -> int:
        """Verifies the last segment, cuts what a crash left unfinished, and returns the end of what is whole."""
        there = _files.segments(self._directory)
        if not there:
            return 0
        segment = Segment(*there[-1])
        size = segment.path.stat().st_size
        end = self._first = segment.first
        for record in records(segment, segment.first, segment.first + size, self.damage):
            end = record.next_offset
        self.damage.pop(end, None)  # the tail is not damage: nobody was told that it was kept
        self.torn_bytes = segment.first + size - end
        self._fd = _files.cut_segment(segment.path, end - segment.first, self._directory / "quarantine" / f"{end:020d}.torn")
        return end


def _wake(group: list[_Waiting], results: Sequence[int | JournalError]) -> None:
    """Resolves all futures of a group: one call into each event loop, however many wait there."""
    by_loop: dict[asyncio.AbstractEventLoop | None, list[tuple[_Waiting, int | JournalError]]] = {}
    for waiting, result in zip(group, results, strict=True):
        by_loop.setdefault(waiting.loop, []).append((waiting, result))
    for loop, outcomes in by_loop.items():
        if loop is None:
            _resolve(outcomes)
        else:
            with contextlib.suppress(RuntimeError):  # that loop was closed: nobody waits there any more
                loop.call_soon_threadsafe(_resolve, outcomes)


def _resolve(outcomes: list[tuple[_Waiting, int | JournalError]]) -> None:
    for (_, _, _, future, _), result in outcomes:
        if future.done():  # the client went away
            continue
        if isinstance(result, JournalError):
            future.set_exception(result)
        else:
            future.set_result(result)
