"""``rota key``: the keys with which jobs ping, hosts send what happens there, and people and programs use the API."""

from __future__ import annotations

import urllib.parse

from rota import _config
from rota.cli import _api, _text, _typed
from rota.errors import CollectorError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "create, list, rotate and revoke keys: for pings, for telemetry, and for the API"
_SHORT_ID = 8
_PING, _ADMIN = "ping", "admin"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the actions of ``rota key``."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, help="create, ls, rotate or rm")
    create = actions.add_parser("create", help="create a key; it is shown this once")
    create.add_argument("--scope", default=_PING, help="what it may do: ping (the default), ingest, read, operate or admin")
    create.add_argument("--workflow", metavar="NAME", help="it is for this workflow (default: for all)")
    create.add_argument(
        "--pattern",
        dest="patterns",
        action="append",
        metavar="PATTERN",
        help="it is for those that match: 'etl.*'; may be repeated",
    )
    _typed.add_end(create)
    create.add_argument("--name", default="", metavar="TEXT", help="what `rota key ls` calls it")
    create.add_argument("--value", metavar="KEY", help="a key that jobs use already, as the UUID of a Healthchecks check")
    listing = actions.add_parser("ls", help="list them, revoked ones too")
    rotate = actions.add_parser("rotate", help="make a successor for the same; the old one goes on for a while")
    rotate.add_argument("id", metavar="ID", help="its id, or the beginning of it")
    rotate.add_argument("--overlap", default="24h", metavar="DURATION", help="how long the old one is valid (default 24h)")
    remove = actions.add_parser("rm", help="revoke one now, for good")
    remove.add_argument("id", metavar="ID", help="its id, or the beginning of it")
    for action in (create, listing, rotate, remove):
        action.add_argument("--json", action="store_true", help="print the API's items")


def run(args: Namespace) -> int:
    """Create, list, rotate or revoke."""
    return {"create": _create, "ls": _list, "rotate": _rotate, "rm": _remove}[args.action](args)


def _create(args: Namespace) -> int:
    asked = {name: getattr(args, name) for name in ("scope", "workflow", "patterns", "name", "value")}
    asked.update(_typed.end_of(args), by=_typed.who())
    is_first = args.scope == _ADMIN and not args.json and _api.get("/me")["is_open"]
    made = _api.post("/keys", asked)
    if args.json:
        _text.json_item(made)
    else:
        _print_made(made, is_first)
    return 0


def _print_made(made: _api.Item, is_first: bool) -> None:
    print("key      %s" % made["key"])
    if made["scope"] == _PING:
        _print_addresses(made)
    else:
        print("export ROTA_TOKEN=%s" % made["key"])
    if is_first:
        print("\nFrom now on the API, the dashboard and OTLP ask for a key, from this machine too. Scripts and agents keep what")
        print("they cannot send, until they have one in ROTA_TOKEN_FILE: `rota key create --scope ingest` makes it.")
    print("\nThe key is not shown again. `rota key rm %s` revokes it." % made["id"][:_SHORT_ID])


def _print_addresses(made: _api.Item) -> None:
    url = _config.endpoint() + urllib.parse.quote(made["path"], safe="/<>")
    print("ping     %s" % url)
    print("crontab  0 2 * * * /path/to/job; curl -fsS -m 10 --retry 5 -o /dev/null %s/$?" % url)


def _list(args: Namespace) -> int:
    found = _api.get("/keys")["items"]
    if args.json:
        _text.json_items(found)
    elif not found:
        print("there is no key. `rota key create --workflow NAME` makes one")
    else:
        _text.table(("ID", "SCOPE", "FOR", "NAME", "CREATED", "EXPIRES", "REVOKED"), [_row(each) for each in found])
    return 0


def _rotate(args: Namespace) -> int:
    old = _find(args.id)
    made = _api.post("/keys/%s/rotate" % old["id"], {"overlap_seconds": _typed.seconds_of(args.overlap)})
    if args.json:
        _text.json_item(made)
    else:
        _print_made(made, is_first=False)
        print("The old one, %s, goes on for %s." % (old["id"][:_SHORT_ID], args.overlap))
    return 0


def _remove(args: Namespace) -> int:
    found = _find(args.id)
    answer = _api.delete("/keys/" + found["id"])
    if args.json:
        _text.json_item(answer)
    else:
        print("%s is revoked" % found["id"][:_SHORT_ID])
    return 0


def _find(word: str) -> _api.Item:
    """The key whose id begins so. Raises CollectorError."""
    found: list[_api.Item] = [
        each for each in _api.get("/keys")["items"] if each["id"].startswith(word) and not each["revoked_at"]
    ]
    if len(found) != 1:
        raise CollectorError("%s begin with %r. `rota key ls` lists them" % ("several" if found else "none", word))
    return found[0]


def _row(key: _api.Item) -> list[object]:
    limits = key["workflow"] or ", ".join(key["patterns"]) or "all workflows"
    return [
        key["id"][:_SHORT_ID],
        key["scope"],
        _text.Cell(limits, "bold"),
        key["name"],
        _text.when(key["created_at"]),
        _text.when(key["expires_at"]) if key["expires_at"] else "",
        _text.when(key["revoked_at"]) if key["revoked_at"] else "",
    ]
