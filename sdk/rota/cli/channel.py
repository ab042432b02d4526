"""``rota channel``: where alerts go."""

from __future__ import annotations

from rota.cli import _api, _text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "add, list, test and remove the channels of alerts"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the actions of ``rota channel``."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, help="add, ls, test or rm")
    add = actions.add_parser("add", help="add a channel; alerts go to all of them")
    add.add_argument("name", metavar="NAME", help="what policies call it: ops")
    add.add_argument("url", metavar="URL", help="https://… for a signed webhook, or an Apprise address: mailto://…, slack://…")
    listing = actions.add_parser("ls", help="list the channels")
    test = actions.add_parser("test", help="send a message through a channel now")
    remove = actions.add_parser("rm", help="remove a channel; what waits for it is given up")
    for action in (test, remove):
        action.add_argument("name", metavar="NAME", help="its name")
    for action in (add, listing, test, remove):
        action.add_argument("--json", action="store_true", help="print the API's items")


def run(args: Namespace) -> int:
    """Add, list, test or remove."""
    return {"add": _add, "ls": _list, "test": _test, "rm": _remove}[args.action](args)


def _add(args: Namespace) -> int:
    added = _api.post("/channels", {"name": args.name, "url": args.url})
    if args.json:
        _text.json_item(added)
        return 0
    _print([added])
    if added["secret"]:
        print("\nits messages are signed with this secret, which is not shown again:\n%s" % _text.clean(added["secret"]))
    print("\n`rota channel test %s` tries it" % _text.clean(added["name"]))
    return 0


def _list(args: Namespace) -> int:
    found = _api.get("/channels")["items"]
    if args.json:
        _text.json_items(found)
    elif not found:
        print("there is no channel: nobody is told of anything. `rota channel add NAME URL` adds one")
    else:
        _print(found)
    return 0


def _test(args: Namespace) -> int:
    answer = _api.post(_path(args.name) + "/test", {})
    if args.json:
        _text.json_item(answer)
    else:
        print("delivered: alert %s" % _text.clean(answer["id"]))
    return 0


def _remove(args: Namespace) -> int:
    answer = _api.delete(_path(args.name))
    if args.json:
        _text.json_item(answer)
    else:
        print("%s is removed" % _text.clean(answer["removed"]))
    return 0


def _path(name: str) -> str:
    from urllib.parse import quote

    return "/channels/" + quote(name, safe="")


def _print(found: list[_api.Item]) -> None:
    rows = [[_text.Cell(each["name"], "bold"), each["kind"], each["url"], _text.when(each["created_at"])] for each in found]
    _text.table(("NAME", "KIND", "ADDRESS", "ADDED"), rows)
