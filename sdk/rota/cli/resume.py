"""``rota resume``: expect again what was paused."""

from __future__ import annotations

from rota.cli import _api, _text, _typed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "expect a paused workflow to run again"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``rota resume``."""
    parser.add_argument("workflow", metavar="WORKFLOW", help="its name")
    parser.add_argument("--json", action="store_true", help="print the API's answer")


def run(args: Namespace) -> int:
    """Resume one workflow."""
    answer = _api.post(_api.of_workflow(args.workflow, "/resume"), {"by": _typed.who()})
    if args.json:
        _text.json_item(answer)
    else:
        print(_text.clean("%s %s" % (args.workflow, "is expected again" if answer["was_paused"] else "was not paused")))
    return 0
