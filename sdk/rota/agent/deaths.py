"""Which processes are watched, and what is done when one of them ends."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from typing import Callable, Collection

from rota.agent import cgroup, ends, witness
from rota.agent.bury import bury, bury_unwatched, log_lines
from rota.agent.spool import Spool, stem_of
from rota.wire import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rota.agent.sample import Sampled

_MOST_WATCHED = 4096
_REAP_SECONDS = 1.0  # how long the parent may take to reap, until we say that nobody told the status
_SETTLE_SECONDS = 60.0  # how long we try to write it down, until we leave the files to whoever finds them
SOON_SECONDS = 0.02
SCAN_SECONDS, SECOND_LOOK_SECONDS = 0.6, 0.1  # together less than a second: one who said no hello and dies is noticed in that


class Watched:
    """A process and its files. ``ended_at_ns`` is 0 while it lives."""

    def __init__(self, pid: int, pidfd: int, spool: Spool, stem: str) -> None:
        self.pid, self.pidfd, self.spool, self.stem = pid, pidfd, spool, stem
        self.watched_at = time.monotonic()
        self.sampled: Sampled | None = None
        self.oom_kills: cgroup.OomKills | None = None
        self.is_oom = False  # there was one of them as the process ended
        self.ended_at_ns = 0
        self.noticed_at = 0.0  # monotonic
        self.is_told = False  # whether ``ending`` is the kernel's last word on it, None included
        self.ending: witness.Ending | None = None

    def used(self) -> dict[str, object]:
        """What it used as far as it was sampled, as attributes of its ending."""
        usage = self.sampled.usage if self.sampled else None
        if not self.sampled or not usage:
            return {}
        return {
            names.CPU_USER: usage.user_seconds,
            names.CPU_SYSTEM: usage.system_seconds,
            names.MEMORY_PEAK: self.sampled.peak_bytes,
            names.MEASURED_BY: "samples",
        }

    def is_there(self) -> bool:
        """Whether it lives or is still unreaped: so that what was read under its number was about it."""
        try:
            signal.pidfd_send_signal(self.pidfd, 0)
        except PermissionError:
            return True
        except OSError:
            return False
        return True


class Deaths:
    """The watched processes. Everything here is the work of the loop's thread and never waits.

    Args:
        selector: where their pidfds are waited for.
        report: takes one line of text for people.
        on_buried: called when the files of one are ready to be carried.
    """

    def __init__(
        self, selector: selectors.BaseSelector, report: Callable[[str], None], on_buried: Callable[[], None] = lambda: None
    ) -> None:
        self._selector, self._report, self._on_buried = selector, report, on_buried
        self._unsettled: list[Watched] = []
        self._suspects: set[tuple[str, str]] = set()

    def watch(self, pid: int, pidfd: int, spool: Spool, stem: str) -> None:
        """Wait for that process's end; its files are nobody else's until then."""
        if stem in spool.watched or len(self._selector.get_map()) >= _MOST_WATCHED:
            os.close(pidfd)  # of too many, the rest is looked for in the files, now and then
            return
        with spool.mutex:
            spool.watched.add(stem)
        watched = Watched(pid, pidfd, spool, stem)
        kills = cgroup.oom_kills(pid)
        watched.oom_kills = kills if watched.is_there() else None  # else the number may be another's, in another group
        self._selector.register(pidfd, selectors.EVENT_READ, watched)

    def notice(self, watched: Watched) -> None:
        """Its pidfd became readable: it has ended. How, is asked again in ``settle`` if nobody tells yet."""
        self._selector.unregister(watched.pidfd)
        watched.ended_at_ns, watched.noticed_at = time.time_ns(), time.monotonic()
        watched.is_oom = watched.oom_kills is not None and watched.oom_kills.has_risen()  # now: its group may be gone soon
        self._unsettled.append(watched)
        self.settle()

    @property
    def next_look_seconds(self) -> float:
        """How long the loop may sleep before it calls ``settle`` again."""
        return SCAN_SECONDS if all(watched.is_told for watched in self._unsettled) else SOON_SECONDS

    def living(self) -> list[Watched]:
        """Those that have not ended."""
        return [key.data for key in self._selector.get_map().values() if isinstance(key.data, Watched)]

    def look_at_groups(self) -> None:
        """Remember how often processes were killed for want of memory in the groups of the living."""
        for watched in self.living():
            if watched.oom_kills is not None:
                watched.oom_kills.look()

    def settle(self) -> None:
        """Bury the ended processes whose status is known, or will not become known."""
        self._unsettled = [watched for watched in self._unsettled if not self._settle(watched)]

    def find(self, spool: Spool) -> bool:
        """Look through ``live/`` for processes that said no hello: watch the living, bury the dead.

        A dead one is buried at the second look only: its hello may still wait at the door, and then its exit status is to be had.
        Whether there is one of whom this was the first look.
        """
        before = set(self._suspects)
        stems = {stem_of(name) for name in spool.names(spool.live)} - spool.watched
        for stem in sorted(stems):
            self._look_at(spool, stem)
        self._suspects = {suspect for suspect in self._suspects if suspect[0] != spool.directory or suspect[1] in stems}
        return not self._suspects <= before

    def _look_at(self, spool: Spool, stem: str) -> None:
        with spool.mutex:
            pid = spool.holder_held(stem)
        if pid == 0 and (spool.directory, stem) in self._suspects:
            self._bury_unwatched(spool, stem)
        elif pid == 0:
            self._suspects.add((spool.directory, stem))
        elif pid is not None:
            self._watch_holder(pid, spool, stem)

    def _bury_unwatched(self, spool: Spool, stem: str) -> None:
        try:
            if bury_unwatched(spool, stem):
                self._on_buried()
        except OSError as error:
            self._say_unwritable(spool, error)

    def end(self, run_ids: Collection[str]) -> set[str]:
        """Ask the processes whose runs these are to end, with SIGTERM; the runs whose process was asked. The others are not of
        ours, or have others beside them in their process.
        """
        asked: set[str] = set()
        for watched in self.living():
            with watched.spool.mutex:
                told = ends.read(log_lines(watched.spool, watched.spool.parts(watched.stem)))
            own = {run_id for run_id, run in told.items() if not (run.is_part or run.is_inner or run.end_state)}
            if own & set(run_ids):
                with contextlib.suppress(OSError):
                    signal.pidfd_send_signal(watched.pidfd, signal.SIGTERM)
                    asked |= own & set(run_ids)
        return asked

    def close(self) -> None:
        """Forget all of them; they are found again after a restart."""
        for watched in self.living():
            self._selector.unregister(watched.pidfd)
            os.close(watched.pidfd)

    def _watch_holder(self, pid: int, spool: Spool, stem: str) -> None:
        pidfd = witness.open_pidfd(pid)
        if pidfd is None:
            return
        with spool.mutex:
            is_same = spool.holder_held(stem) == pid  # else it ended meanwhile, and the number may be another's
        if is_same:
            self.watch(pid, pidfd, spool, stem)
        else:
            os.close(pidfd)

    def _settle(self, watched: Watched) -> bool:
        """Whether it is done with."""
        waited_seconds = time.monotonic() - watched.noticed_at
        if not watched.is_told:
            status = witness.wait_status(watched.pidfd, watched.pid)
            watched.is_told = status is not None or waited_seconds > _REAP_SECONDS
            watched.ending = None if status is None else _ending(status, watched.is_oom)
        if not watched.is_told or not (self._bury(watched) or waited_seconds > _SETTLE_SECONDS):
            return False
        with watched.spool.mutex:
            watched.spool.watched.discard(watched.stem)
        os.close(watched.pidfd)
        self._on_buried()
        return True

    def _bury(self, watched: Watched) -> bool:
        try:
            return bury(watched.spool, watched.stem, watched.ending, watched.ended_at_ns, watched.used())
        except OSError as error:
            self._say_unwritable(watched.spool, error)
            return False

    def _say_unwritable(self, spool: Spool, error: OSError) -> None:
        self._report("cannot write in %s: %s. Ends are not noted there" % (spool.directory, error.strerror))


def _ending(status: int, is_oom: bool) -> witness.Ending:
    """Only SIGKILL is how the kernel takes memory back."""
    found = witness.ending(status)
    return found._replace(is_oom=is_oom and found.signal == signal.SIGKILL)
