"""One spool directory, as a shipper sees it: which files there are, who still writes them, and what is in them.

POSIX locks belong to the process, and closing *any* descriptor of a file drops them. So every file here is opened under
``Spool.mutex`` and closed again before it is released: no two threads ever have the same file open.

Names: ``<stem>.<signal>.jsonl``, or ``<stem>.<n>.<signal>.jsonl`` in ``left/`` for what a process that still lives rotated
away. The stem is one process's.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import sys
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterator

SIGNALS = ("logs", "traces")
CHUNK_BYTES = 4 << 20
_JUST_CREATED_SECONDS = 5.0
_OPEN = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe of that name must not hold us up
_FLOCK = struct.Struct("@hhqqi4x")  # struct flock of 64-bit Linux: type, whence, start, length, pid
_CAN_ASK_HOLDER = sys.platform == "linux" and struct.calcsize("P") == 8


def signal_of(name: str) -> str:
    """``logs`` or ``traces`` for a spool file's name; empty for a file that is none of ours."""
    parts = name.split(".")
    return parts[-2] if len(parts) in (3, 4) and parts[-1] == "jsonl" and parts[-2] in SIGNALS else ""


def stem_of(name: str) -> str:
    """What the names of one process's files begin with."""
    return name.split(".", 1)[0]


def is_rotated(name: str) -> bool:
    """Whether its process may still live and have gone on with another file."""
    return name.count(".") == 3


def unrotated(name: str) -> str:
    """The name that a rotated file had while it was written."""
    parts = name.split(".")
    return ".".join((parts[0], parts[-2], parts[-1]))


class Chunk:
    """Whole lines of a file, the file's inode, and the offset after them."""

    __slots__ = ("inode", "lines", "next_offset", "offset")

    def __init__(self, inode: int, lines: list[bytes], offset: int, next_offset: int) -> None:
        self.inode, self.lines, self.offset, self.next_offset = inode, lines, offset, next_offset


class Claim:
    """A file whose writer is gone and whose lock is ours, until ``close``."""

    def __init__(self, fd: int, path: str) -> None:
        self._fd, self._path = fd, path

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def finish_line(self) -> None:
        """End the line that a killed writer could not finish: it stands alone then, and spoils no other."""
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            self._write(b"\n")

    def append(self, lines: list[bytes]) -> None:
        """Add whole lines, durably."""
        self.finish_line()
        self._write(b"".join(lines))
        os.fsync(self._fd)

    def move_to(self, directory: str) -> None:
        """Rename into another directory; nothing when it is there already. Raises FileExistsError rather than replace another."""
        path = os.path.join(directory, os.path.basename(self._path))
        if path != self._path:
            if os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, "not shipped yet", path)
            os.rename(self._path, path)
            self._path = path

    def unlink_if(self, inode: int, size: int) -> bool:
        """Remove it when it is still the file we read, and nothing was added since."""
        status = os.fstat(self._fd)
        if (status.st_ino, status.st_size) != (inode, size):
            return False
        os.unlink(self._path)
        return True

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._fd, data) :]


