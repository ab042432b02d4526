"""This process, as rota sees it: its spool, its carrier, its clock, its forks and its end.

Made when the first run begins. Nothing happens at import, and nothing at all when rota is disabled.
"""

from __future__ import annotations

import atexit
import os
import sys
import time

from rota import __version__, _config
from rota._forward import AgentCarrier, choose
from rota._guard import guarded
from rota._spool import Spool
from rota.wire import events, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from rota._run import Run


class Clock:
    """Unix time that never goes back: the wall clock, unless it says less than the monotonic clock since it was last believed.

    A clock that is set back in the middle of a run thus makes no negative duration, and time spent suspended counts.
    Tasks are timed by the monotonic clock alone, which costs them half.
    """

    def __init__(self) -> None:
        self.offset_ns = 0  # add it to a monotonic time to get a Unix time
        self.resync()

    def resync(self) -> None:
        """Believe the wall clock again; called when a run begins, never inside one."""
        self.offset_ns = time.time_ns() - time.monotonic_ns()

    def now_ns(self) -> int:
        """Unix time in nanoseconds."""
        return max(time.time_ns(), self.offset_ns + time.monotonic_ns())


class Ids:
    """Random span ids, made 64 at a time: one system call and no formatting each."""

    def __init__(self) -> None:
        self._ready: list[str] = []

    def reseed(self) -> None:
        """In a forked child: the parent has the same ids in hand."""
        self._ready = []

    def span_id(self) -> str:
        """16 hex digits."""
        try:
            return self._ready.pop()
        except IndexError:
            digits = os.urandom(8 * 64).hex()
            ready = [digits[i : i + 16] for i in range(0, len(digits), 16)]
            last = ready.pop()
            self._ready = ready
            return last


def uuid7(at_ns: int) -> str:
    """A UUIDv7 (RFC 9562): milliseconds of Unix time, then random bits; sorts by time."""
    bits = (at_ns // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    bits = bits & ~(0xF << 76) | 0x7 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    h = "%032x" % bits
    return "%s-%s-%s-%s-%s" % (h[:8], h[8:12], h[12:16], h[16:20], h[20:])


class Process:
    """What all runs of this process share."""

    def __init__(self, service_name: str) -> None:
        self.home = _config.home()
        events.hide(_config.keys_to_redact())
        self.clock = Clock()
        self.ids = Ids()
        self.is_fork = False
        self.at_end: Callable[[], None] | None = None  # what the process's own run says when the process ends
        self.resource = _resource(service_name)
        self._open()

    def _open(self) -> None:
        self.spool = Spool(self.home, _stem(), self.resource)
        self.carrier = choose(self.spool, self.home)

    def register(self) -> None:
        """Ask the interpreter to tell of forks and of the end."""
        atexit.register(guarded(self.end))
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=guarded(self.spool_flush), after_in_child=guarded(self._after_fork_in_child))

    def spool_flush(self) -> None:
        """Before a fork: a child must not write the parent's spans again."""
        self.spool.flush()

    def write_event(self, scope: str, record: str) -> None:
        """Spool one event and let it leave."""
        self.spool.write_logs(events.logs_line(self.resource, scope, (record,)))
        self.carrier.push()

    def _after_fork_in_child(self) -> None:
        self.is_fork = True
        self.at_end = None
        self.carrier.forget()
        self.spool.forget()
        self.ids.reseed()
        self._open()
        self.spool.eager = True

    def leave(self) -> None:
        """What was told so far leaves as at the end, and what comes next is a spool of its own; for who lives long and may wait.

        An agent that follows the file is told to look now. Nothing to do where everything was acknowledged.
        """
        self.spool.flush()
        files = (self.spool.logs, self.spool.traces)
        if isinstance(self.carrier, AgentCarrier):
            self.carrier.hurry()
        elif any(file.size > file.acked or file.memory for file in files):
            self.carrier.close()
            self._open()

    def finish_at_end(self, run: Run) -> None:
        """Make the end of the process, as it will be found out, the end of the run."""
        from rota._ending import Ending

        ending = Ending()
        self.at_end = guarded(lambda: run.finish(**ending.outcome()))
        main = getattr(sys.modules.get("__main__"), "__file__", None)
        run.script = (main, status_of(main) if main else None)  # now: by the end another file may stand in its place

    def end(self) -> None:
        """The last words, and their way out. Called by ``atexit``, or by who leaves without it."""
        if self.at_end is not None:
            self.at_end()
        self.spool.eager = True  # for those whose `atexit` comes after ours, and for daemon threads
        self.spool.flush()
        self.carrier.close()


_process: Process | None = None


def process(service_name: str) -> Process:
    """This process; made on the first call."""
    global _process
    if _process is None:
        _process = Process(service_name)
        _process.register()
    return _process


def existing() -> Process | None:
    """This process, when rota is in use here."""
    return _process


def set_process(other: Process | None) -> Process | None:
    """Let that stand for this process; returns what did so before. For tests: see ``rota.testing``."""
    global _process
    before, _process = _process, other
    return before


def _stem() -> str:
    return "%d-%s" % (os.getpid(), os.urandom(8).hex())


def _resource(service_name: str) -> str:
    pairs: dict[str, object] = {
        names.SERVICE_NAME: os.environ.get("OTEL_SERVICE_NAME") or service_name,
        names.HOST_NAME: os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME"),
        names.PROCESS_PID: os.getpid(),
        names.RUNTIME_NAME: sys.implementation.name,
        names.RUNTIME_VERSION: "%d.%d.%d" % sys.version_info[:3],
        names.SDK_NAME: "rota",
        names.SDK_LANGUAGE: "python",
        names.SDK_VERSION: __version__,
    }
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        from rota import _kubernetes

        pairs.update(guarded(_kubernetes.attributes)(os.environ) or {})
    pairs.update(_config.parse_pairs(os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")))
    return events.resource(pairs)


def status_of(path: str) -> os.stat_result | None:
    """``os.stat``, or None."""
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None
