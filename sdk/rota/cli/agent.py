"""``rota agent``: ship the spool and witness how processes end; ``--once``: ship what is left, and exit."""

from __future__ import annotations

import argparse
import os
import signal

HELP = "ship what scripts leave in the spool, and see how they end"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options and actions of ``rota agent``."""
    parser.add_argument("--once", action="store_true", help="ship everything that ended scripts left behind, then exit")
    parser.add_argument("--verbose", action="store_true", help="with --once: say what was shipped")
    parser.add_argument(
        "--all-users", action="store_true", help="as root: serve every user of this machine, with that user's rights"
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", help="install, status or uninstall (default: run here)")
    install = actions.add_parser(
        "install", help="make it a service of systemd or launchd, for this machine as root, else for this user"
    )
    install.add_argument("--print", action="store_true", help="only print the unit")
    status = actions.add_parser("status", help="whether one answers, and how it does; exit status 0 or 1")
    status.add_argument("--json", action="store_true", help="print an object")
    remove = actions.add_parser("uninstall", help="stop the service and remove it")
    for action in (install, remove):
        action.add_argument("--user", action="store_true", help="for this user, though it is root")


def run(args: argparse.Namespace) -> int:
    """Exit status 0: stopped when asked, or all is shipped; 1: it cannot start, or something could not be delivered."""
    if args.action == "status":
        from rota.cli import _agent_status

        return _agent_status.show(args.json)
    if args.action:
        return _as_service(args)
    if args.all_users:
        return _for_all_users()
    return _once(args.verbose) if args.once else _resident()


def _for_all_users() -> int:
    from rota import _config
    from rota.agent.porter import Porter
    from rota.agent.report import Report
    from rota.agent.unit import SYSTEM_DOOR
    from rota.errors import UsageError

    if os.geteuid() != 0 or not hasattr(os, "pidfd_open"):
        raise UsageError("--all-users is for root on Linux: another user's agent is `rota agent`")
    report, home = Report(), _config.home()
    path = os.environ.get("ROTA_AGENT") or SYSTEM_DOOR
    os.makedirs(home, mode=0o700, exist_ok=True)
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    porter = Porter(path, os.path.join(home, "spools.json"), report)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: porter.stop())
    report("ready at %s, for every user" % path)
    porter.run()
    return 0


def _as_service(args: argparse.Namespace) -> int:
    from rota.cli import _agent_install

    is_system = os.geteuid() == 0 and not args.user
    if args.action == "uninstall":
        return _agent_install.uninstall(is_system)
    return _agent_install.show(is_system) if args.print else _agent_install.install(is_system)


def _once(is_verbose: bool) -> int:
    from rota import _config
    from rota.agent.answer import Unavailable
    from rota.agent.carrier import Carrier
    from rota.agent.once import drain
    from rota.agent.policies import renew
    from rota.agent.report import Report
    from rota.agent.ship import Shipper

    say = Report() if is_verbose else _say_nothing
    carrier = Carrier(Shipper(), say)
    try:
        is_done = drain(_config.home(), carrier)
    except Unavailable as error:
        say("%s. It stays in %s/spool" % (error, _config.home()))
        return 1
    if is_done:
        renew(_config.home(), say)
    shipped = "%d lines shipped, %d set aside" % (carrier.carried, carrier.set_aside)
    say(shipped if is_done else "a resident agent ships this home")
    return 0


def _say_nothing(_: str) -> None:
    """For the detached shipper, whose output nobody reads."""


def _resident() -> int:
    from rota import _config
    from rota.agent.door import open_door
    from rota.agent.loop import Agent
    from rota.agent.report import Report
    from rota.agent.ship import Shipper

    report, shipper = Report(), Shipper()
    path = door_path(_config.home())
    agent = Agent(open_door(path), shipper, report, home=_config.home())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.stop())
    report("ready at %s, ships to %s" % (path, shipper.destination))
    agent.run()
    return 0


def door_path(home: str) -> str:
    """``ROTA_AGENT`` unless that is off, else the home's own socket."""
    chosen = os.environ.get("ROTA_AGENT", "")
    return chosen if os.path.isabs(chosen) else os.path.join(home, "agent.sock")
