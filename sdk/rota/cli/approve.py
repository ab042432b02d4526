"""``rota approve``: say yes or no to runs that wait for a person."""

from __future__ import annotations

from rota.cli import _api, _text, _typed
from rota.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "list runs that wait for somebody's approval; approve or refuse one"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``rota approve``."""
    parser.add_argument(
        "id", nargs="?", metavar="ID", help="of an approval or its beginning, or the workflow; all are listed when left out"
    )
    parser.add_argument("--refuse", action="store_true", help="say no")
    parser.add_argument("--comment", metavar="TEXT", help="why, for the record")
    parser.add_argument("--json", action="store_true", help="print the API's items")


def run(args: Namespace) -> int:
    """List approvals, or answer one."""
    waiting = [each for each in _api.items("/approvals") if each["state"] == "asked"]
    if args.id is None:
        _list(waiting, args.json)
        return 0
    chosen = [each for each in waiting if each["id"].startswith(args.id) or each["workflow"] == args.id]
    if len(chosen) != 1:
        raise UsageError("%d approvals that wait are meant by %r: `rota approve` lists them" % (len(chosen), args.id))
    answer = "refuse" if args.refuse else "approve"
    told = _api.post("/approvals/" + chosen[0]["id"], {"answer": answer, "comment": args.comment, "by": _typed.who()})
    if args.json:
        _text.json_item(told)
    else:
        print(_text.clean("%s: %s by %s" % (told["workflow"], told["state"], told["by"])))
    return 0


def _list(waiting: list[_api.Item], as_json: bool) -> None:
    if as_json:
        _text.json_items(waiting)
    elif not waiting:
        print("nothing waits for approval")
    else:
        rows = [[each["id"][:18], each["workflow"], each["run_id"], _text.when(each["asked_at"])] for each in waiting]
        _text.table(("APPROVAL", "WORKFLOW", "RUN", "ASKED"), rows)
