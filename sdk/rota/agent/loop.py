"""The resident agent: one thread that listens, samples and sees deaths, one that ships. Neither waits for the other."""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import socket
import time
from typing import Callable, Sequence

from rota import __version__
from rota.agent.carrier import Carrier
from rota.agent.deaths import SCAN_SECONDS, SECOND_LOOK_SECONDS, SOON_SECONDS, Deaths, Watched
from rota.agent.door import Asked, Caller, Door, Hello, StatusAsked
from rota.agent.handed import HandedDoor
from rota.agent.heartbeat import Heartbeat
from rota.agent.permit import Line, Permit
from rota.agent.policies import Keeping
from rota.agent.sample import Sampler, interval_seconds
from rota.agent.samples import Samples
from rota.agent.ship import Shipper
from rota.agent.spool import Spool
from rota.agent.turn import RESIDENT, Turn
from rota.agent.worker import Worker

_STOP_SECONDS = 3.0
_CANCEL_SECONDS = 3.0  # how long a run that is to end is looked for: most are of another host
_GROUPS_SECONDS = 5.0  # between two looks at the control groups of all watched processes
_CALLER_SECONDS = 1.0  # a hello comes at once, or it is none
_MOST_CALLERS, MOST_SPOOLS, _MOST_LINES = 256, 64, 4096  # whatever a user's programs do: an agent stays small


