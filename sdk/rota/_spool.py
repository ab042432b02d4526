"""The spool: every fact is on disk before the user's next line runs.

One file a process and signal under ``$ROTA_HOME/spool/live``: OTLP-JSON lines, as the OpenTelemetry file exporter specifies.
A run state is one ``write``; spans are kept for a moment and written together. The writer holds a POSIX record lock on each
file through one descriptor that it never reopens (closing any other descriptor of the file would drop the lock, and a
``flock`` would survive in forked children): whoever can take the lock of a file knows that its writer is dead.

A file that grows past ``ROTATE_BYTES`` moves to ``spool/left``. Of those at most ``KEEP_SPAN_FILES`` span files and
``KEEP_LOG_FILES`` state files stay: when full, the oldest spans go first, run states last, and what went is counted.
"""

from __future__ import annotations

import os
from _collections import deque  # type: ignore[import-not-found]
from _thread import RLock
from time import monotonic_ns, time

from rota._config import detach_allowed
from rota._guard import note
from rota.wire.events import spans_line

LOGS, TRACES = "logs", "traces"
FLUSH_SPANS = 64
FLUSH_LENGTH = 1 << 16  # of one span: 64 of the longest would be more than a collector takes at once
FLUSH_AFTER_NS = 1_000_000_000
ROTATE_BYTES = 8 << 20
KEEP_SPAN_FILES, KEEP_LOG_FILES = 8, 64
_FOREIGN_FILES = 64  # how many files of others in live/ are looked at on the way out
BUSY_SECONDS = 0.2  # how long one thread waits for another's write; a daemon thread may have been stopped in it for good
MEMORY_BYTES = 1 << 20  # of lines kept in memory when the home cannot be written


def lock_is_free(path: str, flags: int) -> bool:
    """Whether nobody alive holds the record lock of ``path``. Never for a file of our own: closing would drop its lock."""
    try:
        fd = os.open(path, flags, 0o600)
    except OSError:
        return False
    try:
        os.lockf(fd, os.F_TLOCK, 0)
        return True
    except (OSError, AttributeError):  # somebody has it; or there are no such locks here
        return False
    finally:
        os.close(fd)


def others_wait(spool_path: str) -> bool:
    """Whether something of an earlier or a dead process waits. ``left/`` is never listed: it may hold a day of files."""
    try:
        with os.scandir(spool_path + "/left") as left:
            if next(left, None) is not None:
                return True
    except OSError:
        pass
    try:
        with os.scandir(spool_path + "/live") as live:
            return any(lock_is_free(entry.path, os.O_RDWR) for entry, _ in zip(live, range(_FOREIGN_FILES)))
    except FileNotFoundError:  # nobody has told anything yet
        return False


FAILED_SECONDS = 30  # after a shipper failed, nobody starts another for so long
REFUSED_SECONDS = 3600  # where nobody listens, one an hour keeps the spool within its bounds


FAILED_MARK = "/once.failed"  # in the spool
UNHURRIED_MARK = "/policies.silent"  # ... where the collector did not say in time whether there are other policies
FOREIGN_MARK = "/policies.failed"  # ... where the collector knows no policies, as others than ours do


def needs_shipper(spool_path: str, seconds: float, mark: str = FAILED_MARK) -> bool:
    """Whether a detached shipper may be started, and none failed within that time, as the age of its mark tells."""
    return detach_allowed() and is_stale(spool_path + mark, seconds)


def is_stale(mark: str, seconds: float) -> bool:
    """Whether a mark is older than that, or is not there."""
    try:
        return abs(time() - os.stat(mark).st_mtime) >= seconds
    except OSError:
        return True


