"""Whatever way a process ends, the calls that only wait to be counted are written before.

A run that ends closes its own (``Run.finish``). A process that is part of its parent's run, and has no run to end, does it here.
"""

from __future__ import annotations

import atexit
import os
import sys

from rota._guard import guarded
from rota._run import CALLS

_pid = 0  # of the process that has seen to its end


def at_end() -> None:
    """See to the end of this process, once."""
    global _pid
    if _pid == os.getpid():
        return
    if not _pid:
        atexit.register(guarded(close_all))  # later than the process's own last words, so it comes before them
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=guarded(_forget))
    _pid = os.getpid()
    workers = sys.modules.get("multiprocessing.util")
    if workers is not None:  # its forked workers end without atexit
        workers.Finalize(None, guarded(close_all), exitpriority=0)


def _forget() -> None:
    """In a forked child: the parent tells of its own calls."""
    from rota.instrument._call import OPEN

    for call in OPEN:
        call.is_open = False
    OPEN.clear()
    CALLS.clear()


def close_all() -> None:
    """Write what waits, of every run."""
    for calls in [calls for calls in CALLS.values() if not calls.place.is_task] + list(CALLS.values()):
        calls.close()
        spool = calls.place.run.owner.spool
        if spool.eager:
            spool.flush()
