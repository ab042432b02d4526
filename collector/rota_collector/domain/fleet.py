"""What the whole fleet tells of a failure: who else failed the same way, and who ran well meanwhile. Pure.

A failure's *key* is its error type and message without what changes from run to run: two failures with one key probably have one
cause. Whether that cause passes by itself cannot be known from one workflow that runs once a night; all those together that share
the key tell it.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_SECOND = 10**9
_CHANGING = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8}-[0-9a-f-]{27}|\d+|'[^']*'|\"[^\"]*\"|/[\w./-]+")
_LONGEST_KEY = 120
_SOON_NS = 6 * 3600 * _SECOND
_FEWEST = 8  # next runs that tell anything
_PASSES, _STAYS = 0.93, 0.5  # the share of them that was well


class Past(NamedTuple):
    """A run that ended. Times are Unix ns. ``failure``: its key, None when it did not fail."""

    run_id: str
    workflow: str
    started_ns: int
    ended_ns: int
    failure: str | None = None
    message: str = ""


def key_of(state: str, error_type: str | None, message: str | None, exit_code: int | None) -> str | None:
    """The key of a run that ended so; None for one that did not fail, or was ended by somebody."""
    if state not in ("failed", "timed_out", "crashed"):
        return None
    if error_type:
        return f"{error_type}: {_CHANGING.sub('…', message or '')}"[:_LONGEST_KEY]
    return f"exit {exit_code}" if exit_code is not None else state


class Fleet:
    """The past of all workflows, asked by failure."""

    def __init__(self, past: Iterable[Past]) -> None:
        self._by_workflow: dict[str, list[Past]] = defaultdict(list)
        for run in sorted(past, key=lambda run: run.started_ns):
            self._by_workflow[run.workflow].append(run)
        self._starts = {name: [run.started_ns for run in runs] for name, runs in self._by_workflow.items()}
        self._failed: dict[str, list[Past]] = defaultdict(list)
        for runs in self._by_workflow.values():
            for run in runs:
                if run.failure is not None:
                    self._failed[run.failure].append(run)
        for failures in self._failed.values():
            failures.sort(key=lambda run: run.started_ns)
        self._failed_starts = {key: [run.started_ns for run in failures] for key, failures in self._failed.items()}
        self._passing: dict[str, tuple[int, int]] = {}

    def of(self, workflow: str) -> Sequence[Past]:
        """Its runs, by start."""
        return self._by_workflow.get(workflow, ())

    def next_of(self, run: Past) -> Past | None:
        """The workflow's first run that started after this one ended."""
        runs, starts = self._by_workflow[run.workflow], self._starts[run.workflow]
        place = bisect_left(starts, run.ended_ns)
        return runs[place] if place < len(runs) else None

    def passed(self, failure: Past, horizon_ns: int) -> bool | None:
        """Whether its cause was gone within the horizon; None: nothing tells.

        The workflow's own next run tells most; then what became meanwhile of others that failed the same way at other times;
        then how often that failure was still there, among all who ran again soon.
        """
        after = self.next_of(failure)
        if after is not None and after.started_ns <= failure.ended_ns + horizon_ns:
            return after.failure is None
        if after is not None and after.failure == failure.failure:
            return False  # it was there the next time, too
        meanwhile = self._meanwhile(failure, horizon_ns)
        return meanwhile if meanwhile is not None else self._usually(failure)

    def _meanwhile(self, failure: Past, horizon_ns: int) -> bool | None:
        """What others tell that had the same failure at about the same time: it is a cause that they share."""
        assert failure.failure is not None
        near = self._alike(failure.failure, failure.ended_ns - horizon_ns, failure.ended_ns + 2 * horizon_ns)
        others = {run.workflow for run in near} - {failure.workflow}
        if not others:
            return None
        last_failed = max(run.started_ns for run in near)
        if last_failed > failure.ended_ns + horizon_ns:
            return False
        since = max(last_failed, failure.started_ns)
        well = (run for name in others for run in self._runs_of(name, since, failure.ended_ns + horizon_ns))
        return True if any(run.failure is None for run in well) else None

    def _usually(self, failure: Past) -> bool | None:
        """What the next runs tell of all that failed like that and ran again soon: if it was there for hardly any of them, it is
        a cause that is gone at once.
        """
        passed, stayed = self._counted(str(failure.failure))
        if passed + stayed < _FEWEST:
            return None
        share = passed / (passed + stayed)
        return True if share >= _PASSES else False if share <= _STAYS else None

    def _counted(self, key: str) -> tuple[int, int]:
        """(how often the next run was well, how often it was not) after a failure with this key, of those that came soon."""
        if key not in self._passing:
            nexts = [(failure, self.next_of(failure)) for failure in self._failed[key]]
            soon = [run for failure, run in nexts if run is not None and run.started_ns - failure.ended_ns <= _SOON_NS]
            stayed = sum(run.failure is not None for run in soon)
            self._passing[key] = len(soon) - stayed, stayed
        return self._passing[key]

    def _runs_of(self, workflow: str, since_ns: int, until_ns: int) -> Sequence[Past]:
        starts = self._starts[workflow]
        return self._by_workflow[workflow][bisect_right(starts, since_ns) : bisect_right(starts, until_ns)]

    def _alike(self, key: str, since_ns: int, until_ns: int) -> Sequence[Past]:
        """Failures with that key that began then."""
        starts = self._failed_starts[key]
        return self._failed[key][bisect_left(starts, since_ns) : bisect_right(starts, until_ns)]


def seconds(length: float) -> int:
    """In ns."""
    return round(length * _SECOND)
