"""``rota up``: collector, agent and dashboard on this machine, until Ctrl-C."""

from __future__ import annotations

import os
import time

from rota import _config
from rota.cli import _parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import NoReturn

HELP = "run collector, agent and dashboard together, until Ctrl-C"
_WATCH_SECONDS = 0.2


def add_arguments(parser: ArgumentParser) -> None:
    """Nothing: the environment configures the parts."""


def run(_args: Namespace) -> int:
    """Run the parts until a signal comes (exit status 0) or one of them ends (1, as PartDied)."""
    for part in _parts.NEEDS:
        _parts.require(part)
    _parts.stop_on_signals()
    with _parts.Parts(os.environ) as parts:
        try:
            parts.start_all(_config.home())
            print("rota is up: http://%s" % (os.environ.get("ROTA_DASHBOARD") or "127.0.0.1:8501"), flush=True)
            serve(parts)
        except KeyboardInterrupt:
            return 0


def serve(parts: _parts.Parts) -> NoReturn:
    """Until one of the parts ends."""
    while True:
        parts.check()
        time.sleep(_WATCH_SECONDS)
