"""``review`` is the one decision about an instance. Pure.

It looks at what is known, not at what just happened, so that any order, duplication or delay of the same facts ends in
the same verdicts and problems; it says when it wants to look again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from rota_collector.domain import problems
from rota_collector.domain.expect import Downtime, Expectation, Memory, Problem, Quiet, RunFact
from rota_collector.domain.problems import Case
from rota_collector.domain.slots import TOO_EARLY, Slot, Start, fill, planned

ALLOWANCE_NS = 300_000_000  # a start at the last moment needs this long to get here
MOST_SLOTS = 1000  # added by one review; what remains is the next one's


class Review(NamedTuple):
    """What a review found. ``problems`` are open, kinds in ``healed`` are over; other kinds stay as they are."""

    slots: list[Slot]  # those that are new or changed
    dropped: list[Slot]  # slots that will never be: the schedule was replaced, or a start moved what follows it
    problems: list[Problem]
    healed: dict[str, str]  # kind → why
    given_up: list[RunFact]  # runs that are over their max_duration, to be ended as timed_out
    next_ns: int | None  # when to look again although nothing happens


def review(
    expectation: Expectation,
    memory: Memory,
    slots: Sequence[Slot],
    runs: Sequence[RunFact],
    now_ns: int,
    *,
    quiet: Sequence[Quiet] = (),
    downtimes: Sequence[Downtime] = (),
    upstream_ends: Iterable[int] = (),
    sign_of_life: Callable[[str], int] = lambda _run_id: 0,
) -> Review:
    """Judge an instance at ``now_ns``.

    Args:
        expectation: what the policy in force asks.
        memory: what earlier reviews left.
        slots: the latest slots by due time: from the first that may still change, at least the last one.
        runs: its runs by start: those of the slots, all open ones, and the last that ended.
        now_ns: Unix ns; facts up to then are in ``runs``.
        quiet: pauses and maintenance windows that apply to it.
        downtimes: when nobody watched, lately.
        upstream_ends: when the upstream's runs succeeded (schedules of the kind ``after``), since the last slot.
        sign_of_life: run id → Unix ns of the last thing heard of it; asked only when a run seems silent.
    """
    kept = _still_planned(expectation, memory, slots)
    planned = _planned(expectation, memory, kept, upstream_ends, runs, now_ns)
    judged = [_judge(slot, memory, now_ns, quiet, downtimes) for slot in planned]
    before = {slot.due_ns: slot for slot in slots}
    stay = {slot.due_ns for slot in judged}
    case = Case(expectation, memory, judged, [run for run in runs if not _is_quiet(run, quiet)], now_ns, downtimes, sign_of_life)
    found = [
        problems.missed(case),
        problems.failed(case),
        problems.too_long(case),
        problems.too_short(case),
        problems.silent(case),
        problems.ruled(case),
    ]
    return Review(
        [slot for slot in judged if before.get(slot.due_ns) != slot],
        [slot for slot in slots if slot.due_ns not in stay],
        [each for each in found if isinstance(each, Problem)],
        dict(each for each in found if isinstance(each, tuple) and not isinstance(each, Problem)),
        [run for run in runs if run.is_open and _is_given_up(case, run)],
        min(_looks(case), default=None),
    )


# -- slots ---------------------------------------------------------------------------------------------------------------


def _still_planned(expectation: Expectation, memory: Memory, slots: Sequence[Slot]) -> list[Slot]:
    """``slots`` without those of a schedule that was replaced before they were due."""
    version, anchor_ns = expectation.limits.version, memory.anchor_ns
    return [slot for slot in slots if slot.verdict is not None or slot.version == version or slot.due_ns <= anchor_ns]


def _planned(
    expectation: Expectation,
    memory: Memory,
    slots: list[Slot],
    upstream_ends: Iterable[int],
    runs: Sequence[RunFact],
    now_ns: int,
) -> list[Slot]:
    """``slots`` and those that follow from the schedule by now, filled with ``runs``."""
    starts = [Start(run.run_id, run.started_ns, run.slot_ns, run.state == "skipped") for run in runs]
    known = {slot.due_ns for slot in slots}
    slots = slots + [expectation.limits.slot(at_ns, 0, at_ns) for at_ns in sorted(set(upstream_ends) - known)]
    slots = fill(slots, starts) if starts else slots
    schedule = expectation.schedule
    if schedule is None:
        return slots
    if schedule.period_ns is not None:  # a start that was heard of late moves what follows it
        while slots and slots[-1].verdict is None:
            slots.pop()
    last = slots[-1] if slots else None
    for _ in range(MOST_SLOTS):
        if last is not None and last.due_ns > now_ns and last.verdict is None:
            break
        last = planned(schedule, expectation.limits, last, memory.anchor_ns)
        if last is None:
            break
        known.add(last.due_ns)
        last = _first_filling(last, starts, known)
        slots.append(last)
    return fill(slots, starts) if starts else slots


def _first_filling(slot: Slot, starts: Sequence[Start], known: set[int]) -> Slot:
    """A new slot with those runs that do not belong to an earlier one; what follows an interval's slot depends on them."""
    own = [run for run in starts if run.slot_ns == slot.due_ns or (run.started_ns >= slot.opens_ns and run.slot_ns not in known)]
    return fill([slot], own)[0] if own else slot


