"""What watched processes use, sampled from outside: one pass over ``/proc`` for all of them.

A sample is of a process and all that descend from it. Memory that they share counts with each of them; what a process that
nobody waited for used is lost with it, so a sum stays where it was until the others pass it.
"""

from __future__ import annotations

import os
import time
from itertools import islice
from typing import Callable, Iterable, NamedTuple

from rota import __version__
from rota.agent import ends
from rota.agent.deaths import Watched
from rota.agent.processes import Process, all_processes, disk_bytes, families, usable_cpus
from rota.agent.spool import Spool, signal_of
from rota.wire import events, metrics, names

_RUNS_A_LINE = 128
_LINES_LOOKED_AT = 64  # of the process's file, for the run that the process is: it stands at the top
_OF_THE_TIME = 400  # of a core passes take at most one part in so many: where there are many processes, we look less often


class Usage(NamedTuple):
    """What a process and its descendants have used by a time, and use then. Of disks None: not ours to know."""

    at_ns: int
    user_seconds: float
    system_seconds: float
    resident_bytes: int
    read_bytes: int | None
    written_bytes: int | None
    processes: int
    threads: int


class Sampled:
    """What is remembered of a watched process."""

    def __init__(self, run: ends.Told | None) -> None:
        self.run = run  # None: the process is no run, but runs some, or belongs to one
        self.family: list[Process] = []
        self.usage: Usage | None = None
        self.peak_bytes = 0


class Sampler:
    """Samples watched processes. Of one thread.

    Args:
        interval_seconds: between two samples of a process, and before its first; 0: never.
        clock: monotonic seconds.
        spent: CPU seconds of this thread.
    """

    def __init__(
        self, interval_seconds: float, clock: Callable[[], float] = time.monotonic, spent: Callable[[], float] = time.thread_time
    ) -> None:
        self._interval_seconds, self._clock, self._spent = interval_seconds, clock, spent
        self._next_at = clock() + interval_seconds

    def is_due(self) -> bool:
        """Whether it is time for the next pass."""
        return self._interval_seconds > 0 and self._clock() >= self._next_at

    def lines(self, watched: Iterable[Watched]) -> list[bytes]:
        """Take one sample of each process that has been watched for an interval, as OTLP-JSON lines of metrics."""
        spent_before = self._spent()
        due = {each.pid: each for each in watched if self._clock() - each.watched_at >= self._interval_seconds and each.pid}
        told = self._sample(due) if due else []
        self._next_at = self._clock() + max(self._interval_seconds, (self._spent() - spent_before) * _OF_THE_TIME)
        return [metrics.line(told[i : i + _RUNS_A_LINE]).encode("ascii") for i in range(0, len(told), _RUNS_A_LINE)]

    def _sample(self, due: dict[int, Watched]) -> list[str]:
        for each in due.values():
            each.sampled = each.sampled or Sampled(run_of(each.spool, each.stem))
        wanted = {pid: each.sampled for pid, each in due.items() if each.sampled and each.sampled.run}
        at_ns, processes = time.time_ns(), all_processes() if wanted else {}
        found = families(processes, {pid: sampled.family for pid, sampled in wanted.items()})
        pairs = [(wanted[pid], pid, family) for pid, family in found.items() if due[pid].is_there()]
        return [_told(sampled, pid, family, at_ns) for sampled, pid, family in pairs]


def run_of(spool: Spool, stem: str) -> ends.Told | None:
    """The run that a process is, as its file says at the top; None when it is none, or another tells what that run uses."""
    parts = [part for part in spool.parts(stem) if signal_of(part[1]) == "logs"]
    try:
        with spool.mutex:
            lines = [line for part in parts[:1] for line in islice(spool.lines_held(*part), _LINES_LOOKED_AT)]
    except OSError:
        return None
    own = [run for run in ends.read(lines).values() if not run.is_inner and not run.is_part]
    return own[-1] if own else None


def usage_of(family: list[Process], at_ns: int, before: Usage | None) -> Usage:
    """The sum over a family. Totals never fall below what was told before."""
    disk = [found for found in (disk_bytes(process.pid) for process in family) if found is not None]
    return Usage(
        at_ns,
        max(sum(process.user_seconds for process in family), before.user_seconds if before else 0.0),
        max(sum(process.system_seconds for process in family), before.system_seconds if before else 0.0),
        sum(process.resident_bytes for process in family),
        _grown(sum(read for read, _ in disk), before and before.read_bytes) if disk else None,
        _grown(sum(written for _, written in disk), before and before.written_bytes) if disk else None,
        len(family),
        sum(process.threads for process in family),
    )


def metrics_of(usage: Usage, before: Usage | None, since_ns: int, cpus: int) -> list[str]:
    """The OTLP metrics of one sample."""
    cpu = (("user", usage.user_seconds), ("system", usage.system_seconds))
    disk = (("read", usage.read_bytes), ("write", usage.written_bytes))
    found = [
        metrics.total(
            "process.cpu.time", "s", [metrics.point(n, usage.at_ns, since_ns, {"cpu.mode": mode}) for mode, n in cpu], True
        ),
        metrics.total("process.memory.usage", "By", [metrics.point(usage.resident_bytes, usage.at_ns)], False),
        metrics.total("process.thread.count", "{thread}", [metrics.point(usage.threads, usage.at_ns)], False),
        metrics.total(names.DESCENDANTS, "{process}", [metrics.point(usage.processes - 1, usage.at_ns)], False),
    ]
    moved = [metrics.point(n, usage.at_ns, since_ns, {"disk.io.direction": way}) for way, n in disk if n is not None]
    if moved:
        found.append(metrics.total("process.disk.io", "By", moved, True))
    if before:
        used = usage.user_seconds + usage.system_seconds - before.user_seconds - before.system_seconds
        share = used / max(1, usage.at_ns - before.at_ns) * 1e9 / cpus
        found.append(metrics.gauge("process.cpu.utilization", "1", [metrics.point(share, usage.at_ns)]))
    return found


def _told(sampled: Sampled, pid: int, family: list[Process], at_ns: int) -> str:
    run, before = sampled.run, sampled.usage
    assert run is not None
    usage = usage_of(family, at_ns, before)
    sampled.family, sampled.usage = family, usage
    sampled.peak_bytes = max(sampled.peak_bytes, usage.resident_bytes)
    scope = events.scope(__version__, {names.RUN_ID: run.run_id, names.WORKFLOW: run.workflow, names.SOURCE: "agent"})
    return metrics.of_scope(run.resource_text, scope, metrics_of(usage, before, run.started_ns or 0, usable_cpus(pid)))


def _grown(now: int, before: int | None) -> int:
    return max(now, before or 0)


def interval_seconds() -> float:
    """``ROTA_SAMPLE_SECONDS``; 0 for ``off`` and for what is no number."""
    try:
        given = float(os.environ.get("ROTA_SAMPLE_SECONDS") or 5)
    except ValueError:
        return 0.0
    return given if given > 0 else 0.0