class Agent:
    """A resident agent of one user. Every script that says hello is served, if its spool is this user's.

    Args:
        door: where scripts come in; closed at the end.
        shipper: delivers lines.
        report: takes one line of text for people.
        home: absolute path of a ``$ROTA_HOME`` to serve from the start; made if need be.
        spools: more spools to serve from the start, where they are this user's.
        on_spool: told the path of each one that is served.
    """

    def __init__(
        self, door: Door | HandedDoor, shipper: Shipper, report: Callable[[str], None], home: str = "",
        spools: Sequence[str] = (), on_spool: Callable[[str], None] | None = None,
    ) -> None:  # fmt: skip
        self._report, self._door, self._shipper, self._on_spool = report, door, shipper, on_spool
        self._started_at = time.time()
        self._wake, self._waker = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._door, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._callers: dict[Caller, float] = {}
        self._lines: dict[Line, None] = {}  # open connections of those who ask for permission, the oldest first
        self._permit = Permit(report)
        self._spools: dict[str, Spool] = {}
        self._own = _made(os.path.join(home, "spool")) if home else ""
        if home:
            self._spools[self._own] = Spool(self._own)
        for path in spools:
            self._serve(path)
        self._heartbeat = Heartbeat()
        self._sampler, self._samples = Sampler(interval_seconds()), Samples(shipper, report)
        self._worker = Worker(Carrier(shipper, report), self._spools, self._samples, report)
        self._keeping = Keeping(self._spools, report, cancel=self._cancel)
        self._deaths = Deaths(self._selector, report, on_buried=self._worker.wake)
        self._turn = Turn(self._own, RESIDENT) if home else None
        self._scan_at = self._groups_at = 0.0
        self._cancels: dict[str, tuple[str, float]] = {}  # runs that are to end: why, and until when they are looked for
        self._is_stopping = False

    def run(self) -> None:
        """Serve until ``stop``; then send what is there, for a moment, and return."""
        _allow_many_files()
        if self._turn and not self._turn.take():
            self._report("another agent ships this home too")
        self._scan()
        self._worker.start()
        self._keeping.start()
        while not self._is_stopping:
            try:
                self._turn_once()
            except Exception as error:  # a fault of ours must not end the watch for good
                self._report("a turn failed: %s: %s" % (type(error).__name__, error))
                time.sleep(SOON_SECONDS)
        self._close()

    def stop(self) -> None:
        """End ``run``. Safe in a signal handler and from any thread."""
        self._is_stopping = True
        try:
            self._waker.send(b"x")
        except OSError:  # it has ended already
            pass

    def status(self) -> dict[str, object]:
        """What `rota agent status` shows; times are Unix seconds, 0 for never."""
        return {
            "version": __version__,
            "pid": os.getpid(),
            "started_at": self._started_at,
            "ships_to": self._shipper.destination,
            "spools": list(self._spools),
            "watched": len(self._deaths.living()),
            **self._worker.status(),
        }

    def _cancel(self, run_id: str, why: str) -> None:
        """A run is to end, if it is of ours. Safe from any thread."""
        self._cancels[run_id] = (why, time.monotonic() + _CANCEL_SECONDS)
        with contextlib.suppress(OSError):
            self._waker.send(b"c")

    def _end_runs(self) -> None:
        """End those that are to end; of one whose process is not known yet, it may be found by the next look."""
        wanted = dict(self._cancels)
        asked = self._deaths.end(wanted) if wanted else set()
        for run_id, (why, until) in wanted.items():
            if run_id in asked:
                self._report("run %s was asked to end: %s" % (run_id, why))
            if run_id in asked or time.monotonic() > until:
                self._cancels.pop(run_id, None)

    def _turn_once(self) -> None:
        for key, _ in self._selector.select(max(0.0, min(self._deaths.next_look_seconds, self._scan_at - time.monotonic()))):
            self._dispatch(key)
        self._deaths.settle()
        if time.monotonic() >= self._scan_at:
            self._scan()
        if time.monotonic() >= self._groups_at:
            self._groups_at = time.monotonic() + _GROUPS_SECONDS
            self._deaths.look_at_groups()
        if self._heartbeat.is_due():
            self._samples.add([self._heartbeat.line()])
        if self._sampler.is_due():
            self._samples.add(self._sampler.lines(self._deaths.living()))

    def _dispatch(self, key: selectors.SelectorKey) -> None:
        if isinstance(key.data, Line):
            self._listen(key.data)
        elif isinstance(key.data, Watched):
            self._deaths.notice(key.data)
        elif isinstance(key.data, Caller):
            self._hear(key.data)
        elif key.fileobj is self._door:
            self._accept_all()
        elif key.fileobj is self._wake:
            self._wake.recv(64)
            self._end_runs()

    def _accept_all(self) -> None:
        while True:
            try:
                connection, _ = self._door.accept()
            except BlockingIOError:
                return
            except EOFError:  # who handed callers to us is gone: another one will start another of us
                self._is_stopping = True
                return
            except OSError as error:  # out of descriptors: the caller's files are found all the same
                self._report("cannot accept a script's hello: %s" % error)
                return
            if len(self._callers) >= _MOST_CALLERS:
                self._hang_up(next(iter(self._callers)))
            caller = Caller(connection)
            self._callers[caller] = time.monotonic() + _CALLER_SECONDS
            self._selector.register(connection, selectors.EVENT_READ, caller)
            self._hear(caller)

    def _hear(self, caller: Caller) -> None:
        try:
            said = caller.read()
        except (ValueError, OSError) as error:
            self._report("refused: %s" % error)
            self._hang_up(caller)
            return
        if isinstance(said, Asked):
            self._keep(caller, said)
            return
        if isinstance(said, StatusAsked):
            caller.answer(self.status())
        if said is not None:
            self._hang_up(caller)
        if isinstance(said, Hello):
            self._welcome(said)

    def _keep(self, caller: Caller, said: Asked) -> None:
        """A caller that asks once will ask again: from now on it has a line of its own."""
        del self._callers[caller]
        caller.let_go()
        if len(self._lines) >= _MOST_LINES:
            self._drop(next(iter(self._lines)))
        line = Line(caller.connection, said.data)
        self._lines[line] = None
        self._selector.modify(caller.connection, selectors.EVENT_READ, line)
        for question in line.began():
            self._permit.hear(line, question)

    def _listen(self, line: Line) -> None:
        try:
            for question in line.questions():
                self._permit.hear(line, question)
        except EOFError:
            self._drop(line)

    def _drop(self, line: Line) -> None:
        self._selector.unregister(line.connection)
        del self._lines[line]
        line.connection.close()

    def _hang_up(self, caller: Caller) -> None:
        self._selector.unregister(caller.connection)
        del self._callers[caller]
        caller.close()

    def _welcome(self, hello: Hello) -> None:
        spool = self._serve(hello.spool)
        self._worker.wake()
        if spool is not None and hello.pidfd is not None:
            self._deaths.watch(hello.pid, hello.pidfd, spool, hello.stem)
        elif hello.pidfd is not None:
            os.close(hello.pidfd)

    def _serve(self, path: str) -> Spool | None:
        """The spool at that path; None when it is not this user's to read and write."""
        if path not in self._spools and len(self._spools) >= MOST_SPOOLS:
            self._report("refused: %s would be more than %d directories" % (path, MOST_SPOOLS))
            return None
        if path not in self._spools and _is_own(path):
            self._spools[path] = Spool(path, os.geteuid())
            if self._on_spool:
                self._on_spool(path)
        if path not in self._spools:
            self._report("refused: %s is not a directory of this user" % path)
        return self._spools.get(path)

    def _scan(self) -> None:
        for caller, deadline in list(self._callers.items()):
            if time.monotonic() > deadline:
                self._hang_up(caller)
        is_unsure = [self._deaths.find(spool) for spool in list(self._spools.values())]
        self._end_runs()
        self._scan_at = time.monotonic() + (SECOND_LOOK_SECONDS if any(is_unsure) else SCAN_SECONDS)

    def _close(self) -> None:
        self._door.close()
        self._samples.add([self._heartbeat.last_line()])
        self._worker.stop(_STOP_SECONDS)
        self._keeping.stop()
        for caller in list(self._callers):
            self._hang_up(caller)
        for line in list(self._lines):
            self._drop(line)
        self._deaths.close()
        if self._turn:
            self._turn.give_back()
        self._selector.close()
        self._wake.close()
        self._waker.close()


def _made(spool: str) -> str:
    try:
        os.makedirs(spool, mode=0o700, exist_ok=True)
    except OSError:  # it can be read, at best; that is said when something has to be written
        pass
    return spool


def _is_own(path: str) -> bool:
    try:
        return os.stat(path).st_uid == os.geteuid()
    except FileNotFoundError:  # a script that has written nothing yet, perhaps the first one of its home
        parent = os.path.dirname(path)
        return _is_own(parent) if not os.path.exists(parent) else os.access(parent, os.W_OK)
    except OSError:
        return False


def _allow_many_files() -> None:
    """A pidfd a running script: take as many descriptors as the limit for this user allows."""
    try:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        pass
