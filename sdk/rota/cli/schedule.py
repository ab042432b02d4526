"""``rota schedule``: when a schedule comes, and what is wrong with it. Answered without a collector that runs."""

from __future__ import annotations

from rota.cli import _parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "say when a schedule comes, and what is wrong with it"
_MOST = 10_000


def add_arguments(parser: ArgumentParser) -> None:
    """Add the actions of ``rota schedule``."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, help="next or check")
    coming = actions.add_parser("next", help="print the coming slots, in UTC and local time")
    coming.add_argument(
        "--from",
        dest="since",
        metavar="TIME",
        help="slots after then (default: now): 2026-01-31T02:00Z; in the zone of --tz when it names none",
    )
    coming.add_argument("--count", type=_count, default=5, metavar="N", help="how many (default: 5)")
    coming.add_argument("--json", action="store_true", help="print a list of {utc, local}")
    check = actions.add_parser("check", help="say what it means and what is wrong with it; exit status 1 when it cannot be used")
    check.add_argument("--grace", metavar="DURATION", help="how late a run may start: 15m")
    for action in (coming, check):
        action.add_argument(
            "schedule", metavar="EXPR", help="'0 2 * * *', '@daily', 'every 5m', or a calendar of systemd: 'Mon..Fri 02:00'"
        )
        action.add_argument("--tz", metavar="ZONE", help="time zone (default: UTC): Europe/Berlin")


def _count(text: str) -> int:
    from argparse import ArgumentTypeError

    if not (text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= _MOST):
        raise ArgumentTypeError("%r is not between 1 and %d" % (text, _MOST))
    return int(text)


def run(args: Namespace) -> int:
    """Ask what knows calendars."""
    asked = {"ask": args.action, "schedule": args.schedule, "tz": args.tz}
    if args.action == "check":
        return _parts.ask_offline({**asked, "grace": args.grace})
    return _parts.ask_offline({**asked, "from": args.since, "count": args.count, "json": args.json})
