"""Faults at system calls of a collector, injected by strace: the nth call that a thread makes on some file dies, or fails."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from collectors import PATIENCE_SECONDS, CollectorProcess, lives, until

CALLS = ("pwrite64", "pwritev2", "write", "fdatasync", "fsync", "rename", "ftruncate", "unlink")
TARGETS = ("journal", "telemetry", "control", "home")
KILL, NO_SPACE, BROKEN = "signal=KILL", "error=ENOSPC", "error=EIO"
HAS_STRACE = shutil.which("strace") is not None
_MADE = re.compile(r"^(\d+) +(\w+)\((?!.* resumed>)")


class Fault(NamedTuple):
    """``does`` happens at the ``nth`` ``call`` of a thread on a file of ``target``; with ``goes_on``, at all after it too."""

    target: str
    call: str
    nth: int
    does: str = KILL
    goes_on: bool = False

    def __str__(self) -> str:
        return f"{self.does} at {self.call} {self.nth}{'+' * self.goes_on} on {self.target}"


def paths(target: str, home: Path) -> list[Path]:
    """The files of a part of the collector, those that may come to be included."""
    if target == "journal":
        segments = sorted((home / "journal").glob("*.journal"))
        end = int(segments[-1].stem) + segments[-1].stat().st_size if segments else 0  # where the next one begins
        following = home / "journal" / f"{end:020}.journal"
        named = [*segments[-1:], following, following.with_name(following.name + ".new")]
        return [home / "journal", home / "journal" / "quarantine" / f"{end:020}.torn", *named]
    if target == "telemetry":
        return [home / f"telemetry.duckdb{end}" for end in ("", ".wal", ".new", ".new.wal", ".wal.checkpoint", ".wal.recovery")]
    if target == "control":
        return [home / f"control.sqlite{end}" for end in ("", "-wal", "-shm", "-journal")]
    return [home, home / "collector.lock", home / "collector.json", home / "collector.json.part"]


class Watch(NamedTuple):
    """What strace looks at in a life, and what it does to it."""

    target: str
    calls: tuple[str, ...] = CALLS
    inject: str = ""


def command(home: Path, log: Path, watch: Watch) -> list[str]:
    """strace and its options, before what it is to trace."""
    filters = [part for path in paths(watch.target, home) for part in ("-P", str(path))]
    injected = ["-e", f"inject={watch.inject}"] if watch.inject else []
    chosen = ["-e", "signal=none", "-e", "trace=" + ",".join(watch.calls), *injected]
    return ["strace", "-f", "-qqq", "-o", str(log), *filters, *chosen]


class FaultyCollector(CollectorProcess):
    """A collector with at most one fault a life. ``log`` is where strace writes.

    A fault may come from the first call on, or once the collector is ready: a start is half as long without strace.
    """

    patience_seconds = 10 * PATIENCE_SECONDS

    def __init__(self, home: Path, log: Path, strace_log: Path) -> None:
        super().__init__(home, log, ROTA_GRPC="127.0.0.1:0", ROTA_DISK_RESERVE="0")  # the disk itself says no
        self.log = strace_log
        self._watch: Watch | None = None
        self._is_late = False
        self._seen: set[int] = set()  # its keepers of this life
        self._attached: subprocess.Popen[bytes] | None = None

    def inject(self, fault: Fault, once_ready: bool = False) -> None:
        """The fault happens in the next life; its calls count from the first one on, or from when it is ready."""
        when = f"{fault.nth}+" if fault.goes_on else str(fault.nth)
        self._watch = Watch(fault.target, (fault.call,), f"{fault.call}:{fault.does}:when={when}")
        self._is_late = once_ready

    def listen_in(self, target: str, once_ready: bool = False) -> None:
        """The next life is only written down."""
        self._watch, self._is_late = Watch(target), once_ready

    def leave_alone(self) -> None:
        """Nothing happens in the next life."""
        self._watch = None

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the process and do not wait for it."""
        self.log.unlink(missing_ok=True)
        self._seen.clear()
        self.under = []
        if self._watch is not None and not self._is_late:
            # With a filter in the kernel only the calls of interest stop; but it lets no signal through.
            quick = [] if KILL in self._watch.inject else ["--seccomp-bpf"]
            self.under = [*command(self.home, self.log, self._watch), "-D", *quick]  # from the side: it is still our child
        return super().spawn()

    def is_ready(self) -> None:
        """It is: what was to begin now begins."""
        assert self.process is not None
        if self._watch is None or not self._is_late:
            return
        traced = [self.process.pid, *self.keepers()]
        which = [part for pid in traced for part in ("-p", str(pid))]
        self._attached = subprocess.Popen([*command(self.home, self.log, self._watch), *which])
        until(lambda: all(map(_is_traced, traced)), "strace to have all threads", self.patience_seconds)

    def kill(self) -> None:
        """SIGKILL; returns when nothing of it is left."""
        super().kill()
        if self._attached is not None:
            self._attached.wait(self.patience_seconds)
            self._attached = None

    def struck(self) -> bool:
        """Whether the fault happened in this life: a call has no result, or one that was injected."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "(INJECTED)" in text or re.search(r"\) += \?$", text, re.MULTILINE) is not None

    def died(self) -> bool:
        """Whether it ended, or one of its processes did. One that is started again would meet the same fault again."""
        assert self.process is not None
        self._seen |= set(self.keepers())
        is_fatal = self._watch is not None and (KILL in self._watch.inject or not all(map(lives, self._seen)))
        return self.process.poll() is not None or (is_fatal and self.struck())


def _is_traced(pid: int) -> bool:
    """Whether every thread of a process is, or it is gone."""
    with contextlib.suppress(OSError):
        return all("TracerPid:\t0\n" not in (task / "status").read_text() for task in Path(f"/proc/{pid}/task").iterdir())
    return not Path(f"/proc/{pid}").exists()


def counted(log: Path) -> Counter[str]:
    """How often a thread made each call, of the busiest thread."""
    threads: Counter[tuple[str, str]] = Counter()
    for line in log.read_text(errors="replace").splitlines():
        if found := _MADE.match(line):
            threads[found[1], found[2]] += 1
    most: Counter[str] = Counter()
    for (_, call), times in threads.items():
        most[call] = max(most[call], times)
    return most
