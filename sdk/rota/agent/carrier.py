"""Carries what the spools hold to the collector, and removes what was acknowledged. One thread's work."""

from __future__ import annotations

import json
import os
import time
from typing import Callable

from rota.agent import ends
from rota.agent.bury import bury_unwatched
from rota.agent.limits import trim, trim_bad
from rota.agent.progress import Progress
from rota.agent.ship import Shipper
from rota.agent.spool import CHUNK_BYTES, SIGNALS, Chunk, Spool, is_rotated, signal_of, stem_of

_FILES_AT_ONCE = 512
_BACKLOG_SECONDS = 1.0  # of old files, before the living get their turn again
_CHUNKS_OF_A_LIVING = 8  # a file that grows faster than we ship must not keep us from the others
_MEMBER = {"logs": "resourceLogs", "traces": "resourceSpans"}


class _Part:
    """Some lines of one file, on their way. ``is_last``: the file, in ``left/``, is to be removed after them."""

    def __init__(self, spool: Spool, name: str, chunk: Chunk, is_last: bool = False) -> None:
        self.spool, self.name, self.chunk, self.is_last = spool, name, chunk, is_last
        self.good: list[bytes] = []
        self.bad: list[bytes] = []
        signal = signal_of(name)
        for line in chunk.lines:
            for piece in [line] if is_request(line, signal) else parted(line, signal):
                (self.good if is_request(piece, signal) else self.bad).append(piece)


class _Account:
    """What is remembered of one spool."""

    def __init__(self) -> None:
        self.progress = Progress()
        self.buried: set[str] = set()  # stems that say how their runs ended
        self.kept: set[str] = set()  # files with bad lines that could not be set aside
        self.resume_after = ""
        self.ahead: dict[str, tuple[int, int]] = {}  # name -> inode and offset of what is loaded, not yet delivered

    def forget_gone(self, live: list[str], left: list[str]) -> None:
        """Keep only what concerns files that are there."""
        self.progress.keep_only([*live, *left])
        self.buried &= {stem_of(name) for name in left}
        self.kept &= set(left)

    def offset(self, name: str, inode: int) -> int:
        """Where to read on."""
        ahead_inode, offset = self.ahead.get(name, (0, 0))
        return offset if ahead_inode == inode else self.progress.offset(name, inode)


