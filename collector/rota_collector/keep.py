"""``python -m rota_collector.keep``: the keeper's process, which begins and ends quicker than Python would by itself."""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """Does not return: the exit status is that of ``rota_collector.keeper.main``."""
    gc.disable()  # nearly all that importing makes stays: to look through it again and again takes a seventh of the start
    from rota_collector import keeper, priority

    priority.restartable()
    gc.freeze()
    gc.enable()
    status = keeper.main(*map(int, sys.argv[1:]))
    sys.stderr.flush()
    os._exit(status)  # all is closed by now: to take every object apart would take longer than closing did


if __name__ == "__main__":
    main()
