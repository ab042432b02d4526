"""``rota cancel``: have a run ended."""

from __future__ import annotations

from rota.cli import _api, _text, _typed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "have a run ended: its host sends SIGTERM"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``rota cancel``."""
    parser.add_argument("run", metavar="RUN", help="a run id or its beginning, `last`, or a workflow (its last run)")
    parser.add_argument("--reason", default="", metavar="TEXT", help="why, for the record")
    parser.add_argument("--json", action="store_true", help="print the API's item")


def run(args: Namespace) -> int:
    """Order it; that the run has ended is its own to say."""
    found = _api.find_run(args.run)
    told = _api.post("/runs/%s/cancel" % found["id"], {"reason": args.reason, "by": _typed.who()})
    if args.json:
        _text.json_item(told)
    else:
        print(_text.clean("%(workflow)s: run %(run_id)s is to end; `rota show %(run_id)s` tells how it did" % told))
    return 0
