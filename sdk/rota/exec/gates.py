"""The gates before a command: loaded when its policy has any.

Signals are held while ``rota exec`` waits as they are while a command runs; one that would have ended the command ends the run.
"""

from __future__ import annotations

from rota._guard import guarded
from rota.control import document
from rota.control.gated import Gated, Interrupted, asks
from rota.exec import child, waiting
from rota.rules import status as statuses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from rota._run import Run

_HELD_SECONDS = 2.0  # of one question: for so long no signal is noticed
_LEAST_SECONDS = 0.01  # of one look for signals


class Gates:
    """The gates before one command."""

    def __init__(self, gated: Gated, run: Run) -> None:
        self._gated, self._run = gated, run

    def exit_code(self) -> int | None:
        """Ask and wait; None: the command may be started. Else the run is over, and standard error says why it was denied."""
        code = self._gated.exit_code()
        if code and self._gated.reason:
            child.say("%s may not run: %s" % (self._run.workflow, self._gated.reason))
        if code is None:
            self._run.started_ns = self._run.owner.clock.now_ns()
        return code

    def release(self) -> None:
        """Give back what was granted."""
        self._gated.release()


def gates_of(run: Run, path: str, signals: child.Signals, idle: Callable[[], None]) -> Gates | None:
    """The gates in the policy at ``path``; None when it has none. Rules that may cancel the run are listened for from here on."""
    found = document.read(path)
    if found is not None and found.get("rules"):
        from rota.control.cancelled import listen

        guarded(listen)(run, found)
    if found is None or not asks(found):
        return None

    def sleep(seconds: float) -> None:
        number = waiting.pause(signals, max(seconds, _LEAST_SECONDS), guarded(idle))
        if number:
            raise Interrupted(128 + number, statuses.signal_name(number).lower())

    return Gates(Gated(run, found, sleep, _HELD_SECONDS), run)
