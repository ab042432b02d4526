"""A script under ``rota exec`` that calls ``watch()``: part of exec's run, or a child run of it.

With another name it is a child run. With the same name, or none, it is part of the run, if it is exec's command: between the two
are only shells and commands that run another one (``env``, ``flock``, ``sudo``, …). What another program starts, and what a part
of the run starts, is a child run.
"""

from __future__ import annotations

import os

from rota import _propagate
from rota._process import Process
from rota._run import Run
from rota.wire import names

_FARTHEST = 16  # processes between exec and the script
TOLD_ERROR, DECLARED = 0o100, 0o010  # marks for exec: the mode bits of its spool file that they set
BY_EXEC = "exec"  # in the marker: exec declares the schedule itself


def marker(stem: str, by: str, attempt: int = 0) -> str:
    """What exec puts into ``BAGGAGE``: its spool's stem, who named the workflow (``given``, ``script``), or ``BY_EXEC``, and,
    when it may try again, the number of the attempt.
    """
    return "%s;by=%s;attempt=%d" % (stem, by, attempt) if attempt else "%s;by=%s" % (stem, by)


class Part(Run):
    """What the script says of the run that exec began and will end: its declaration, its facts, and its error."""

    exec_spool = ""  # exec's spool file
    by = ""
    told_path = ""  # where exec looks for the error, when it may try again

    def declare(self, pairs: dict[str, object]) -> None:
        """One run declares once: what exec was told comes before what the code says, and exec names no source when we do."""
        if self.by == BY_EXEC:
            pairs = {name: pairs[name] for name in (names.CODE_FILE, names.TAGS)}
        else:
            pairs[names.NAME_SOURCE] = self.by
            mark(self.exec_spool, DECLARED)
        super().declare(pairs)

    def finish(
        self,
        state: str,  # noqa: ARG002  a run's finish() has it; how the script ended is not how the run does
        exit_code: int | None = None,  # noqa: ARG002
        reason: str | None = None,  # noqa: ARG002
        error: dict[str, object] | None = None,
    ) -> None:
        """Say what the script knows. Not that it is over: a shell may go on, and exec sees the end."""
        if self.is_over:
            return
        self.is_over = True
        self.owner.spool.flush()
        if error:
            self.say(
                "running", {**error, names.ERROR_TYPE: error.get(names.EXCEPTION_TYPE), **self.facts}, self.owner.clock.now_ns()
            )
            mark(self.exec_spool, TOLD_ERROR)
            if self.told_path:
                from rota.exec import told

                told.tell(self.told_path, error)
        elif self.facts:
            self.say("running", self.facts, self.owner.clock.now_ns())


def part_of(owner: Process, name: str | None, exec_marker: str) -> Part | None:
    """The run of the ``rota exec`` with that marker, for a script that calls ``watch(name)``; None: it is another run."""
    stem, *more = exec_marker.split(";")
    said = dict(field.partition("=")[::2] for field in more)
    run_id, workflow = _propagate.inherited_run()
    exec_pid = stem.partition("-")[0]
    if not run_id or not exec_pid.isdigit() or (name and name != workflow):
        return None
    if not name and not is_command_of(int(exec_pid)):
        return None
    part = Part.joined(owner, run_id, workflow, *_propagate.inherited())
    assert isinstance(part, Part)
    part.kind, part.parent_run_id = "part", ""
    part.exec_spool, part.by = spool_file(owner.home, stem), said.get("by", "")
    if said.get("attempt", "").isdigit():
        part.attempt, part.told_path = int(said["attempt"]), told_file(owner.home, stem)
        part.render()
    return part


def is_command_of(exec_pid: int) -> bool:
    """Whether only shells and the like are between that process and this one. Yes, where the system does not tell."""
    pid = os.getppid()
    for _ in range(_FARTHEST):
        if pid == exec_pid:
            return True
        try:
            words, parent = _process(pid)
        except (OSError, ValueError):
            return True
        if not _runs_another(words):
            return False
        pid = parent
    return False


def spool_file(home: str, stem: str) -> str:
    """Where a process writes its states."""
    return "%s/spool/live/%s.logs.jsonl" % (home, stem)


def told_file(home: str, stem: str) -> str:
    """Where a part tells that exec the error that ended an attempt. In no folder that a shipper looks into."""
    return "%s/spool/told/%s" % (home, stem)


def mark(path: str, bit: int) -> None:
    """Tell exec what was told. Its spool file's mode is the one thing that both can reach and nobody else reads."""
    try:
        os.chmod(path, os.stat(path).st_mode & 0o777 | bit)
    except OSError:  # another home, or another user's: then exec says its own
        pass


def unmark(path: str, bit: int) -> None:
    """Forget what was told: another attempt begins."""
    try:
        os.chmod(path, os.stat(path).st_mode & 0o777 & ~bit)
    except OSError:
        pass


def is_marked(path: str, bit: int) -> bool:
    """Whether a part has told that."""
    try:
        return bool(os.stat(path).st_mode & bit)
    except OSError:
        return False


def _process(pid: int) -> tuple[tuple[str, ...], int]:
    """(what it is called, its parent). Raises OSError and ValueError when the system does not say."""
    with open("/proc/%d/stat" % pid, "rb") as file:
        head, _, tail = file.read().rpartition(b")")
    called = os.fsdecode(head.partition(b"(")[2])
    try:
        called_too = os.path.basename(os.readlink("/proc/%d/exe" % pid))  # a shell script is called by its own name
    except OSError:  # another user's
        called_too = called
    return (called, called_too), int(tail.split()[1])


def _runs_another(words: tuple[str, ...]) -> bool:
    from rota.exec.naming import PREFIXES, SHELLS

    return any(word in SHELLS or word in PREFIXES for word in words)
