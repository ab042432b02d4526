"""``rota maintenance``: times in which nothing is expected of many workflows, or of a host."""

from __future__ import annotations

from rota.cli import _api, _text, _typed
from rota.errors import CollectorError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "add, list and remove times in which nothing is expected"
_SHORT_ID = 8


def add_arguments(parser: ArgumentParser) -> None:
    """Add the actions of ``rota maintenance``."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, help="add, ls or rm")
    add = actions.add_parser("add", help="expect nothing of what matches, for a while")
    add.add_argument("pattern", metavar="PATTERN", help="workflows, by name or pattern: 'etl.*', '*'")
    add.add_argument("--host", default="*", metavar="PATTERN", help="only of instances on these hosts")
    add.add_argument("--from", dest="begins", metavar="TIME", help="from then (default: now): 2026-01-31T02:00")
    _typed.add_end(add, required=True)
    add.add_argument("--reason", default="", metavar="TEXT", help="why, for the record")
    listing = actions.add_parser("ls", help="list those that are on or to come, pauses too")
    remove = actions.add_parser("rm", help="end one now")
    remove.add_argument("id", metavar="ID", help="its id, or the beginning of it")
    for action in (add, listing, remove):
        action.add_argument("--json", action="store_true", help="print the API's items")


def run(args: Namespace) -> int:
    """Add, list or remove."""
    return {"add": _add, "ls": _list, "rm": _remove}[args.action](args)


def _add(args: Namespace) -> int:
    asked = {
        "workflow": args.pattern, "host": args.host, "from": _typed.time_of(args.begins), "reason": args.reason,
        "by": _typed.who(), **_typed.end_of(args),
    }  # fmt: skip
    window = _api.post("/maintenance", asked)
    if args.json:
        _text.json_item(window)
    else:
        _print([window])
    return 0


def _list(args: Namespace) -> int:
    found = _api.get("/maintenance")["items"]
    if args.json:
        _text.json_items(found)
    elif not found:
        print("no pause and no maintenance is on or to come")
    else:
        _print(found)
    return 0


def _remove(args: Namespace) -> int:
    found = [each for each in _api.get("/maintenance")["items"] if each["id"].startswith(args.id)]
    if len(found) != 1:
        raise CollectorError("%s begin with %r. `rota maintenance ls` lists them" % ("several" if found else "none", args.id))
    answer = _api.delete("/maintenance/" + found[0]["id"])
    if args.json:
        _text.json_item(answer)
    else:
        print("%s is over" % found[0]["id"][:_SHORT_ID])
    return 0


def _print(found: list[_api.Item]) -> None:
    headings = ("ID", "KIND", "WORKFLOWS", "HOSTS", "FROM", "UNTIL", "BY", "REASON")
    _text.table(headings, [_row(each) for each in found])


def _row(quiet: _api.Item) -> list[object]:
    return [
        quiet["id"][:_SHORT_ID],
        quiet["kind"],
        _text.Cell(quiet["workflow"], "bold"),
        quiet["host"],
        _text.when(quiet["from_at"]),
        _text.when(quiet["until_at"]),
        quiet["by"],
        quiet["reason"],
    ]
