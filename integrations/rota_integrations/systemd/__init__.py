"""systemd: the services that timers start, as the journal tells of them. No unit is touched.

    rota observe systemd

Seen: each start of such a service as a run, which its invocation id names, with its end (systemd's result, exit status, signal),
restarts as attempts, and the schedule of its timer. The journal is a history: where the last look ended, the next one goes on.
What it does not say (that a user's service ended well), the manager is asked.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import time
from typing import Any, Dict, List, Mapping, Sequence

from rota.foreign import Source
from rota.wire import names
from rota_integrations.states import table_of
from rota_integrations.systemd import services, timers
from rota_integrations.systemd.journal import Journal, Said, arguments

_BAD = ("failed", "timed_out", "crashed")
_PATIENCE_SECONDS = 60
_HOST = os.uname().nodename
_OF_THIS_HOST = {names.NAME_SOURCE: "script", names.HOST_NAME: _HOST}  # elsewhere it is another instance


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whose journal, and how far back at the first look."""
    parser.add_argument("--user", action="store_true", help="timers of your own, not the system's")
    parser.add_argument("--since", metavar="TIME", default="-1d", help="of the first look, as journalctl has it (-1d)")


def follower(options: argparse.Namespace) -> Follower:
    """For ``rota observe``."""
    return Follower(["--user"] if options.user else [], options.since)


class Follower:
    """Looks at the journal of this host.

    Args:
        manager: options of ``systemctl`` and ``journalctl`` that name it: ``--user``; none: the system's.
        since: where the first look begins.
    """

    def __init__(self, manager: Sequence[str] = (), since: str = "-1d") -> None:
        self.host = _HOST
        self._manager, self._since = list(manager), since
        self._source, self._states = Source("systemd"), table_of("systemd")
        self._declared: Dict[str, Dict[str, str]] = {}  # by unit

    def look(self, memory: Dict[str, Any]) -> None:
        """Tell what is new in the journal. Raises OSError, ValueError."""
        is_user = bool(self._manager)
        self._declared = timers.declared(self._managed(timers.ARGUMENTS), timers.zone())
        # Before the journal is read: an end that is known by then is in it, or nowhere.
        known = services.services(self._managed(services.arguments(list(self._declared)))) if self._declared else {}
        journal = Journal(memory, known, is_user)
        command = ["journalctl", *self._manager, *arguments(memory.get("cursor"), self._since, is_user, os.getuid())]
        said = _output(command)
        for each in itertools.chain(journal.told(said), journal.silent(_unix_ns)):
            self._tell(each, self._declared.get(each.unit, {}))

    def schedules(self) -> Dict[str, Mapping[str, str]]:
        """Those of the timers."""
        return {_name(unit): {**_OF_THIS_HOST, **declared} for unit, declared in self._declared.items() if declared}

    def _managed(self, words: Sequence[str]) -> str:
        return _output(["systemctl", *self._manager, *words])

    def _tell(self, said: Said, declared: Mapping[str, str]) -> None:
        state = self._states.of_run(said.word, said.is_over)
        self._source.run(
            _name(said.unit), said.key, state.name, said.at_ns, raw_state=said.word, reason=state.reason,
            attempt=said.attempt, started_ns=said.started_ns, exit_code=said.exit_code, host=said.host,
            error=_error(said) if state.name in _BAD else None,
            facts={names.PROCESS_SIGNAL: said.signal, "systemd.unit": said.unit},
            declared={**_OF_THIS_HOST, **declared},
        )  # fmt: skip


def _unix_ns(monotonic_ns: int) -> int:
    """What the time was then; now, if that is not known."""
    return time.time_ns() - (time.monotonic_ns() - monotonic_ns if monotonic_ns else 0)


def _name(unit: str) -> str:
    return unit.rpartition(".")[0]


def _error(said: Said) -> Dict[str, str]:
    return {names.ERROR_TYPE: said.word, names.EXCEPTION_MESSAGE: said.message or "systemd says %s" % said.word}


def _output(command: List[str]) -> str:
    """What it prints. Raises OSError, with what it says is wrong."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_PATIENCE_SECONDS)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise OSError("%s exits with %d: %s" % (command[0], done.returncode, said or "no word"))
    return done.stdout.decode("utf-8", "replace")
