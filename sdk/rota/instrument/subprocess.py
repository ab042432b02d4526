"""subprocess: a span a child process, from its start until the program has waited for it. The executable's name, nothing else.

A child that nobody waited for is told at the end of the run, without an exit status; its span lasts as long as its start did.
"""

from __future__ import annotations

import os
from time import monotonic_ns

from rota._guard import guarded
from rota.instrument import _patch
from rota.instrument._call import Label, Labels, OpenCall, begin
from rota.instrument._replace import followed, replace
from rota.wire import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from rota._run import Run
    from rota._task import Task

_MOST_NAME = 255  # characters
_AT = "_rota_call"  # where a Popen keeps it


def install(module: ModuleType) -> None:
    """Watch the birth of a ``Popen``, and the two methods by which a program learns of its end."""
    _patch.observe(module.Popen, "__init__", _start, _started)
    for name in ("wait", "poll"):
        replace(module.Popen, name, followed(vars(module.Popen)[name], _asked))


def _start(place: Run | Task, popen: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> OpenCall | None:
    program = kwargs.get("executable") or (args[2] if len(args) > 2 else None)
    if program is None:
        command = args[0] if args else kwargs.get("args")
        in_shell = kwargs.get("shell") or (len(args) > 8 and args[8])
        program = "sh" if in_shell else command[0] if isinstance(command, (list, tuple)) and command else command
    child = begin(_LABELS[_name(program)], place, OpenCall)
    if child is not None:
        vars(popen)[_AT] = child
    return child


def _started(child: OpenCall, _result: object) -> None:
    child.stay_open()


@guarded
def _asked(popen: Any, status: int | None) -> None:
    """After ``wait`` or ``poll`` the exit status is there, or not yet."""
    child = popen.__dict__.pop(_AT, None) if status is not None else None
    if child is not None:
        child.facts = {names.PROCESS_PID: popen.pid, names.PROCESS_EXIT_CODE: status}
        child.ended_ns = monotonic_ns()
        child.let_go()


def _name(program: object) -> str | None:
    """The last part of a path: ``ffmpeg``. Never iterates what is given: it may be a generator."""
    path = os.fsdecode(program) if isinstance(program, (str, bytes, os.PathLike)) else ""
    return os.path.basename(path)[:_MOST_NAME] or None


_LABELS = Labels(lambda name: Label("subprocess", name or "process", {names.EXECUTABLE: name}))
