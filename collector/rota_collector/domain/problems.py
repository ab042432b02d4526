"""What is wrong with an instance: six questions to what is known of its slots and runs. Pure.

Each answers with a Problem, with (kind, why it is over), or with None: the incident, if there is one, stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rota.rules.durations import words
from rota_collector.domain.expect import BAD, Downtime, Expectation, Memory, Problem, RunFact
from rota_collector.domain.slots import HEARD_LATE, Slot

SHORTEST_OVERRUN_NS = 3600 * 10**9  # nobody is told sooner about a run without max_duration that does not end
_SECOND = 10**9

Found = Problem | tuple[str, str] | None


class Case(NamedTuple):
    """An instance at a moment: everything that the questions look at."""

    expectation: Expectation
    memory: Memory
    slots: Sequence[Slot]
    runs: Sequence[RunFact]
    now_ns: int
    downtimes: Sequence[Downtime]
    sign_of_life: Callable[[str], int]


def downtime_of(slot: Slot, downtimes: Sequence[Downtime]) -> Downtime | None:
    """The downtime in which news of a slot may have got stuck: the one that ended last."""
    overlapping = [down for down in downtimes if down.from_ns <= slot.deadline_ns and slot.opens_ns < down.until_ns]
    return max(overlapping, key=lambda down: down.settled_ns, default=None)


def missed(case: Case) -> Found:
    """No run came to the last slot that was judged."""
    slot = next((slot for slot in reversed(case.slots) if slot.verdict not in (None, "skipped", "unknown")), None)
    if slot is None:
        return ("missed", "nothing is scheduled any more") if case.expectation.schedule is None and not case.slots else None
    if slot.verdict == "missed":
        if slot.deadline_ns <= case.memory.forgiven_ns:
            return None
        down = downtime_of(slot, case.downtimes)
        since_ns = _streak(case.slots, slot).due_ns
        grace = words((slot.deadline_ns - slot.due_ns) / _SECOND)
        summary = f"no run started within {grace} of its time"
        return Problem("missed", since_ns, summary, slot.deadline_ns, None, slot.due_ns, None, down.id if down else None)
    if slot.reason == HEARD_LATE:
        return "missed", "it did run, the news came late"
    good = _successes(case)
    return ("missed", "a run succeeded") if good and good[-1].started_ns >= slot.opens_ns else None


def _streak(slots: Sequence[Slot], last: Slot) -> Slot:
    """The first of the slots that were missed in a row up to ``last``."""
    first = last
    for slot in reversed(slots):
        if slot.due_ns < last.due_ns and slot.verdict not in ("missed", "skipped", "unknown"):
            break
        first = slot if slot.verdict == "missed" else first
    return first


def _ended(case: Case) -> list[RunFact]:
    """The runs whose outcome counts, by their end."""
    counted = [run for run in case.runs if run.state == "succeeded" or run.state in BAD]
    return sorted(counted, key=lambda run: (run.ended_ns or run.started_ns, run.run_id))


def _successes(case: Case) -> list[RunFact]:
    """The last runs, as many as it takes to close an incident, when all of them succeeded; else none."""
    last = _ended(case)[-case.expectation.successes :]
    return last if len(last) == case.expectation.successes and all(run.state == "succeeded" for run in last) else []


def failed(case: Case) -> Found:
    """So many of the last runs failed that people want to know."""
    needed = case.expectation.failures
    streak: list[RunFact] = []
    for run in reversed(_ended(case)):
        if run.state == "succeeded" or (run.ended_ns or 0) <= case.memory.forgiven_ns:
            break
        if not run.was_given_up:  # that is a matter of its length
            streak.append(run)
    if needed is not None and len(streak) >= needed:
        last = streak[0]
        said = f"the run {last.state.replace('_', ' ')}" if needed == 1 else f"{len(streak)} runs in a row failed"
        return Problem("failed", streak[-1].ended_ns or 0, said, last.ended_ns or 0, last.run_id, None, last.error)
    return ("failed", "a run succeeded") if _successes(case) else None


def too_long(case: Case) -> Found:
    """A run takes, or took, longer than it may."""
    limits = [(run, limit_ns_of(case, run)) for run in case.runs if run.is_open]
    over = [(run, limit) for run, limit in limits if limit is not None and case.memory.forgiven_ns < limit]
    over = [(run, limit) for run, limit in over if settled_ns(case, limit) <= case.now_ns]
    if over:
        run, limit = min(over, key=lambda each: each[1])
        return _long(case, run, limit, f"still running after {words((case.now_ns - run.started_ns) / _SECOND)}")
    last = next(reversed(_ended(case)), None)
    most_ns = case.expectation.max_duration_ns
    if last is None or most_ns is None:
        return ("too_long", "it ended") if not over else None
    if is_over(last, most_ns, last.ended_ns or 0):
        limit = last.started_ns + most_ns
        took = words(((last.ended_ns or 0) - last.started_ns) / _SECOND)
        said = "no end was heard of" if last.was_given_up else f"it took {took}"
        return _long(case, last, limit, said) if case.memory.forgiven_ns < limit else None
    good = _successes(case)
    return (
        ("too_long", "a run ended in time")
        if good and not any(is_over(run, most_ns, run.ended_ns or 0) for run in good)
        else None
    )


def _long(case: Case, run: RunFact, limit_ns: int, said: str) -> Problem:
    most_ns = case.expectation.max_duration_ns
    expected = f"at most {words(most_ns / _SECOND)} are expected" if most_ns is not None else "its next run is due already"
    return Problem("too_long", limit_ns, f"{said}; {expected}", limit_ns, run.run_id, None, run.error)


def settled_ns(case: Case, at_ns: int) -> int:
    """``at_ns``, or, when we were away then, when the news from that time has had its chance to arrive."""
    return max([at_ns, *(down.settled_ns for down in case.downtimes if down.from_ns <= at_ns < down.settled_ns)])


def is_over(run: RunFact, most_ns: int | None, at_ns: int) -> bool:
    """Whether a run has taken longer than ``most_ns`` by ``at_ns``."""
    return most_ns is not None and at_ns - run.started_ns >= most_ns


def limit_ns_of(case: Case, run: RunFact) -> int | None:
    """When an open run has taken too long. Without max_duration: when its successor is late too, and an hour at the least."""
    if case.expectation.max_duration_ns is not None:
        return run.started_ns + case.expectation.max_duration_ns
    following = next((slot for slot in case.slots if slot.opens_ns > run.started_ns), None)
    return None if following is None else max(following.deadline_ns, run.started_ns + SHORTEST_OVERRUN_NS)


def too_short(case: Case) -> Found:
    """The last run succeeded suspiciously fast."""
    least_ns, good = case.expectation.min_duration_ns, _successes(case)
    if least_ns is None:
        return "too_short", "nothing is expected of its length any more"
    last = next((run for run in reversed(_ended(case)) if run.state == "succeeded"), None)
    if last is not None and _is_short(last, least_ns) and (last.ended_ns or 0) > case.memory.forgiven_ns:
        took = words(((last.ended_ns or 0) - last.started_ns) / _SECOND)
        said = f"it took {took}; at least {words(least_ns / _SECOND)} are expected"
        return Problem("too_short", last.ended_ns or 0, said, last.ended_ns or 0, last.run_id)
    return ("too_short", "a run took its time") if good and not any(_is_short(run, least_ns) for run in good) else None


def _is_short(run: RunFact, least_ns: int) -> bool:
    return run.has_start and run.ended_ns is not None and run.ended_ns - run.started_ns < least_ns


def silent(case: Case) -> Found:
    """Nothing is heard of a run that has not ended."""
    quiet_ns = case.expectation.silence_ns
    if quiet_ns is None:
        return "silent", "no sign of life is expected any more"
    for run in case.runs:
        heard_ns = last_sign(case, run) if run.is_open else 0
        due_ns = heard_ns + quiet_ns
        if run.is_open and settled_ns(case, due_ns) <= case.now_ns and due_ns > case.memory.forgiven_ns:
            said = f"nothing was heard of the run for {words((case.now_ns - heard_ns) / _SECOND)}"
            return Problem("silent", heard_ns, said, due_ns, run.run_id)
    return "silent", "it was heard of again"


def last_sign(case: Case, run: RunFact) -> int:
    """When something was last heard of a run; the expensive question only when the cheap one says: too long ago."""
    heard_ns = max(run.heard_ns, run.started_ns)
    if heard_ns + (case.expectation.silence_ns or 0) > case.now_ns:
        return heard_ns
    return max(heard_ns, case.sign_of_life(run.run_id))


def ruled(case: Case) -> Found:
    """A rule of the policy wanted people to know of a run, and no later one succeeded without it."""
    alerted = [run for run in case.runs if run.alerted is not None and run.alerted_ns > case.memory.forgiven_ns]
    good = _successes(case)
    if good and not any(run.alerted for run in good) and all(run.started_ns < good[-1].started_ns for run in alerted):
        return "rule", "a run succeeded, and no rule objected"
    if not alerted:
        return None
    last = alerted[-1]
    return Problem("rule", last.alerted_ns, str(last.alerted), last.alerted_ns, last.run_id, None, last.error)
