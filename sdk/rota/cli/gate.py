"""``rota gate``: ask for a workflow whether its gates are open, from a shell."""

from __future__ import annotations

from rota.cli import _text, _typed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "ask whether the gates of a workflow are open: rota gate check etl && ./etl.sh"
_COLOURS = {"go": "green", "wait": "yellow", "skip": "grey", "deny": "red"}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the actions of ``rota gate``."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, help="check")
    check = actions.add_parser("check", help="exit status 0: it may run now; 1: it may not, and why is said")
    check.add_argument("workflow", metavar="WORKFLOW", help="its name")
    check.add_argument("--wait", metavar="DURATION", help="wait so long for them to open: 30m")
    check.add_argument("--json", action="store_true", help="print the answer as JSON")


def run(args: Namespace) -> int:
    """Ask for one workflow."""
    from rota.control.check import check

    found = check(args.workflow, _typed.seconds_of(args.wait) or 0.0)
    if args.json:
        _text.json_item({"answer": found.answer, "reason": found.reason, "kind": found.kind, "blind": found.is_blind})
    else:
        print(_text.coloured(found.answer, _COLOURS.get(found.answer)) + ": " + _text.clean(found.reason))
    return 0 if found.answer == "go" else 1