def _judge(slot: Slot, memory: Memory, now_ns: int, quiet: Sequence[Quiet], downtimes: Sequence[Downtime]) -> Slot:
    """The verdict on a slot that no run fills; others have theirs."""
    if slot.run_id is not None or slot.verdict not in (None, "unknown") or now_ns < slot.deadline_ns + ALLOWANCE_NS:
        return slot
    for stretch in quiet:
        if stretch.covers(slot.due_ns):
            return slot.judged("skipped", stretch.reason)
    if slot.deadline_ns <= memory.watched_ns:
        return slot.judged("unknown", TOO_EARLY)
    down = problems.downtime_of(slot, downtimes)
    if down is not None and now_ns < down.settled_ns:
        return slot.judged("unknown", down.said)
    return slot.judged("missed", None if down is None else f"found after {down.said}")


def _is_given_up(case: Case, run: RunFact) -> bool:
    most_ns = case.expectation.max_duration_ns
    return most_ns is not None and problems.settled_ns(case, run.started_ns + most_ns) <= case.now_ns


def _is_quiet(run: RunFact, quiet: Sequence[Quiet]) -> bool:
    return any(stretch.covers(run.ended_ns or run.started_ns) for stretch in quiet)


# -- when to look again --------------------------------------------------------------------------------------------------


def _looks(case: Case) -> Iterator[int]:
    """Each moment from which on the answer may differ although nothing happens."""
    for slot in case.slots:
        if slot.verdict is None:
            yield slot.deadline_ns + ALLOWANCE_NS
        elif slot.verdict == "unknown":
            down = problems.downtime_of(slot, case.downtimes)
            if down is not None and down.settled_ns > case.now_ns:
                yield down.settled_ns
    if case.slots and case.slots[-1].due_ns <= case.now_ns and case.expectation.schedule is not None:
        yield case.now_ns  # there are more slots than one review adds
    for run in case.runs:
        if run.is_open:
            yield from _looks_at(case, run)


def _looks_at(case: Case, run: RunFact) -> Iterator[int]:
    limit_ns = problems.limit_ns_of(case, run)
    if limit_ns is not None and problems.settled_ns(case, limit_ns) > case.now_ns:
        yield problems.settled_ns(case, limit_ns)
    if case.expectation.silence_ns is not None:
        at_ns = problems.settled_ns(case, problems.last_sign(case, run) + case.expectation.silence_ns)
        if at_ns > case.now_ns:
            yield at_ns
