"""Forwarding: every accepted request goes on to other OTLP backends, each of which has a thread and a cursor of its own.

At least once, in the order of the journal, signal by signal. What waits for a backend is the journal itself: one that is slow
or away costs nobody anything but the room of the segments that are kept for it. The cursor moves when a stretch is with the
backend, so whatever was under way when the collector was killed is sent again.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from rota_collector.clock import Clock
from rota_collector.decode.from_json import DIALECTS, to_protobuf
from rota_collector.decode.pieces import pieces
from rota_collector.domain.export import Answer, Verdict, verdict, wait_seconds
from rota_collector.errors import Malformed
from rota_collector.journal import Record
from rota_collector.targets import Target
from rota_collector.watch.backend import Backend
from rota_collector.watch.cursor import CursorFile
from rota_collector.watch.followers import Source

REQUEST_BYTES = 2 << 20  # before compression; receivers take 4 MiB and more
GATHER_SECONDS = 0.2  # how long the first small request waits for others: what costs most of a request is its way
_IDLE_SECONDS = 0.25  # how long a stop may go unnoticed
_SAY_EVERY_SECONDS = 10.0

Send = Callable[[str, bytes], Answer]


class Part(NamedTuple):
    """A request, or a piece of one, that is sent whole; from which record it is."""

    offset: int
    payload: bytes


class _Stopped(Exception):
    """Asked to stop in the middle of something. Private to this module."""


class Forwarder(threading.Thread):
    """Sends the journal to one target from where ``cursor`` stands; a new target begins where it says.

    Made before requests are taken, so that ``begins_now`` leaves none of them out. Raises OSError when the cursor cannot be kept.
    """

    def __init__(
        self, target: Target, journal: Source, cursor: CursorFile, clock: Clock, send: Send, say: Callable[[str], None]
    ) -> None:
        super().__init__(name=f"rota-forward-{target.name}", daemon=True)
        self.target = target
        self._journal, self._cursor, self._clock, self._send, self._say = journal, cursor, clock, send, say
        self._stopping = threading.Event()
        self._said_at: dict[str, float] = {}
        found = cursor.read()
        if found is None:
            found = journal.durable_end if target.begins_now else 0
            cursor.write(found)
        self._offset = found
        self.trouble: str | None = None  # why the last attempt failed; None while all is well
        self.counts: Counter[str] = Counter()  # requests sent, requests refused, items rejected

    @property
    def offset(self) -> int:
        """Up to where in the journal the backend has everything, or refused it."""
        return self._offset

    @property
    def lag_bytes(self) -> int:
        """How much of the journal the backend does not have yet."""
        return max(0, self._journal.durable_end - self._offset)

    def run(self) -> None:
        """Forward until stopped."""
        tries = 0
        while not self._stopping.is_set():
            try:
                self._step()
                tries = 0
            except _Stopped:
                return
            except Exception as error:  # noqa: BLE001 (a disk that cannot be read or written now)
                tries += 1
                self.trouble = f"{type(error).__name__}: {error}"
                self._complain("trouble", self.trouble)
                self._stopping.wait(wait_seconds(tries, "", 0, random.random()))

    def stop(self) -> None:
        """Ask for an end as soon as the request under way is answered. What is left waits in the journal."""
        self._stopping.set()

    def _step(self) -> None:
        """Forward one stretch of the journal, if there is one."""
        if not self._journal.wait_beyond(self._offset, _IDLE_SECONDS):
            return
        if self.lag_bytes < REQUEST_BYTES and self._stopping.wait(GATHER_SECONDS):
            return
        records = self._journal.read(self._offset, REQUEST_BYTES)
        if not records:
            return
        if records[0].offset > self._offset:
            self._complain(
                "gap", f"the journal has nothing from {self._offset} to {records[0].offset}: damaged, or no longer kept"
            )
        for signal in self.target.signals:
            for parts in _requests([part for record in records if _signal(record) == signal for part in self._parts(record)]):
                self._deliver(signal, parts)
        self._offset = records[-1].next_offset  # before the file: what cannot be noted is not sent again for that alone
        self._cursor.write(self._offset)

    def _parts(self, record: Record) -> Iterator[Part]:
        """A record as protobuf, in pieces that fit into a request."""
        try:
            encoded = to_protobuf(record.signal, record.payload) if record.signal in DIALECTS else (record.payload,)
            for payload in chain.from_iterable(pieces(each, REQUEST_BYTES) for each in encoded):
                yield Part(record.offset, bytes(payload))
        except Malformed as error:  # it was checked when it came: this is a fault of ours, and the rest must go on
            self._pass_over(record.offset, len(record.payload), str(error))

    def _deliver(self, signal: str, parts: Sequence[Part]) -> None:
        """Return when the backend has the parts, or refused what is refused of them."""
        # Fields of protobuf messages that stand one after another are one message: that is how requests are joined.
        answer = self._insist(signal, b"".join(part.payload for part in parts))
        if verdict(answer.status) is Verdict.TAKEN:
            self._taken(signal, answer)
        elif len(parts) > 1:  # one of them is at fault: the others must not suffer
            half = len(parts) // 2
            self._deliver(signal, parts[:half])
            self._deliver(signal, parts[half:])
        else:
            self._pass_over(parts[0].offset, len(parts[0].payload), f"{answer.status} {answer.message}")

    def _insist(self, signal: str, body: bytes) -> Answer:
        """Send until it is taken or refused. Raises _Stopped."""
        tries = 0
        while True:
            answer = self._send(signal, body)
            if verdict(answer.status) is not Verdict.LATER:
                self.trouble = None
                return answer
            tries += 1
            why = f"{self.target.endpoint}/v1/{signal} {_words(answer)}"
            self._wait(why, wait_seconds(tries, answer.retry_after, self._clock.now_ns(), random.random()))

    def _wait(self, why: str, seconds: float) -> None:
        self.trouble = why
        self._complain("wait", f"trying again in {seconds:.3g} s: {why}")
        if self._stopping.wait(seconds):
            raise _Stopped

    def _taken(self, signal: str, answer: Answer) -> None:
        self.counts["sent_requests"] += 1
        if answer.rejected:
            self.counts["rejected_items"] += answer.rejected
            self._complain("rejected", f"took {signal} but for {answer.rejected} of them: {answer.message}")

    def _pass_over(self, offset: int, size: int, why: str) -> None:
        self.counts["refused_requests"] += 1
        self._complain("refused", f"passed over {size} bytes of the request at {offset} in the journal: {why}")

    def _complain(self, what: str, text: str) -> None:
        """Say it on stderr, and the same thing not too often: the counts tell the rest."""
        now = self._clock.monotonic()
        if now - self._said_at.get(what, float("-inf")) >= _SAY_EVERY_SECONDS:
            self._said_at[what] = now
            self._say(f"forwarding to {self.target.name}: {text}")


class Forwarding:
    """All forwarders. ``directory`` keeps their cursors."""

    def __init__(
        self, targets: Sequence[Target], journal: Source, directory: Path, clock: Clock, say: Callable[[str], None]
    ) -> None:
        self._backends = [Backend(target) for target in targets]
        self.forwarders = [
            Forwarder(target, journal, CursorFile(directory / f"{target.name}.cursor"), clock, backend.send, say)
            for target, backend in zip(targets, self._backends, strict=True)
        ]

    def start(self) -> None:
        """Begin to forward."""
        for forwarder in self.forwarders:
            forwarder.start()

    def cursors(self) -> dict[str, int]:
        """The offset in the journal up to which each target needs nothing any more: what is before it may go."""
        return {forwarder.target.name: forwarder.offset for forwarder in self.forwarders}

    def progress(self) -> dict[str, dict[str, Any]]:
        """How each target follows, for people."""
        return {each.target.name: _progress(each) for each in self.forwarders}

    def stop(self, seconds: float) -> None:
        """End; a request that is not answered within ``seconds`` is sent again by the next start."""
        for forwarder in self.forwarders:
            forwarder.stop()
        for forwarder in self.forwarders:
            forwarder.join(seconds)


def _progress(forwarder: Forwarder) -> dict[str, Any]:
    counts = {name: forwarder.counts[name] for name in ("sent_requests", "refused_requests", "rejected_items")}
    return {"lag_bytes": forwarder.lag_bytes, "trouble": forwarder.trouble, **counts}


def _requests(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """The parts in runs that fill a request."""
    run: list[Part] = []
    size = 0
    for part in parts:
        if run and size + len(part.payload) > REQUEST_BYTES:
            yield run
            run, size = [], 0
        run.append(part)
        size += len(part.payload)
    if run:
        yield run


def _signal(record: Record) -> str:
    return record.signal.name.partition("_")[0].lower()


def _words(answer: Answer) -> str:
    said = f"answers {answer.status}" if answer.status else "does not answer"
    return f"{said}: {answer.message}" if answer.message else said