class Carrier:
    """Ships files and keeps account.

    Args:
        shipper: delivers lines.
        report: takes one line of text for people, about something worth a look.
    """

    def __init__(self, shipper: Shipper, report: Callable[[str], None]) -> None:
        self.carried = self.set_aside = 0  # lines acknowledged; lines that nobody takes
        self.delivered_at = 0.0  # Unix time of the last acknowledgement
        self._shipper, self._report = shipper, report
        self._accounts: dict[str, _Account] = {}
        self._load: list[_Part] = []

    def round(self, spool: Spool, is_resident: bool) -> bool:
        """Carry what is new; whether there was anything. A resident also follows the files of living processes.

        Raises:
            Unavailable: the collector does not take it now.
        """
        before = self.carried + self.set_aside
        self._load = []
        account = self._account(spool)
        account.ahead.clear()
        live = spool.names(spool.live) if is_resident else []
        for name in live:
            self._take_live(spool, name)
        left = spool.names(spool.left)
        self._take_left(spool, left, time.monotonic() + _BACKLOG_SECONDS if is_resident else float("inf"))
        self._deliver()
        account.forget_gone(live, left)
        return self.carried + self.set_aside > before

    def trim(self, spool: Spool) -> None:
        """Keep what waits within its bounds: for when it is not taken."""
        try:
            if spool.is_owners():
                trim(spool, self._account(spool).progress, self._report)
        except OSError as error:
            self._say_unwritable(spool, error)

    def _take_live(self, spool: Spool, name: str) -> None:
        for _ in range(_CHUNKS_OF_A_LIVING):
            if not self._take(spool, spool.live, name):
                return
            self._deliver()

    def _take_left(self, spool: Spool, names: list[str], deadline: float) -> None:
        account = self._account(spool)
        after = account.resume_after
        for name in [n for n in names if n > after] + [n for n in names if n <= after]:
            self._bury(spool, name)
            while self._take(spool, spool.left, name):
                self._deliver_if_full()
            account.resume_after = name
            if time.monotonic() > deadline:
                return

    def _bury(self, spool: Spool, name: str) -> None:
        """See that the files of a dead process say how its runs ended, before they are carried and removed."""
        stem, buried = stem_of(name), self._account(spool).buried
        try:
            if stem not in buried and bury_unwatched(spool, stem):
                buried.add(stem)
        except OSError as error:
            self._say_unwritable(spool, error)

    def _take(self, spool: Spool, directory: str, name: str) -> bool:
        """Load the next lines of a file; whether there may be more."""
        account = self._account(spool)
        try:
            if directory == spool.live and self._has_nothing_new(spool, name):
                return False
            chunk = spool.read(directory, name, lambda inode: account.offset(name, inode))
        except FileNotFoundError:
            return False
        except OSError as error:  # a link, a pipe, another's file, a bad disk: it must not keep us from the others
            self._report("cannot read %s: %s" % (os.path.join(directory, name), error.strerror))
            return False
        is_end = chunk.next_offset == chunk.offset
        if not is_end or directory == spool.left:
            self._load.append(_Part(spool, name, chunk, is_last=is_end))
            account.ahead[name] = (chunk.inode, chunk.next_offset)
        return not is_end

    def _has_nothing_new(self, spool: Spool, name: str) -> bool:
        status = os.stat(os.path.join(spool.live, name))
        return status.st_size <= self._account(spool).offset(name, status.st_ino)

    def _deliver_if_full(self) -> None:
        size = sum(part.chunk.next_offset - part.chunk.offset for part in self._load)
        if size >= CHUNK_BYTES or len(self._load) >= _FILES_AT_ONCE:
            self._deliver()

    def _deliver(self) -> None:
        load, self._load = self._load, []
        for signal in SIGNALS:
            lines = [(part, line) for part in load if signal_of(part.name) == signal for line in part.good]
            refused = set(self._shipper.ship(signal, [line for _, line in lines])) if lines else set()
            self.carried += len(lines) - len(refused)
            self.delivered_at = time.time() if len(lines) > len(refused) else self.delivered_at
            for index in refused:
                part, line = lines[index]
                part.bad.append(line)
        for part in load:
            self._settle(part)

    def _settle(self, part: _Part) -> None:
        """The part's lines are delivered or refused for good: remember it, and remove the file when it was the last."""
        account = self._account(part.spool)
        try:
            if part.bad:
                account.kept.add(part.name)
                self._set_aside(part)
                account.kept.discard(part.name)
            if part.is_last and part.name not in account.kept:
                self._remove(part)
        except OSError as error:
            self._say_unwritable(part.spool, error)
        account.progress.advance(part.name, part.chunk.inode, part.chunk.next_offset)

    def _set_aside(self, part: _Part) -> None:
        part.spool.set_aside(part.name, part.bad)
        trim_bad(part.spool)
        self.set_aside += len(part.bad)
        self._report("%d unusable lines of %s are kept in %s" % (len(part.bad), part.name, part.spool.bad))

    def _remove(self, part: _Part) -> None:
        spool, name = part.spool, part.name
        with spool.mutex:
            claim = spool.claim_held(spool.left, name) if self._is_removable(spool, name) else None
            if claim is not None:
                with claim:
                    claim.unlink_if(part.chunk.inode, part.chunk.next_offset)

    def _is_removable(self, spool: Spool, name: str) -> bool:
        """Not before it says how its runs ended; of a living process, only what tells of no open run."""
        if signal_of(name) != "logs" or stem_of(name) in self._account(spool).buried:
            return stem_of(name) not in spool.watched or is_rotated(name)
        return is_rotated(name) and not ends.has_open(ends.read(spool.lines_held(spool.left, name)))

    def _say_unwritable(self, spool: Spool, error: OSError) -> None:
        self._report("cannot write in %s: %s. What is there is sent, but stays" % (spool.directory, error.strerror))

    def _account(self, spool: Spool) -> _Account:
        return self._accounts.setdefault(spool.directory, _Account())


def is_request(line: bytes, signal: str) -> bool:
    """Whether a line is JSON and looks like the OTLP request of its signal."""
    try:
        request = json.loads(line)
        return isinstance(request, dict) and isinstance(request.get(_MEMBER[signal]), list)
    except (ValueError, RecursionError):
        return False


def parted(line: bytes, signal: str) -> list[bytes]:
    """The two lines that it is when the newline between them was damaged; else itself. Inside a JSON text quotes are escaped."""
    second = line.find(b'{"%s":[' % _MEMBER[signal].encode("ascii"), 1)
    return [line] if second < 0 else [line[: second - 1], line[second:]]
