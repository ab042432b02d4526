"""What Debian's cron writes into the system's log: entries, from a file of syslog or from the journal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from datetime import datetime
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

_TAG = "CRON"
_LINE = re.compile(
    r"(?:<\d+>)?(?:(?P<iso>\d{4}-\S+)|(?P<date>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)) (?P<host>\S+) "
    + _TAG
    + r"\[(?P<pid>\d+)\]: "
)
_OF_JOB = re.compile(r"\((?P<user>[^)]+)\) (?P<word>CMD|END) \((?:\[(?P<job>\d+)\] )?(?P<text>.*)\)")
_FAILED = re.compile(
    r"\(CRON\) error \(grandchild #(?P<job>\d+) (?:failed with exit status (?P<status>\d+)|terminated by signal (?P<signal>\d+))"
)
_PATIENCE_SECONDS = 60
_DAY_SECONDS = 86_400


class Entry(NamedTuple):
    """A command begins (``CMD``), ends (``END``), or has failed (``error``). Times are Unix ns.

    ``job`` is its process: cron names it in the text (``-L 8``), or it is the one that writes the line, at a ``CMD``.
    """

    at_ns: int
    host: str
    word: str
    job: Optional[int]
    user: str = ""
    text: str = ""
    status: Optional[int] = None
    signal: Optional[int] = None


def entry_of(at_ns: int, host: str, process: int, message: str) -> Optional[Entry]:
    """What a message says; None for one of no job: of PAM, or of a crontab that was read."""
    found = _OF_JOB.fullmatch(message)
    if found is not None:
        job = int(found["job"]) if found["job"] else process if found["word"] == "CMD" else None
        return Entry(at_ns, host, found["word"], job, found["user"], found["text"])
    failed = _FAILED.match(message)
    if failed is None:
        return None
    status, signal = (int(said) if said else None for said in (failed["status"], failed["signal"]))
    return Entry(at_ns, host, "error", int(failed["job"]), status=status, signal=signal)


class SyslogFile:
    """A file that a syslog daemon writes, and another puts away as ``.1``.

    Args:
        path: it.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def read(self, memory: Dict[str, Any], since_seconds: float) -> Iterator[Entry]:
        """What was written since the last time, or so long ago at the first. Raises OSError.

        Args:
            memory: the ``inode`` of the file, and the ``offset`` up to which it is read.
            since_seconds: how far back at the first time.
        """
        earliest_ns = 0 if "inode" in memory else time.time_ns() - int(since_seconds * 1e9)
        with open(self._path, "rb") as file:
            inode = os.fstat(file.fileno()).st_ino
            if memory.get("inode") not in (None, inode):
                yield from self._rest(memory)
                memory["offset"] = 0
            memory["inode"] = inode
            if os.fstat(file.fileno()).st_size < memory.setdefault("offset", 0):  # it was emptied
                memory["offset"] = 0
            yield from _entries(file, memory, earliest_ns)

    def _rest(self, memory: Dict[str, Any]) -> Iterator[Entry]:
        """Of the file that was put away in between."""
        try:
            with open(self._path + ".1", "rb") as file:
                if os.fstat(file.fileno()).st_ino == memory["inode"]:
                    yield from _entries(file, memory, 0)
        except FileNotFoundError:
            pass


class SystemJournal:
    """systemd's, by ``journalctl``."""

    def read(self, memory: Dict[str, Any], since_seconds: float) -> Iterator[Entry]:
        """What was written since the last time, or so long ago at the first. Raises OSError, ValueError.

        Args:
            memory: the ``cursor`` up to which it is read.
            since_seconds: how far back at the first time.
        """
        begin = "--after-cursor=" + memory["cursor"] if "cursor" in memory else "--since=-%ds" % since_seconds
        shown = ["--output=json", "--output-fields=MESSAGE,SYSLOG_PID,_HOSTNAME", "--no-pager", "--quiet"]
        command = ["journalctl", begin, *shown, "SYSLOG_IDENTIFIER=" + _TAG]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_PATIENCE_SECONDS)
        if done.returncode:
            raise OSError("journalctl exits with %d: %s" % (done.returncode, done.stderr.decode("utf-8", "replace").strip()))
        for line in done.stdout.splitlines():
            said = json.loads(line)
            message = said.get("MESSAGE")
            if isinstance(message, str) and said.get("SYSLOG_PID", "").isdigit():  # bytes that are no text come as numbers
                at_ns = int(said["__REALTIME_TIMESTAMP"]) * 1000
                found = entry_of(at_ns, said.get("_HOSTNAME", ""), int(said["SYSLOG_PID"]), message)
                if found is not None:
                    yield found
            memory["cursor"] = said["__CURSOR"]


def _entries(file: Any, memory: Dict[str, Any], earliest_ns: int) -> Iterator[Entry]:
    """Of whole lines from the offset on."""
    file.seek(memory["offset"])
    for line in file:
        if not line.endswith(b"\n"):
            return  # its writer is at it
        memory["offset"] += len(line)
        found = _of_line(line.decode("utf-8", "replace").rstrip("\n")) if b"CRON[" in line else None
        if found is not None and found.at_ns >= earliest_ns:
            yield found


def _of_line(line: str) -> Optional[Entry]:
    found = _LINE.match(line)
    if found is None:
        return None
    at_ns = _ns(found["iso"]) if found["iso"] else _ns_of_date(found["date"])
    return entry_of(at_ns, found["host"], int(found["pid"]), line[found.end() :])


def _ns(iso: str) -> int:
    """Of RFC 3339, as rsyslog writes it today."""
    at = datetime.fromisoformat(iso.replace("Z", "+00:00"))
    return int(at.replace(microsecond=0).timestamp()) * 10**9 + at.microsecond * 1000


def _ns_of_date(date: str) -> int:
    """Of the traditional format, which says neither the year nor the zone: it is the host's, and the last such day."""
    now = time.time()
    years: List[int] = [time.localtime(now + _DAY_SECONDS).tm_year - back for back in range(2)]
    for year in years:
        try:
            found = time.mktime(time.strptime("%d %s" % (year, date), "%Y %b %d %H:%M:%S"))
        except ValueError:  # the 29th of February
            continue
        if found <= now + _DAY_SECONDS:
            return int(found) * 10**9
    return int(now) * 10**9