class Spool:
    """``$ROTA_HOME/spool``. ``watched`` holds the stems of processes whose end we wait for. ``*_held`` methods need ``mutex``.

    Args:
        directory: its absolute path; need not exist yet.
        owner: uid; as long as the directory is anybody else's, it counts as empty. Who said hello had yet to make it, perhaps,
            and another did. None: everybody's will do.
    """

    def __init__(self, directory: str, owner: int | None = None) -> None:
        self._owner = owner
        self.directory = directory
        self.live, self.left, self.bad = (os.path.join(directory, name) for name in ("live", "left", "bad"))
        self.mutex = threading.Lock()
        self.watched: set[str] = set()

    def names(self, directory: str, stem: str = "") -> list[str]:
        """The spool files in ``live`` or ``left``, sorted; none when the directory is not there."""
        if not self.is_owners():
            return []
        try:
            return sorted(name for name in os.listdir(directory) if name.startswith(stem) and signal_of(name))
        except OSError:
            return []

    def parts(self, stem: str) -> list[tuple[str, str]]:
        """(directory, name) of every file of one process, the oldest first."""
        if not self.is_owners():
            return []
        rotated = [name for name in self.names(self.left, stem + ".") if is_rotated(name)]
        rotated.sort(key=_sequence)
        found = [(self.left, name) for name in rotated]
        for signal in SIGNALS:
            name = "%s.%s.jsonl" % (stem, signal)
            found += [(d, name) for d in (self.left, self.live) if os.path.exists(os.path.join(d, name))]
        return found

    def is_owners(self) -> bool:
        """Whether the directory is there and whose it should be."""
        try:
            return self._owner is None or os.stat(self.directory).st_uid == self._owner
        except OSError:
            return False

    def read(self, directory: str, name: str, offset_of: Callable[[int], int]) -> Chunk:
        """The next whole lines of a file, from the offset that ``offset_of`` tells for its inode.

        Raises:
            FileNotFoundError: it has moved on.
        """
        with self.mutex:
            fd = os.open(os.path.join(directory, name), os.O_RDONLY | _OPEN)
            try:
                inode = os.fstat(fd).st_ino
                offset = offset_of(inode)
                lines, next_offset = _read_lines(fd, offset)
                return Chunk(inode, lines, offset, next_offset)
            finally:
                os.close(fd)

    def lines_held(self, directory: str, name: str) -> Iterator[bytes]:
        """Every line of a file, the unfinished last one too."""
        fd = os.open(os.path.join(directory, name), os.O_RDONLY | _OPEN)
        try:
            with os.fdopen(fd, "rb", closefd=False) as file:
                yield from file
        finally:
            os.close(fd)

    def holder_held(self, stem: str) -> int | None:
        """The pid of the process that writes the stem's live files; 0: nobody does; None: somebody, who is not told."""
        for signal in SIGNALS:
            try:
                fd = os.open(os.path.join(self.live, "%s.%s.jsonl" % (stem, signal)), os.O_RDWR | _OPEN)
            except OSError:
                continue
            try:
                pid = lock_holder(fd)
            finally:
                os.close(fd)
            if pid != 0:
                return pid
        return 0

    def claim_held(self, directory: str, name: str) -> Claim | None:
        """Take a dead file; None while somebody else has it, or when it is gone.

        Raises:
            OSError: it cannot be opened for writing.
        """
        path = os.path.join(directory, name)
        try:
            fd = os.open(path, os.O_RDWR | os.O_APPEND | _OPEN)
        except FileNotFoundError:
            return None
        if _lock(fd) and _is_named(fd, path) and not _just_created(fd):
            return Claim(fd, path)
        os.close(fd)
        return None

    def set_aside(self, name: str, lines: list[bytes]) -> None:
        """Keep lines that nobody takes, under the name of the file that they came from."""
        os.makedirs(self.bad, mode=0o700, exist_ok=True)
        with open(os.path.join(self.bad, name), "ab") as file:
            file.write(b"\n".join(lines) + b"\n")


def _sequence(name: str) -> int:
    number = name.split(".")[1]
    return int(number) if number.isdigit() else 0


def _read_lines(fd: int, offset: int) -> tuple[list[bytes], int]:
    """At most 4 MiB of whole lines. A line longer than that comes in pieces, none of which is valid: it ends in ``bad/``."""
    data = os.pread(fd, CHUNK_BYTES, offset)
    end = data.rfind(b"\n") + 1
    if not end and len(data) == CHUNK_BYTES:
        return [data], offset + len(data)
    return [line for line in data[:end].split(b"\n") if line.strip()], offset + end


def _lock(fd: int) -> bool:
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_named(fd: int, path: str) -> bool:
    """Whether nobody renamed or removed the file between our opening and our locking."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except OSError:
        return False


def _just_created(fd: int) -> bool:
    """An empty file may belong to a writer that has not come to locking it yet."""
    status = os.fstat(fd)
    return status.st_size == 0 and abs(time.time() - status.st_mtime) < _JUST_CREATED_SECONDS


def lock_holder(fd: int) -> int | None:
    """The pid of the process that has the lock of that file; 0: nobody has; None: somebody, who is not told."""
    if _CAN_ASK_HOLDER:
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, *_, pid = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, asked))
        if kind == fcntl.F_UNLCK:
            return 0
        return pid if pid > 0 else None  # a process of another container has no number here
    return 0 if _lock(fd) else None
