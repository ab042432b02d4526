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


class Part(Run):
    """What the script says of the run that exec began and will end: its declaration, its facts, and its error."""

    exec_spool = ""  # exec's spool file

    def finish(
        self, state: str, exit_code: int | None = None, reason: str | None = None, error: dict[str, object] | None = None
    ) -> None:
        """Say what the script knows. Not that it is over: a shell may go on, and exec sees the end."""
        if self.is_over:
            return
        self.is_over = True
        self.owner.spool.flush()
        if error:
            self.say("running", {**error, names.ERROR_TYPE: error.get(names.EXCEPTION_TYPE), **self.facts}, self.owner.clock.now_ns())
            mark(self.exec_spool)
        elif self.facts:
            self.say("running", self.facts, self.owner.clock.now_ns())


def part_of(owner: Process, name: str | None, stem: str) -> Part | None:
    """The run of the ``rota exec`` with that spool, for a script that calls ``watch(name)``; None: it is another run."""
    run_id, workflow = _propagate.inherited_run()
    exec_pid = stem.partition("-")[0]
    if not run_id or not exec_pid.isdigit() or (name and name != workflow):
        return None
    if not name and not is_command_of(int(exec_pid)):
        return None
    part = Part.joined(owner, run_id, workflow, *_propagate.inherited())
    assert isinstance(part, Part)
    part.kind, part.parent_run_id = "part", ""
    part.exec_spool = spool_file(owner.home, stem)
    return part


def is_command_of(exec_pid: int) -> bool:
    """Whether only shells and the like are between that process and this one. A system that does not tell is believed to say yes."""
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


def mark(path: str) -> None:
    """Tell exec that the error was told. Its spool file's mode is the one thing that both can reach and nobody else reads."""
    try:
        os.chmod(path, 0o700)
    except OSError:  # another home: exec then tells the last lines of the output as the error
        pass


def is_marked(path: str) -> bool:
    """Whether a part has told an error."""
    try:
        return bool(os.stat(path).st_mode & 0o100)
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
