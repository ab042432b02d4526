"""What a process of the collector counts: a small table of plain numbers, which anybody may read and send elsewhere."""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from collections.abc import Sequence

from rota_collector.domain.exposition import series

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)  # upper bounds of a histogram's buckets
_STARTED = time.time()  # an import is close enough to a process's start


class Counters:
    """Numbers by series (``domain.exposition``). Any thread. Its series are known when the code is written: it cannot grow."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[str, float] = {}

    def add(self, name: str, number: float = 1) -> None:
        """Count ``number`` more."""
        with self._lock:
            self._numbers[name] = self._numbers.get(name, 0) + number

    def observe(self, family: str, number: float, bounds: Sequence[float] = SECONDS) -> None:
        """Count ``number`` in a histogram without labels."""
        with self._lock:
            numbers = self._numbers
            if f"{family}_count" not in numbers:
                numbers.update({_bucket(family, bound): 0 for bound in (*bounds, float("inf"))})
                numbers.update({f"{family}_sum": 0.0, f"{family}_count": 0})
            for bound in (*bounds, float("inf")):
                if number <= bound:
                    numbers[_bucket(family, bound)] += 1
            numbers[f"{family}_sum"] += number
            numbers[f"{family}_count"] += 1

    def read(self) -> dict[str, float]:
        """All of them, as they are now."""
        with self._lock:
            return dict(self._numbers)


def _bucket(family: str, bound: float) -> str:
    return series(f"{family}_bucket", le="+Inf" if bound == float("inf") else repr(bound))


def of_process(role: str) -> dict[str, float]:
    """What this process uses; ``role`` tells it from the collector's others."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    found: dict[str, float] = {
        "cpu_seconds_total": round(used.ru_utime + used.ru_stime, 3),
        "threads": threading.active_count(),
        "start_time_seconds": round(_STARTED, 3),
    }
    if sys.platform == "linux":
        found["open_fds"] = len(os.listdir("/proc/self/fd"))
        with open("/proc/self/statm", encoding="ascii") as file:
            found["resident_memory_bytes"] = int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    return {series(f"rota_process_{name}", process=role): number for name, number in found.items()}
