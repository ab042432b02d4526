"""Entries of cron's log → what became of its jobs. A job whose end nobody logs is over when its process is gone."""

from __future__ import annotations

import os
import signal
from typing import Any, Callable, Dict, NamedTuple, Optional

from rota_integrations.cron.log import Entry

ENDS, FAILURES = 2, 4  # of cron's -L
_ASKED = (1, 2, 15)  # signals by which somebody asks it to end
_LATE_NS = 60 * 10**9  # so much later, at the latest, its end would be in the log
_SLACK_SECONDS = 5.0  # between the start of a process and the line that tells it


class Said(NamedTuple):
    """A job's state, in a word of ``states.json``. ``exit_code``: as a shell has it, 128 and more of one that was killed."""

    key: tuple[str, ...]
    user: str
    text: str
    word: str
    at_ns: int
    started_ns: int
    exit_code: Optional[int] = None
    signal: Optional[str] = None


class Jobs:
    """Follows jobs from entry to entry.

    Args:
        still_open: JSON, kept from look to look: the jobs that are not over.
        level: cron's ``-L``.
        tell: is told each state.
    """

    def __init__(self, still_open: Dict[str, Dict[str, Any]], level: int, tell: Callable[[Said], object]) -> None:
        self._open, self._level, self._tell = still_open, level, tell

    def take(self, entry: Entry) -> None:
        """One entry, in the order of the log."""
        if entry.word == "CMD":
            job = {"pid": entry.job, "host": entry.host, "user": entry.user, "text": entry.text, "at_ns": entry.at_ns}
            self._open["%d %d" % (entry.at_ns, entry.job or 0)] = {**job, "was_seen": False, "is_gone": False}
            self._say(job, "CMD", entry.at_ns)
            return
        for key, job in self._open.items():
            same = entry.job == job["pid"] if entry.job else (entry.user, entry.text) == (job["user"], job["text"])
            if same:
                del self._open[key]
                self._over(job, entry)
                return

    def bury(self, now_ns: int) -> None:
        """Those whose processes are gone, and of which the log told no end, though it has had the time."""
        tells_end = not self._level & ENDS and self._level & FAILURES  # nothing is logged of a job that went well
        for key, job in list(self._open.items()):
            if is_alive(job["pid"], job["at_ns"]):
                job["was_seen"] = True
            elif job["is_gone"] or now_ns - job["at_ns"] > _LATE_NS:
                del self._open[key]
                self._say(job, "END" if tells_end else "gone", now_ns if job["was_seen"] else job["at_ns"])
            else:
                job["is_gone"] = True

    def _over(self, job: Dict[str, Any], entry: Entry) -> None:
        if entry.status is not None:
            self._say(job, "failed", entry.at_ns, entry.status)
        elif entry.signal is not None:
            word = "asked" if entry.signal in _ASKED else "terminated"
            self._say(job, word, entry.at_ns, 128 + entry.signal, entry.signal)
        else:
            knows = self._level & FAILURES
            self._say(job, "END" if knows else "END, failures not logged", entry.at_ns, 0 if knows else None)

    def _say(
        self, job: Dict[str, Any], word: str, at_ns: int, exit_code: Optional[int] = None, number: Optional[int] = None
    ) -> None:  # fmt: skip
        key = (job["host"], str(job["at_ns"]), str(job["pid"]))
        killed_by = signal.Signals(number).name if number in list(signal.Signals) else number and "signal %d" % number
        self._tell(Said(key, job["user"], job["text"], word, at_ns, job["at_ns"], exit_code, killed_by or None))


def is_alive(pid: int, began_ns: int) -> bool:
    """Whether that process is there, and began then."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        with open("/proc/stat", "rb") as file:
            booted = next(int(line.split()[1]) for line in file if line.startswith(b"btime"))
    except (OSError, ValueError, IndexError, StopIteration):
        return False
    return abs(booted + ticks / os.sysconf("SC_CLK_TCK") - began_ns / 1e9) < _SLACK_SECONDS
