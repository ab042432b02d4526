"""``rota collector``: the server, in the foreground; ``install``: as a service."""

from __future__ import annotations

import os

from rota.cli import _parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "run the collector in the foreground (settings: ROTA_HOME, ROTA_HTTP, ROTA_GRPC)"


def add_arguments(parser: ArgumentParser) -> None:
    """The actions of ``rota collector``."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", help="install or uninstall (default: run here)")
    install = actions.add_parser(
        "install", help="make it a service of systemd or launchd, for this machine as root, else for this user"
    )
    install.add_argument("--print", action="store_true", help="only print the unit")
    install.add_argument(
        "--run-as", metavar="USER", default="", help="as root: whose rights it has (root's, without root's powers)"
    )
    remove = actions.add_parser("uninstall", help="stop the service and remove it; what it kept stays")
    for action in (install, remove):
        action.add_argument("--user", action="store_true", help="for this user, though it is root")


def run(args: Namespace) -> int:
    """Become the collector; or make it a service (exit status 0, or 1 as InstallError)."""
    if not args.action:
        return _parts.become("collector")
    from rota.cli import _collector_install

    is_system = os.geteuid() == 0 and not args.user
    if args.action == "uninstall":
        return _collector_install.uninstall(is_system)
    action = _collector_install.show if args.print else _collector_install.install
    return action(is_system, args.run_as if is_system else "")
