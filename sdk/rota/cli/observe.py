"""``rota observe``: look on, from outside, at the runs of a system that has a history to ask for."""

from __future__ import annotations

import argparse
import importlib
import os

from rota.cli import _typed
from rota.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

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
    every_seconds = _typed.seconds_of(options.every) or 0.0
    if every_seconds <= 0:
        raise UsageError("--every %s: it takes more than no time between two looks. Example: --every 5s" % options.every)
    follower = _with_what_it_needs(lambda: room.follower(options))
    status: int = _import("following").follow(system, follower, every_seconds, once=options.once)
    return status


def _room(system: str) -> Any:
    """Raises UsageError."""
    known = sorted(_systems())
    if system not in known:
        raise UsageError("there is no system %r to be looked at from outside: there are %s" % (system, ", ".join(known)))
    return _with_what_it_needs(lambda: _import(system))


def _with_what_it_needs(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except ImportError as error:  # it says what to install
        raise UsageError(str(error)) from error


def _systems() -> list[str]:
    """Those whose rooms look on from outside; none of them is imported, as each needs packages of its own."""
    top = os.path.dirname(_import("states").__file__)
    return [
        each.name for each in os.scandir(top) if each.is_dir() and _says(os.path.join(each.path, "__init__.py"), "def follower(")
    ]


def _says(path: str, text: str) -> bool:
    try:
        with open(path, encoding="utf-8") as file:
            return text in file.read()
    except OSError:
        return False


def _import(name: str) -> Any:
    """Of the integrations, which stand beside the SDK, and need not."""
    return importlib.import_module("rota_integrations." + name)
