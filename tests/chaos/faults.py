"""Faults at system calls of a collector, injected by strace: the nth call that a thread makes on some file dies, or fails."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from collectors import CollectorProcess

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


def command(home: Path, log: Path, target: str, calls: tuple[str, ...] = CALLS, inject: str = "") -> list[str]:
    """What runs a collector under strace. It is still our child: strace traces from the side (``-D``)."""
    filters = [part for path in paths(target, home) for part in ("-P", str(path))]
    injected = ["-e", f"inject={inject}"] if inject else []
    # With a filter in the kernel only the calls of interest stop; but it lets no signal through.
    quick = [] if KILL in inject else ["--seccomp-bpf"]
    return [
        "strace",
        "-D",
        "-f",
        "-qqq",
        *quick,
        "-e",
        "signal=none",
        "-o",
        str(log),
        *filters,
        "-e",
        "trace=" + ",".join(calls),
        *injected,
    ]


class FaultyCollector(CollectorProcess):
    """A collector with at most one fault a life. ``log`` is where strace writes."""

    def __init__(self, home: Path, log: Path, strace_log: Path) -> None:
        super().__init__(home, log, ROTA_GRPC="127.0.0.1:0", ROTA_DISK_RESERVE="0")  # the disk itself says no
        self.log = strace_log

    def inject(self, fault: Fault) -> None:
        """The fault happens in the next life."""
        when = f"{fault.nth}+" if fault.goes_on else str(fault.nth)
        self.under = command(self.home, self.log, fault.target, (fault.call,), f"{fault.call}:{fault.does}:when={when}")

    def listen_in(self, target: str) -> None:
        """The next life is only written down."""
        self.under = command(self.home, self.log, target, CALLS)

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the process and do not wait for it."""
        self.log.unlink(missing_ok=True)
        return super().spawn()

    def struck(self) -> bool:
        """Whether the fault happened in this life: a call has no result, or one that was injected."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "(INJECTED)" in text or re.search(r"\) += \?$", text, re.MULTILINE) is not None

    def died(self) -> bool:
        """Whether it ended, or one of its processes did. One that is started again would meet the same fault again."""
        assert self.process is not None
        return self.process.poll() is not None or (any(KILL in part for part in self.under) and self.struck())


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
