"""``rota key``: the keys with which jobs ping."""

from __future__ import annotations

import urllib.parse

from rota import _config
from rota.cli import _api, _text
from rota.errors import CollectorError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "create, list and revoke keys with which jobs ping"
_SHORT_ID = 8


def add_arguments(parser: ArgumentParser) -> None:
    """Add the actions of ``rota key``."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, help="create, ls or rm")
    create = actions.add_parser("create", help="create a key; it is shown this once")
    create.add_argument("--scope", default="ping", help="what it may do: ping")
    create.add_argument("--workflow", metavar="NAME", help="it pings this workflow (default: the address names one)")
    create.add_argument("--pattern", metavar="PATTERN", help="it pings workflows whose names match: 'etl.*'")
    create.add_argument("--name", default="", metavar="TEXT", help="what `rota key ls` calls it")
    create.add_argument("--value", metavar="KEY", help="a key that jobs use already, as the UUID of a Healthchecks check")
    listing = actions.add_parser("ls", help="list them, revoked ones too")
    remove = actions.add_parser("rm", help="revoke one now, for good")
    remove.add_argument("id", metavar="ID", help="its id, or the beginning of it")
    for action in (create, listing, remove):
        action.add_argument("--json", action="store_true", help="print the API's items")


def run(args: Namespace) -> int:
    """Create, list or revoke."""
    return {"create": _create, "ls": _list, "rm": _remove}[args.action](args)


def _create(args: Namespace) -> int:
    asked = {name: getattr(args, name) for name in ("scope", "workflow", "pattern", "name", "value")}
    made = _api.post("/keys", asked)
    if args.json:
        _text.json_item(made)
        return 0
    url = _config.endpoint() + urllib.parse.quote(made["path"], safe="/<>")
    print("key      %s" % made["key"])
    print("ping     %s" % url)
    print("crontab  0 2 * * * /path/to/job; curl -fsS -m 10 --retry 5 -o /dev/null %s/$?" % url)
    print("\nThe key is not shown again. `rota key rm %s` revokes it." % made["id"][:_SHORT_ID])
    return 0


def _list(args: Namespace) -> int:
    found = _api.get("/keys")["items"]
    if args.json:
        _text.json_items(found)
    elif not found:
        print("there is no key. `rota key create --workflow NAME` makes one")
    else:
        _text.table(("ID", "SCOPE", "FOR", "NAME", "CREATED", "REVOKED"), [_row(each) for each in found])
    return 0


def _remove(args: Namespace) -> int:
    found = [each for each in _api.get("/keys")["items"] if each["id"].startswith(args.id) and not each["revoked_at"]]
    if len(found) != 1:
        raise CollectorError("%s begin with %r. `rota key ls` lists them" % ("several" if found else "none", args.id))
    answer = _api.delete("/keys/" + found[0]["id"])
    if args.json:
        _text.json_item(answer)
    else:
        print("%s is revoked" % found[0]["id"][:_SHORT_ID])
    return 0


def _row(key: _api.Item) -> list[object]:
    return [
        key["id"][:_SHORT_ID],
        key["scope"],
        _text.Cell(key["workflow"] or key["pattern"] or "any workflow", "bold"),
        key["name"],
        _text.when(key["created_at"]),
        _text.when(key["revoked_at"]) if key["revoked_at"] else "",
    ]
