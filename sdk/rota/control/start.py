"""Put a run under its policy: called by ``rota.watch`` when there is a document for the workflow."""

from __future__ import annotations

import atexit

from rota import _task
from rota._guard import guarded
from rota.control.client import Client
from rota.control.document import read
from rota.control.functions import MAINS, Functions
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
    if not document or not isinstance(document.get("tasks"), dict) or not document["tasks"] or _task.CONTROL is not None:
        return
    client = Client(run.owner.home)
    atexit.register(guarded(client.close))
    control = _task.CONTROL = Control(run, document, client)
    for reference, label in _task.EARLY:
        control.adopt(reference(), label)
    _task.EARLY.clear()
    functions = Functions(control.tasks, control.coverage)
    guarded(functions.cover_script)(_body(caller))
    guarded(functions.cover_modules)()
    _tell_at_end(run, control)


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
