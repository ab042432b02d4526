"""Retention: a loop that forgets what is old, copies what the journal holds alone, and deletes what nobody needs of it.

Nothing waits for it. What fails is said, told by ``/readyz``, and tried again: until it works, the journal is kept.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sqlalchemy import Engine

from rota_collector import _files, home
from rota_collector.clock import Clock
from rota_collector.config import Keep
from rota_collector.domain.retention import Segment, is_worth_compacting, judge, size_cutoff
from rota_collector.log import say
from rota_collector.store import copies, database, forgetting
from rota_collector.store.telemetry import Telemetry

STEP_SECONDS = 2.0
_FORGET_SECONDS = 600.0  # between two looks for what is too old
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 60.0, 3600.0  # before something that failed is tried again
_SIZED = ("spans", "logs", "metrics")  # what goes when telemetry is too large


class Retention(threading.Thread):
    """Keeps the home ``directory`` small.

    ``reserve`` is the number of bytes that it leaves free on the disk; ``cursors`` tells up to where each reader of the
    journal is, for good; ``renew`` ends the process, for the next one to open the database that was written anew.
    """

    def __init__(
        self,
        directory: Path,
        telemetry: Telemetry,
        control: Engine,
        keep: Keep,
        reserve: int,
        cursors: Callable[[], Sequence[int]],
        clock: Clock,
        renew: Callable[[], None],
    ) -> None:
        super().__init__(name="rota-retention", daemon=True)
        self._home, self._telemetry, self._control, self._keep = directory, telemetry, control, keep
        self._reserve, self._cursors, self._clock, self._renew = reserve, cursors, clock, renew
        self._stopping = threading.Event()
        self._forgets_at = float("-inf")
        self._wait_seconds = _FIRST_WAIT_SECONDS
        self.trouble: str | None = None  # why the last step failed; None while all is well

    def stop(self, seconds: float) -> None:
        """Give up what takes long, and end within ``seconds``."""
        self._stopping.set()
        if self.ident is not None:
            self.join(seconds)

    def run(self) -> None:
        """Step until stopped."""
        wait_seconds = STEP_SECONDS
        while not self._stopping.wait(wait_seconds):
            try:
                self.step()
                self.trouble, self._wait_seconds, wait_seconds = None, _FIRST_WAIT_SECONDS, STEP_SECONDS
            except Exception as error:  # noqa: BLE001 (who gives up fills the disk)
                wait_seconds = self._wait_seconds
                self._wait_seconds = min(2 * wait_seconds, _LONGEST_WAIT_SECONDS)
                self._complain(f"{type(error).__name__}: {error}", wait_seconds)

    def step(self) -> None:
        """One look at everything."""
        if self._clock.monotonic() >= self._forgets_at:
            self._forgets_at = self._clock.monotonic() + _FORGET_SECONDS
            self._forget()
        self._shorten_journal()
        if (self._home / home.VACUUM).exists() or is_worth_compacting(*reversed(self._telemetry.size())):
            self._compact()

    # -- the stores -----------------------------------------------------------------------------------------------------

    def _forget(self) -> None:
        now_ns = self._clock.now_ns()
        ages: Mapping[str, int | None] = {
            "spans": self._keep.spans_ns, "logs": self._keep.logs_ns, "metrics": self._keep.metrics_ns, "runs": self._keep.runs_ns
        }  # fmt: skip
        for what, age_ns in ages.items():
            if age_ns is not None:
                self._telemetry.forget(what, now_ns - age_ns, self._stopping)
        if self._keep.runs_ns is not None:
            while forgetting.forget(self._control, now_ns - self._keep.runs_ns) and not self._stopping.is_set():
                self._stopping.wait(0.01)  # others want to write, too
        forgetting.forget_facts(self._control, now_ns)
        self._forget_by_size(now_ns)

    def _forget_by_size(self, now_ns: int) -> None:
        if self._keep.telemetry_bytes is None:
            return
        size = self._telemetry.size()
        oldest = [time for time in map(self._telemetry.oldest, _SIZED) if time is not None]
        cutoff = size_cutoff(min(oldest, default=now_ns), now_ns, size.total - size.free, self._keep.telemetry_bytes)
        for what in _SIZED if cutoff is not None else ():
            self._telemetry.forget(what, cutoff or 0, self._stopping)

    def _compact(self) -> None:
        """Write telemetry anew, beside, from a copy; what comes meanwhile is applied by the next process."""
        copy = self._copy()
        target = database.compacted(self._home / copies.TELEMETRY)
        copies.run_aside("compact", [copy.directory / copies.TELEMETRY, target], self._stopping)
        (self._home / home.VACUUM).unlink(missing_ok=True)
        self._renew()

    # -- the journal ----------------------------------------------------------------------------------------------------

    def _shorten_journal(self) -> None:
        copy = copies.latest(self._home / "copies")
        verdict = judge(
            segments(self._home / "journal"), self._keep, self._clock.now_ns(), self._cursors(), copy.offset if copy else 0
        )
        if verdict.deletable:
            self._remove(verdict.deletable)
        elif verdict.wants_copy:
            self._copy()

    def _copy(self) -> copies.Copy:
        copy = copies.make(self._home, self._telemetry, self._stopping, self._reserve)
        self._remove(())
        return copy

    def _remove(self, deletable: Sequence[Segment]) -> None:
        """Also the copies that a newer one replaces; nothing while somebody makes a backup of it."""
        with home.holding_journal(self._home, to_delete=True) as is_mine:
            if is_mine:
                copies.remove_older(self._home)
                for segment in deletable:
                    _files.segment_path(self._home / "journal", segment.first).unlink()
                _files.sync_directory(self._home / "journal")

    def _complain(self, trouble: str, wait_seconds: float) -> None:
        if not self._stopping.is_set():
            self.trouble = trouble
            say(f"retention: trying again in {wait_seconds:g} s: {trouble}", "warn", "retention")


def segments(journal: Path) -> list[Segment]:
    """The segments of a journal, in order. The last one may be growing."""
    found = [(first, path.stat()) for first, path in _files.segments(journal)]
    firsts = [first for first, _ in found]
    ends = [*firsts[1:], firsts[-1] + found[-1][1].st_size] if found else []
    return [Segment(first, end, about.st_mtime_ns) for (first, about), end in zip(found, ends, strict=True)]
