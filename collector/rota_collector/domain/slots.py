"""Slots: the occurrences that a schedule promises, and which run filled which of them. Pure.

Time is cut into stretches, one a slot: from the moment it opens (a while before it is due) until the next one opens.
A run belongs to the slot in whose stretch it started, so an occurrence is matched by time and not by what came last.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

VERDICTS = ("on_time", "early", "late", "missed", "skipped", "unknown")
HEARD_LATE = "the news came late"  # the reason of a verdict that a late fact corrected
TOO_EARLY = "it was due before rota watched this"  # the reason of the only `unknown` that stays so
_BEST_FIRST = ("on_time", "early", "late", "skipped")  # which of a slot's runs fills it
PUNCTUAL_NS = 60 * 10**9  # a start so much before its time is clock skew, not an early run


SHORTEST_GRACE_NS, LONGEST_GRACE_NS = 60 * 10**9, 15 * 60 * 10**9  # of a schedule that names none


class Schedule(Protocol):
    """What slots need of a schedule; times are Unix ns."""

    @property
    def period_ns(self) -> int | None:
        """Of an interval: its next occurrence counts from the last run. None: occurrences are points in time."""

    def next_after(self, at_ns: int) -> int | None:
        """The first occurrence strictly after ``at_ns``; None: never again."""


class Slot(NamedTuple):
    """One expected occurrence. Times are Unix ns; it keeps the limits of the policy under which it was opened."""

    due_ns: int  # its nominal time, and its name
    opens_ns: int  # runs that start from here on are its own
    deadline_ns: int  # when it counts as missed
    version: int  # of the policy that it is judged by
    verdict: str | None = None  # None: not judged yet
    reason: str | None = None
    run_id: str | None = None
    started_ns: int | None = None  # of that run
    revision: int = 0  # how often it was judged; more than once: a fact came late

    @property
    def is_settled(self) -> bool:
        """Whether time alone changes nothing about it any more; a run that comes to light still may."""
        return self.verdict is not None and (self.verdict != "unknown" or self.reason == TOO_EARLY)

    def judged(self, verdict: str, reason: str | None = None, run: Start | None = None) -> Slot:
        """This slot with another verdict; the same slot when nothing changes."""
        run_id, started_ns = (run.run_id, run.started_ns) if run else (None, None)
        if (verdict, run_id, started_ns) == (self.verdict, self.run_id, self.started_ns):
            return self
        return self._replace(
            verdict=verdict, reason=reason, run_id=run_id, started_ns=started_ns, revision=self.revision + 1
        )  # fmt: skip


class Start(NamedTuple):
    """What slots need of a run."""

    run_id: str
    started_ns: int
    slot_ns: int | None  # the slot that the run itself names
    is_skipped: bool


class Limits(NamedTuple):
    """How a slot is judged, in ns; of the policy ``version``."""

    grace_ns: int | None  # how late a run may start; None: a tenth of the gap, a minute at least and a quarter of an hour at most
    early_ns: int | None  # how long before its time a run may start and still fill the slot; None: as long as the grace
    version: int

    def grace_of(self, gap_ns: int) -> int:
        """How late a run may start, where the slot before lies ``gap_ns`` back."""
        if self.grace_ns is not None:
            return self.grace_ns
        return max(SHORTEST_GRACE_NS, min(gap_ns // 10, LONGEST_GRACE_NS))

    def slot(self, due_ns: int, gap_ns: int, opens_ns: int | None = None) -> Slot:
        """The slot of an occurrence."""
        grace_ns = self.grace_of(gap_ns)
        early_ns = min(grace_ns if self.early_ns is None else self.early_ns, gap_ns // 2)
        return Slot(due_ns, due_ns - early_ns if opens_ns is None else opens_ns, due_ns + grace_ns, self.version)


def planned(schedule: Schedule, limits: Limits, before: Slot | None, anchor_ns: int) -> Slot | None:
    """The slot after ``before``, or, when there is none, the first one after ``anchor_ns``. None: the schedule has ended."""
    if schedule.period_ns is not None:
        return _planned_interval(schedule.period_ns, limits, before, anchor_ns)
    after_ns = max(before.due_ns, anchor_ns) if before else anchor_ns
    due_ns = schedule.next_after(after_ns)
    if due_ns is None:
        return None
    return limits.slot(due_ns, due_ns - (before.due_ns if before else _occurrence_before(schedule, due_ns, anchor_ns)))


def _occurrence_before(schedule: Schedule, due_ns: int, anchor_ns: int) -> int:
    """Where a first slot's gap begins: schedules know only what follows, and most repeat, so it is measured forwards."""
    following_ns = schedule.next_after(due_ns)
    return anchor_ns if following_ns is None else due_ns - (following_ns - due_ns)


def _planned_interval(period_ns: int, limits: Limits, before: Slot | None, anchor_ns: int) -> Slot:
    """An interval counts from the last start. After a start, whatever comes next fills the next slot."""
    if before is None or before.due_ns < anchor_ns:
        return limits.slot(anchor_ns + period_ns, period_ns, anchor_ns)
    if before.started_ns is not None:
        return limits.slot(before.started_ns + period_ns, period_ns, before.started_ns + 1)
    return limits.slot(before.due_ns + period_ns, period_ns)


def fill(slots: Sequence[Slot], runs: Iterable[Start]) -> list[Slot]:
    """``slots`` (in order of time) with the verdicts that these runs give them. A slot that none of them fills stays as it is."""
    named = {slot.due_ns: i for i, slot in enumerate(slots)}
    opens = [slot.opens_ns for slot in slots]
    runs_of: dict[int, list[Start]] = {}
    for run in runs:  # to the slot that the run itself names, else to the last that was open when it started
        found = named.get(run.slot_ns) if run.slot_ns is not None else None
        found = bisect_right(opens, run.started_ns) - 1 if found is None else found
        if found >= 0:
            runs_of.setdefault(found, []).append(run)
    return [_filled(slot, runs_of[i]) if i in runs_of else slot for i, slot in enumerate(slots)]


def _filled(slot: Slot, runs: Sequence[Start]) -> Slot:
    best = min(runs, key=lambda run: (_BEST_FIRST.index(_verdict(slot, run)), run.started_ns, run.run_id))
    verdict = _verdict(slot, best)
    reason = HEARD_LATE if slot.verdict in ("missed", "unknown") and verdict in ("on_time", "early") else None
    return slot.judged(verdict, reason, best)


def _verdict(slot: Slot, run: Start) -> str:
    if run.is_skipped:
        return "skipped"
    if run.started_ns > slot.deadline_ns:
        return "late"
    tolerated_ns = min(PUNCTUAL_NS, (slot.due_ns - slot.opens_ns) or PUNCTUAL_NS)
    return "early" if run.started_ns < slot.due_ns - tolerated_ns else "on_time"
