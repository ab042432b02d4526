"""Which of the collector's processes gives way when memory or the processor runs short. The one that receives never does."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

# proc(5), oom_score_adj: thousandths of the memory there is, on top of what a process has; who comes to most is ended first. The
# keeper has three times as much as a process that is to go before it.
_MAY_END, _ENDS_FIRST = 200, 1000


def restartable() -> None:
    """This process is started again when it ends: the kernel, out of memory, is to choose it and not the one that starts it."""
    _expect(_MAY_END)


def least() -> None:
    """What this process does can be done again later: it is the first to end, and runs when nobody else wants to."""
    _expect(_ENDS_FIRST)
    os.nice(19)


def _expect(score: int) -> None:
    with contextlib.suppress(OSError):  # not every system lets it be said
        Path("/proc/self/oom_score_adj").write_text(str(score))
