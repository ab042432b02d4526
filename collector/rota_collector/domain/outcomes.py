"""What became of the last occurrences of a workflow, told in one word each. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rota.rules.usual import LATEST, usual

KEPT = 30  # occurrences
READ = max(KEPT, LATEST + 1)  # runs that are looked at
NOTED = ("late", "missed", "unknown", "skipped")  # verdicts that say what a run's state alone does not
_SECOND = 10**9


class Runs(NamedTuple):
    """The last runs of a workflow, the newest first, a list for each thing. Times are Unix ns."""

    ids: Sequence[str]
    states: Sequence[str]
    at_ns: Sequence[int]  # when each is listed: its start, as far as that is known
    ended_ns: Sequence[int | None]


class Noted(NamedTuple):
    """A slot whose verdict is one of ``NOTED``."""

    due_ns: int
    verdict: str
    run_id: str | None


def outcomes(runs: Runs, noted: Sequence[Noted]) -> list[str]:
    """One word for each of the last occurrences, the oldest first.

    That of a run is its state, but ``late`` when it succeeded and came late to its slot; that of a slot to which no run came
    is its verdict.
    """
    if not noted:
        return list(runs.states[:KEPT])[::-1]
    late = {slot.run_id for slot in noted if slot.verdict == "late"}
    found = [
        (at, "late" if state == "succeeded" and run_id in late else state)
        for run_id, state, at in zip(runs.ids, runs.states, runs.at_ns, strict=True)
    ]
    found += [(slot.due_ns, slot.verdict) for slot in noted if slot.run_id is None]
    found.sort()
    return [word for _, word in found[-KEPT:]]


def usual_ns(runs: Runs) -> tuple[int, int] | None:
    """The usual band, in ns, of the successful runs before the newest."""
    ended = zip(runs.states[1:], runs.at_ns[1:], runs.ended_ns[1:], strict=True)
    band = usual([(end - at) / _SECOND for state, at, end in ended if state == "succeeded" and end is not None])
    return None if band is None else (round(band[0] * _SECOND), round(band[1] * _SECOND))
