"""Put a run under its policy: called by ``rota.watch`` when there is a document for the workflow."""

from __future__ import annotations

import atexit
import contextlib
import os

from rota import _task
from rota._guard import guarded
from rota.control.client import Client
from rota.control.document import read
from rota.control.functions import MAINS, Functions
from rota.control.gated import Gated, asks
from rota.control.permit import Control

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

    from rota._run import Run


def start(run: Run, path: str, caller: FrameType) -> None:
    """From here on, tasks do as the policy says. Does nothing when it asks nothing of them, or when this was done before.

    Args:
        run: the run that this process is.
        path: of its document.
        caller: the frame that called ``watch``.
    """
    document = read(path)
    if not document or not (document.get("tasks") or document.get("rules")) or _task.CONTROL is not None:
        return
    client = Client(run.owner.home)
    atexit.register(guarded(client.close))
    control = _task.CONTROL = Control(run, document, client)
    for reference, label in _task.EARLY:
        control.adopt(reference(), label)
    _task.EARLY.clear()
    functions = Functions(control.patterns, control.coverage)
    guarded(functions.cover_script)(_body(caller))
    guarded(functions.cover_modules)()
    _tell_at_end(run, control)
    if document.get("rules"):
        from rota.control.cancelled import listen, say_cancelled

        guarded(listen)(run, document, guarded(say_cancelled))


def admit(run: Run, path: str) -> None:
    """Let the process's run begin once the gates of its policy say so.

    Raises:
        SystemExit: it may not: 0 when it is skipped, 75 when it is denied, which standard error says in a line.
    """
    document = read(path)
    if document is None or not asks(document):
        return
    gated = Gated(run, document)
    code = gated.exit_code()
    if code is None:
        run.started_ns = run.owner.clock.now_ns()  # what it waited is no part of how long it took
        atexit.register(gated.release)
        return
    if code:
        say("rota: %s may not run: %s\n" % (run.workflow, gated.reason))
    raise SystemExit(code)


def say(text: str) -> None:
    """One line on standard error, if there is one."""
    with contextlib.suppress(OSError):
        os.write(2, text.encode("utf-8", "replace"))


def _body(frame: FrameType | None) -> FrameType | None:
    """The frame in which the script's body runs, below ``frame``."""
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") in MAINS:
            return frame
        frame = frame.f_back
    return None


def _tell_at_end(run: Run, control: Control) -> None:
    finish = run.owner.at_end

    def at_end() -> None:
        try:
            run.record(control.coverage.facts())
        finally:
            if finish is not None:
                finish()

    if finish is not None:
        run.owner.at_end = guarded(at_end)
