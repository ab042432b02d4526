"""``rota observe``: look on, from outside, at the runs of a system that has a history to ask for."""

from __future__ import annotations

import argparse
import importlib

from rota.cli import _typed
from rota.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HELP = "look on at the runs of another system: rota observe step_functions"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The system; its room says what else can be said."""
    parser.add_argument("system", metavar="SYSTEM", help="a room of rota_integrations that looks on from outside")
    parser.add_argument("options", metavar="…", nargs=argparse.REMAINDER, help="of the system: rota observe SYSTEM --help")


def run(args: argparse.Namespace) -> int:
    """Exit status 0: stopped when asked, or with ``--once`` all was told; 1: it could not look."""
    system = args.system.replace("-", "_")
    room = _room(system)
    parser = argparse.ArgumentParser(prog="rota observe " + args.system, description=(room.__doc__ or "").partition("\n")[0])
    parser.add_argument("--every", metavar="DURATION", default="5s", help="how often to look (5s)")
    parser.add_argument("--once", action="store_true", help="look once, and exit")
    room.add_arguments(parser)
    options = parser.parse_args(args.options)
    from rota_integrations.following import follow

    every_seconds = _typed.seconds_of(options.every) or 0.0
    if every_seconds <= 0:
        raise UsageError("--every %s: it takes more than no time between two looks. Example: --every 5s" % options.every)
    return follow(system, room.follower(options), every_seconds, once=options.once)


def _room(system: str) -> Any:
    name = "rota_integrations." + system
    try:
        room = importlib.import_module(name) if system.isidentifier() else None
    except ModuleNotFoundError as error:
        if error.name != name:
            raise UsageError(str(error)) from error
        room = None
    except ImportError as error:  # it says what to install
        raise UsageError(str(error)) from error
    if not hasattr(room, "follower"):
        raise UsageError(
            "there is no system %r that can be looked at from outside. The docs list them: Other orchestrators" % system
        )
    return room
