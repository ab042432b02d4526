"""``rota pause``: expect nothing of a workflow for a while."""

from __future__ import annotations

from rota.cli import _api, _text, _typed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "expect nothing of a workflow, for a while or until `rota resume`"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``rota pause``."""
    parser.add_argument("workflow", metavar="WORKFLOW", help="its name")
    _typed.add_end(parser)
    parser.add_argument("--reason", default="", metavar="TEXT", help="why, for the record")
    parser.add_argument("--json", action="store_true", help="print the API's item")


def run(args: Namespace) -> int:
    """Pause one workflow."""
    asked = {"by": _typed.who(), "reason": args.reason, **_typed.end_of(args)}
    pause = _api.post(_api.of_workflow(args.workflow, "/pause"), asked)
    if args.json:
        _text.json_item(pause)
        return 0
    until = _text.when(pause["until_at"]) if pause["until_at"] else "somebody resumes it: rota resume %s" % args.workflow
    print(_text.clean("%s is paused until %s" % (args.workflow, until)))
    return 0