def clear_of_streams(fd: int) -> int:
    """The same open file under no standard stream's number: a program started without that one would write into it."""
    if fd > 2:
        return fd
    from fcntl import F_DUPFD_CLOEXEC, fcntl

    try:
        return fcntl(fd, F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(fd)


class SpoolFile:
    """One file of this process: appended to, read back for forwarding, rotated, and at last removed or left.

    One thread at a time: between a look at the descriptor and its use another could close it, and the program open a file
    under its number. The lock is reentrant, for a finalizer that runs in the middle, and nobody waits for it for long.
    """

    def __init__(self, spool_path: str, stem: str, signal: str, keep: int) -> None:
        self.signal = signal
        self.size = 0  # bytes appended to the present file
        self.acked = 0  # of these, what the collector has acknowledged
        self.sequence = 0  # how many files went before the present one
        self.items = 0  # records in the present file
        self.dropped = 0  # records that are gone for good
        self.memory: deque[bytes] = deque()  # lines that could not be written, so far
        self.path = ""
        self._spool_path, self._stem, self._keep = spool_path, stem, keep
        self._fd = -1
        self._busy = RLock()
        self._identity = (0, 0)
        self._rotated: deque[tuple[str, int]] = deque()

    def append(self, line: bytes, items: int = 1) -> None:
        """Write one line with one ``write``; what another thread or the disk keeps it from waits in memory for the next one."""
        if not self._busy.acquire(timeout=BUSY_SECONDS):
            self._remember(line, items)
            return
        try:
            self._append(line, items)
        finally:
            self._busy.release()

    def _append(self, line: bytes, items: int) -> None:
        try:
            if self._fd < 0 or not self._is_ours():
                self._open()
            self._write(line, items)
        except OSError as error:
            note("spool", error)
            self._remember(line, items)
            return
        if self.memory:
            self._write_memory()
        if self.size > ROTATE_BYTES:
            self._try_to_rotate()

    def _write(self, data: bytes, items: int) -> None:
        written = os.write(self._fd, data)
        if written < len(data):
            os.ftruncate(self._fd, self.size)  # half a line would spoil the next one
            raise OSError(28, "the disk took %d of %d bytes" % (written, len(data)))
        self.size += written
        self.items += items

    def _write_memory(self) -> None:
        """What waits there, each line once: who did not get the lock adds to it meanwhile."""
        lines: list[bytes] = []
        while self.memory:
            lines.append(self.memory.popleft())
        try:
            self._write(b"".join(lines), len(lines))
        except OSError:  # it was said when it went wrong first
            self.memory.extendleft(reversed(lines))

    def settle(self) -> None:
        """Write what waits in memory, if that goes now."""
        if not self.memory or not self._busy.acquire(timeout=BUSY_SECONDS):
            return
        try:
            if self._fd < 0 or not self._is_ours():
                self._open()
            self._write_memory()
        except OSError:
            pass
        finally:
            self._busy.release()

    def read(self, offset: int, limit: int) -> bytes:
        """Whole lines from ``offset``, at most ``limit`` bytes of them (or one longer line)."""
        if not self._busy.acquire(timeout=BUSY_SECONDS):
            return b""
        try:
            return self._read(offset, limit)
        finally:
            self._busy.release()

    def _read(self, offset: int, limit: int) -> bytes:
        if self._fd < 0 or offset >= self.size:
            return b""
        chunk = os.pread(self._fd, min(limit, self.size - offset), offset)
        end = chunk.rfind(b"\n") + 1
        return chunk[:end] if end else os.pread(self._fd, self.size - offset, offset)

    def acknowledge(self, sequence: int, end: int) -> None:
        """The collector has that file up to ``end``. One that was full meanwhile is another shipper's, and no longer this one."""
        if self._busy.acquire(timeout=BUSY_SECONDS):
            if self.sequence == sequence:
                self.acked = end
            self._busy.release()

    def finish(self) -> None:
        """Remove the file when everything in it was acknowledged, else leave it to the next shipper.

        A daemon thread may write on, in a file of the same name: the one that is left behind gets a number.
        """
        self.settle()
        if self._busy.acquire(timeout=BUSY_SECONDS):
            try:
                self._finish()
            finally:
                self._busy.release()

    def _finish(self) -> None:
        if self._fd < 0:
            return
        if self._is_ours():
            if self.acked >= self.size:
                os.unlink(self.path)
            else:
                self.sequence += 1
                self._move_to_left(self.path, self.sequence)
            os.close(self._fd)
        self._fd = -1

    def forget(self) -> None:
        """In a forked child: the file is the parent's, and what it has in memory. Locks are not inherited: closing drops none."""
        self.memory.clear()
        if self._fd >= 0 and self._is_ours():
            os.close(self._fd)
        self._fd = -1

    def _open(self) -> None:
        live = self._spool_path + "/live"
        self.path = "%s/%s.%s.jsonl" % (live, self._stem, self.signal)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        try:
            fd = os.open(self.path, flags, 0o600)
        except FileNotFoundError:
            os.makedirs(live, 0o700, exist_ok=True)
            fd = os.open(self.path, flags, 0o600)
        self._fd = clear_of_streams(fd)
        if hasattr(os, "lockf"):
            os.lockf(self._fd, os.F_TLOCK, 0)
        status = os.fstat(self._fd)
        self._identity = (status.st_dev, status.st_ino)
        self.size = status.st_size

    def _is_ours(self) -> bool:
        """A program may close descriptors that it did not open, and get our number for a file of its own."""
        try:
            status = os.fstat(self._fd)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._identity

    def _try_to_rotate(self) -> None:
        try:
            self._rotate()
        except OSError as error:
            note("spool", error)

    def _rotate(self) -> None:
        """Go on in a new file. It is open and locked before the old one is let go: at every moment a lock says that we live."""
        self.sequence += 1
        if self.acked >= self.size:
            os.unlink(self.path)
        else:
            self._rotated.append((self._move_to_left(self.path, self.sequence), self.items))
        old, self._fd, self.items, self.acked = self._fd, -1, 0, 0
        try:
            self._open()
        finally:
            os.close(old)
        if len(self._rotated) > self._keep:
            oldest, items = self._rotated.popleft()
            try:
                os.unlink(oldest)
                self.dropped += items
            except FileNotFoundError:
                pass  # shipped and removed meanwhile: nothing was lost

    def _move_to_left(self, path: str, sequence: int) -> str:
        left = self._spool_path + "/left"
        target = "%s/%s.%d.%s.jsonl" % (left, self._stem, sequence, self.signal)
        try:
            os.rename(path, target)
        except FileNotFoundError:
            os.makedirs(left, 0o700, exist_ok=True)
            os.rename(path, target)
        return target

    def _remember(self, line: bytes, items: int) -> None:
        if sum(map(len, self.memory)) + len(line) <= MEMORY_BYTES:
            self.memory.append(line)
        else:
            self.dropped += items


class Spool:
    """The two files of this process, and the spans that wait to be written."""

    def __init__(self, home: str, stem: str, resource: str) -> None:
        self.path = home + "/spool"
        self.stem = stem
        self.resource = resource  # JSON of the OTLP resource of everything this process writes
        self.logs = SpoolFile(self.path, stem, LOGS, KEEP_LOG_FILES)
        self.traces = SpoolFile(self.path, stem, TRACES, KEEP_SPAN_FILES)
        self.written_at = 0  # monotonic ns of the last write of any kind
        self.eager = False  # write spans at once when no task is open (in children that may end without atexit)
        self._waiting: deque[tuple[str, str]] = deque()
        self._flushed_at = monotonic_ns()

    def write_logs(self, line: str) -> None:
        """Append an ExportLogsServiceRequest line now."""
        self.logs.append(line.encode("ascii"))
        self.written_at = monotonic_ns()

    def write_spans_line(self, line: bytes, spans: int) -> None:
        """Append a ready ExportTraceServiceRequest line now."""
        self.traces.append(line, spans)
        self.written_at = monotonic_ns()

    def add_span(self, scope: str, span: str, now_ns: int) -> None:
        """Keep one finished span; write all that wait when they are many or long, or the last write is long ago."""
        self._waiting.append((scope, span))
        if len(self._waiting) >= FLUSH_SPANS or len(span) > FLUSH_LENGTH or now_ns - self._flushed_at > FLUSH_AFTER_NS:
            self.flush()

    def flush(self) -> None:
        """Write the waiting spans. Safe with other threads adding: each span is taken exactly once."""
        by_scope: dict[str, list[str]] = {}
        count = 0
        while self._waiting:
            try:
                scope, span = self._waiting.popleft()
            except IndexError:
                break
            by_scope.setdefault(scope, []).append(span)
            count += 1
        self._flushed_at = monotonic_ns()
        if count:
            self.write_spans_line(spans_line(self.resource, by_scope).encode("ascii"), count)

    @property
    def dropped(self) -> int:
        """Records that were given up because the spool was full."""
        return self.logs.dropped + self.traces.dropped

    def forget(self) -> None:
        """In a forked child: drop what belongs to the parent."""
        self._waiting.clear()
        self.logs.forget()
        self.traces.forget()
