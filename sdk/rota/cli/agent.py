"""``rota agent``: ship the spool and witness how processes end; ``--once``: ship what is left, and exit."""

from __future__ import annotations

import argparse
import os
import signal

HELP = "ship what scripts leave in the spool, and see how they end"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``rota agent``."""
    parser.add_argument("--once", action="store_true", help="ship everything that ended scripts left behind, then exit")
    parser.add_argument("--verbose", action="store_true", help="with --once: say what was shipped")


def run(args: argparse.Namespace) -> int:
    """Exit status 0: stopped when asked, or all is shipped; 1: it cannot start, or something could not be delivered."""
    return _once(args.verbose) if args.once else _resident()


def _once(is_verbose: bool) -> int:
    from rota import _config
    from rota.agent.answer import Unavailable
    from rota.agent.carrier import Carrier
    from rota.agent.once import drain
    from rota.agent.report import Report
    from rota.agent.ship import Shipper

    say = Report() if is_verbose else _say_nothing
    carrier = Carrier(Shipper(), say)
    try:
        is_done = drain(_config.home(), carrier)
    except Unavailable as error:
        say("%s. It stays in %s/spool" % (error, _config.home()))
        return 1
    shipped = "%d lines shipped, %d set aside" % (carrier.carried, carrier.set_aside)
    say(shipped if is_done else "a resident agent ships this home")
    return 0


def _say_nothing(_: str) -> None:
    """For the detached shipper, whose output nobody reads."""


def _resident() -> int:
    from rota import _config
    from rota.agent.loop import Agent
    from rota.agent.report import Report
    from rota.agent.ship import Shipper

    report, shipper = Report(), Shipper()
    path = door_path(_config.home())
    agent = Agent(_config.home(), path, shipper, report)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.stop())
    report("ready at %s, ships to %s" % (path, shipper.destination))
    agent.run()
    return 0


def door_path(home: str) -> str:
    """``ROTA_AGENT`` unless that is off, else the home's own socket."""
    chosen = os.environ.get("ROTA_AGENT", "")
    return chosen if os.path.isabs(chosen) else os.path.join(home, "agent.sock")
