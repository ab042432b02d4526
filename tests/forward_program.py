"""A program that forwards a journal and ends when a receiver has all of it.

Its arguments: folder (with the journal), address of a receiver, and at which step to kill itself (0: at none). A step is a line
of the forwarder, of its cursor or of what sends. It goes on where an earlier start ended, and prints how many steps there were.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from rota_collector.clock import SystemClock
from rota_collector.journal import Journal
from rota_collector.targets import Target
from rota_collector.watch import backend, cursor, forward

_TRACED = {module.__file__ for module in (forward, cursor, backend)}
_steps = itertools.count(1)
_last = 0


def main(folder: Path, url: str, kill_at: int) -> None:
    """Forward until nothing is left."""
    forward.REQUEST_BYTES, forward.GATHER_SECONDS = 2_000, 0.0
    journal = Journal(folder / "journal", clock=SystemClock())
    threading.settrace(_tracer(kill_at))
    sys.settrace(_tracer(kill_at))
    target = Target("far", url, begins_now=False)
    forwarding = forward.Forwarding([target], journal, folder / "forward", SystemClock(), lambda _: None)
    forwarding.start()
    sys.settrace(None)
    while forwarding.cursors()["far"] < journal.durable_end:
        time.sleep(0.005)
    forwarding.stop(10)
    journal.close()
    print(_last)


def _tracer(kill_at: int) -> Any:
    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        global _last
        if frame.f_code.co_filename not in _TRACED:
            return None
        if event == "line":
            _last = next(_steps)
            if _last == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
