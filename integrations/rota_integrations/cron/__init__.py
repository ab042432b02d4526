"""Cron, by its own log and its crontabs: ``rota observe cron``. No line is touched.

Seen: each command that cron begins is a run, of a workflow that is named as under ``rota-sh``; with ``cron -L 15`` its end too,
and the exit status or the signal of one that failed; without it, that its process is gone. The lines of all crontabs are
schedules, also of what never ran.

Debian's cron, whose log is a file of syslog, or the journal.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import re
import shutil
import time
from typing import Any, Dict, Iterator, List, Optional, Protocol, Tuple

from rota.errors import UsageError
from rota.exec import crontab
from rota.exec.naming import begins_a_run, name_of_line
from rota.foreign import Source
from rota.wire import names
from rota_integrations.cron.jobs import Jobs, Said
from rota_integrations.cron.log import Entry, SyslogFile, SystemJournal
from rota_integrations.following import add_since, zone
from rota_integrations.states import table_of

_FILES = ("/var/log/cron.log", "/var/log/syslog")
_DAEMON = "cron"
_HOST = os.uname().nodename
_OF_THIS_HOST = {names.NAME_SOURCE: "script", names.HOST_NAME: _HOST}  # a line of that name on another host is another instance


class Log(Protocol):
    """Where cron's entries are."""

    def read(self, memory: Dict[str, Any], since_seconds: float) -> Iterator[Entry]:
        """The new ones."""
        ...


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which log, and which lines."""
    say = parser.add_argument
    say("--log", metavar="FILE", help="of syslog (/var/log/cron.log or /var/log/syslog, or without these the journal)")
    say("--loglevel", type=int, metavar="N", help="cron's own -L; left out: as the daemon was started")
    say("--tz", type=zone, metavar="ZONE", help="in which cron counts; left out: as the daemon does")
    say("--leave-out", action="append", default=[], metavar="PATTERN", help="workflows that are seen in another way; repeatable")
    add_since(parser)


def follower(options: argparse.Namespace) -> Follower:
    """Reads the log that these options name. Raises UsageError where there is none."""
    path = options.log or next(filter(os.path.exists, _FILES), None)
    if path is None and shutil.which("journalctl") is None:
        raise UsageError("cron's log is not at %s, and there is no journal: name it with --log FILE" % " or ".join(_FILES))
    log: Log = SyslogFile(path) if path else SystemJournal()
    return Follower(log, options.loglevel, options.tz, options.leave_out, options.since, path or "")


class Follower:
    """Reads cron's log.

    Args:
        log: its entries.
        level: cron's ``-L``; None: as the daemon was started.
        zone: in which cron counts; None: as the daemon does.
        left_out: patterns of workflows.
        since_seconds: how far back at the first look.
        where: tells this log from another.
    """

    def __init__(
        self, log: Log, level: Optional[int], zone: Optional[str], left_out: List[str], since_seconds: float, where: str = ""
    ) -> None:  # fmt: skip
        self.where, self.host = where, _HOST
        self._log, self._level, self._zone, self._left_out, self._since_seconds = log, level, zone, left_out, since_seconds
        self._source, self._states = Source("cron"), table_of("cron")
        self._lines: List[crontab.Line] = []
        self._found: Tuple[Any, ...] = ()
        self._schedules: Dict[str, Dict[str, str]] = {}

    def look(self, memory: Dict[str, Any]) -> None:
        """Tell what is new. Raises OSError.

        Args:
            memory: the place in the ``log``, and the jobs that are ``open``.
        """
        daemon = _daemon()
        self._read_crontabs(self._zone or crontab.zone(daemon or os.getpid()) or "")
        jobs = Jobs(memory.setdefault("open", {}), self._level or _level_of(daemon), self._tell)
        for entry in self._log.read(memory.setdefault("log", {}), self._since_seconds):
            if entry.host.partition(".")[0] == _HOST.partition(".")[0]:
                jobs.take(entry)
        jobs.bury(time.time_ns())

    def schedules(self) -> Dict[str, Dict[str, str]]:
        """Those of the lines."""
        return self._schedules

    def _read_crontabs(self, zone: str) -> None:
        lines = list(crontab.every_line())
        found = (zone, [(line.schedule, line.user, line.command, line.zone, line.shell) for line in lines])
        if found != self._found:  # names take the longest
            self._found, self._lines = found, lines
            self._schedules = dict(self._scheduled(zone))

    def _scheduled(self, zone: str) -> Iterator[Tuple[str, Dict[str, str]]]:
        """By workflow; none of one with several times, or where cron counts in a zone that has no name."""
        for line in self._lines:
            times = crontab.schedule_of(line.command, line.workflow, self._lines)
            if times is not None and (times.zone or zone) and not self._is_left_out(line.workflow, line):
                where = {names.SCHEDULE_SPEC: times.schedule, names.SCHEDULE_TZ: times.zone or zone}
                yield line.workflow, {**_OF_THIS_HOST, **where}

    def _tell(self, said: Said) -> None:
        line = next((each for each in self._lines if (each.user, logged(each.command)) == (said.user, said.text)), None)
        workflow = line.workflow if line else name_of_line(said.text)
        if self._is_left_out(workflow, line) or begins_a_run(said.text):
            return
        state = self._states.of_run(said.word)
        self._source.run(
            workflow, said.key, state.name, said.at_ns, raw_state=said.word, reason=state.reason, started_ns=said.started_ns,
            exit_code=said.exit_code, host=_HOST, facts={"cron.user": said.user, names.PROCESS_SIGNAL: said.signal},
            declared=self._schedules.get(workflow, _OF_THIS_HOST),
        )  # fmt: skip

    def _is_left_out(self, workflow: str, line: Optional[crontab.Line]) -> bool:
        """Also what rota sees by itself."""
        if line is not None and (os.path.basename(line.shell) == "rota-sh" or begins_a_run(line.command)):
            return True
        return any(fnmatch.fnmatchcase(workflow, pattern) for pattern in self._left_out)


def logged(command: str) -> str:
    """As cron writes it: control characters as ``^I``, and bytes beyond ASCII as three octal digits."""
    return "".join(map(_printed, command.encode("utf-8", "surrogateescape")))


def _printed(byte: int) -> str:
    if byte < 32 or byte == 127:
        return "^" + chr(byte ^ 64)
    return chr(byte) if byte < 128 else "\\%03o" % byte


def _daemon() -> Optional[int]:
    """The process of cron's daemon: of those of that name the one that was first, as jobs are children of it."""
    found = [int(name) for name in os.listdir("/proc") if name.isdigit() and _says("/proc/%s/comm" % name).strip() == _DAEMON]
    return min(found, default=None)


def _level_of(daemon: Optional[int]) -> int:
    given = re.search(r"\0-L\0?(\d+)", _says("/proc/%d/cmdline" % daemon)) if daemon else None
    return int(given[1]) if given else 1


def _says(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
