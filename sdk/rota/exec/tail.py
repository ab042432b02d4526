"""``--tail``: the end of the output, kept while it goes its way. The command writes into a pipe, and we write on what it wrote.

Where standard output and standard error are one file they share one pipe, so that their order stays. Each pipe has a thread that
waits where its reader is slow, so that the command does too, and closes it when its reader is gone, so that the command is told.
What the command leaves running may go on writing when it has ended: a ``cat`` takes our place then, and nobody waits for it.
"""

from __future__ import annotations

import _thread
import os
from select import POLLIN, POLLOUT, poll

from rota._guard import guarded, note
from rota.exec.child import REMADE
from rota.wire import events, names
from rota.wire.redact import MARGIN, ending, redacted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping

    from rota._run import Run

_CHUNK_BYTES = 64 << 10
_LAST_BYTES = 1 << 20  # what is still read of a pipe that others hold after the command's end: more than a pipe holds
_MESSAGE_LINES, _MESSAGE_CHARACTERS = 10, 2000


class Stream:
    """One pipe from the command, to ``target``. ``shown``: ``stdout``, ``stderr``, or empty for both in one."""

    def __init__(self, target: int, shown: str, limit: int) -> None:
        self.target, self.shown = target, shown
        self.source, self.end_for_child = os.pipe()
        self.total = 0
        self._kept, self._limit = bytearray(), limit
        self._at_work = _thread.allocate_lock()

    def start(self, stop: int) -> None:
        """Write on in a thread, until the pipe's end, or until ``stop`` is hung up and nothing more is there."""
        self._at_work.acquire()
        _thread.start_new_thread(self._work, (stop,))

    def finish(self, environment: Mapping[bytes, bytes]) -> None:
        """After ``stop``: wait until all is written that the command wrote; leave the pipe to ``cat`` if others hold it."""
        with self._at_work:
            if self.source < 0:
                return
        actions = [(os.POSIX_SPAWN_DUP2, self.source, 0), (os.POSIX_SPAWN_DUP2, self.target, 1)]
        try:
            os.posix_spawnp("cat", ["cat"], environment, file_actions=actions, setsigmask=(), setsigdef=REMADE)
        except OSError as error:
            note("tail", error)
            while self._copy():
                pass
            return
        os.close(self.source)  # another attempt may follow, whose pipes are others

    def text(self) -> str:
        """What was kept, without secrets, and how much went before it."""
        left_out = self.total - self._limit
        return self._end() if left_out <= 0 else "… %d bytes left out …\n%s" % (left_out, self._end())

    def last_lines(self) -> str:
        """What a person looks at first."""
        return "\n".join(self._end().rstrip().splitlines()[-_MESSAGE_LINES:])[-_MESSAGE_CHARACTERS:]

    def _end(self) -> str:
        """At most ``limit`` bytes, cut where no secret goes through the cut."""
        kept = bytes(self._kept[-self._limit - MARGIN :]).decode("utf-8", "replace")
        found = redacted(kept) if self.total <= self._limit + MARGIN else ending(kept, self._limit)
        return found.encode()[-self._limit :].decode("utf-8", "replace")

    def _work(self, stop: int) -> None:
        try:
            guarded(self._copy_until)(stop)
        finally:
            self._at_work.release()

    def _copy_until(self, stop: int) -> None:
        waiter, is_stopping, left = poll(), False, _LAST_BYTES
        waiter.register(self.source, POLLIN)
        waiter.register(stop, POLLIN)
        while left > 0:
            ready = dict(waiter.poll(0 if is_stopping else None))
            if self.source in ready:
                size = self._copy()
                if not size:
                    return
                left -= size if is_stopping else 0
            elif is_stopping:
                return
            is_stopping = is_stopping or stop in ready

    def _copy(self) -> int:
        """Pass on what is there; 0 when either end is closed: then the command is told so, as without us, by its next write."""
        try:
            chunk = os.read(self.source, _CHUNK_BYTES)
            self._write(chunk)
        except OSError:
            chunk = b""
        if not chunk:
            os.close(self.source)
            self.source = -1
        self.total += len(chunk)
        self._kept += chunk
        if len(self._kept) > 2 * (self._limit + MARGIN) + _CHUNK_BYTES:
            del self._kept[: -self._limit - MARGIN]
        return len(chunk)

    def _write(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        while rest:
            try:
                rest = rest[os.write(self.target, rest) :]
            except BlockingIOError:  # somebody made the file, which we only share, non-blocking
                waiter = poll()
                waiter.register(self.target, POLLOUT)
                waiter.poll()


class Tail:
    """The streams of one command; ``limit`` bytes are kept of each."""

    def __init__(self, limit: int) -> None:
        self._streams = [Stream(target, shown, limit) for target, shown in _targets()]
        self._stop, self._stopper = os.pipe()
        for stream in self._streams:  # before there is a command, which would wait for ever on a pipe that nobody reads
            stream.start(self._stop)

    @property
    def redirections(self) -> list[tuple[int, int]]:
        """(ours, the command's) for each descriptor that becomes a pipe."""
        both = [(stream.end_for_child, 2) for stream in self._streams if not stream.shown]
        return [(stream.end_for_child, stream.target) for stream in self._streams] + both

    def begin(self) -> None:
        """Once the command runs: from now on only the command can write into its pipes."""
        for stream in self._streams:
            os.close(stream.end_for_child)

    def finish(self, environment: Mapping[bytes, bytes]) -> None:
        """Once it has ended; what it left running may go on writing."""
        os.close(self._stopper)
        for stream in self._streams:
            stream.finish(environment)
        os.close(self._stop)

    def say(self, run: Run) -> None:
        """Append what was kept, one ``rota.output`` record a stream."""
        at_ns = run.owner.clock.now_ns()
        for stream in self._streams:
            if stream.total:
                pairs = {
                    names.RUN_ID: run.run_id, names.WORKFLOW: run.workflow,
                    names.OUTPUT_STREAM: stream.shown or None, names.OUTPUT_BYTES: stream.total,
                }  # fmt: skip
                record = events.log_record(at_ns, names.OUTPUT_EVENT, run.trace_id, run.span_id, pairs)
                body = ',"body":{"stringValue":%s}}' % events.text(stream.text())
                run.owner.write_event(run.scope, record[:-1] + body)

    def message(self) -> str:
        """The last lines of standard error, or of the output when that says nothing."""
        return next((lines for lines in [stream.last_lines() for stream in reversed(self._streams)] if lines), "")


def _targets() -> list[tuple[int, str]]:
    out, err = _identity(1), _identity(2)
    if out is not None and out == err:
        return [(1, "")]
    return [(number, shown) for number, shown, opened in ((1, "stdout", out), (2, "stderr", err)) if opened is not None]


def _identity(number: int) -> tuple[int, int] | None:
    """Which file we were given as that stream; None when it was closed, and the number stands for a file of our own."""
    try:
        status = os.fstat(number)
    except OSError:
        return None
    if not os.get_inheritable(number):
        return None
    return status.st_dev, status.st_ino
