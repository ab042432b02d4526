"""``rota incidents``: what is wrong, and what people do about it."""

from __future__ import annotations

from rota.cli import _api, _text, _typed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "list what is wrong; show, acknowledge, snooze or close it"
SHORT_ID = 8
_ENOUGH = 50  # incidents that a person reads
_COLOUR_OF_STATE = {"open": "red", "acknowledged": "yellow", "snoozed": "grey", "closed": "grey"}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the actions and options of ``rota incidents``."""
    from argparse import SUPPRESS  # the list has a --json too, which an action's default must not undo

    parser.add_argument("--all", action="store_true", help="the last %d, closed ones too" % _ENOUGH)
    parser.add_argument("--workflow", metavar="NAME", help="only those of this workflow")
    parser.add_argument("--json", action="store_true", help="print the API's items")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", help="show, ack, snooze or close an incident")
    for name, what in (
        ("show", "all that is known of one"),
        ("ack", "you work on it: no reminders any more"),
        ("snooze", "nothing is said of it for a while"),
        ("close", "it is settled, whatever the facts say"),
    ):
        action = actions.add_parser(name, help=what, description=what)
        action.add_argument("id", metavar="ID", help="its id, or the beginning of it")
        if name == "snooze":
            _typed.add_end(action, required=True)
        action.add_argument("--json", action="store_true", default=SUPPRESS, help="print the API's item")


def run(args: Namespace) -> int:
    """List incidents, or act on one."""
    if args.action is None:
        _list(args)
    elif args.action == "show":
        _show(_api.get(_path(args.id)), args.json)
    else:
        end = _typed.end_of(args) if args.action == "snooze" else {}
        _say(_api.post(_path(args.id) + "/" + args.action, {"by": _typed.who(), **end}), args.json)
    return 0


def _path(word: str) -> str:
    from urllib.parse import quote

    return "/incidents/" + quote(word, safe="")


def _list(args: Namespace) -> None:
    state, most = (None, _ENOUGH) if args.all else ("open", None)
    found = list(_api.items("/incidents", most, state=state, workflow=args.workflow))
    if args.json:
        _text.json_items(found)
    elif not found:
        print("no incident yet" if args.all else "nothing is wrong, as far as anybody knows")
    else:
        print_incidents(found)


def print_incidents(incidents: list[_api.Item]) -> None:
    """Print a table of incidents."""
    headings = ("INCIDENT", "WORKFLOW", "HOST", "KIND", "STATE", "SINCE", "WHAT")
    _text.table(headings, [_row(each) for each in incidents])


def _row(incident: _api.Item) -> list[object]:
    return [
        incident["id"][:SHORT_ID],
        _text.Cell(incident["workflow"] or "(several)", "bold"),
        incident["host"],
        incident["kind"].replace("_", " "),
        state_cell(incident),
        _text.when(incident["since_at"]),
        incident["summary"],
    ]


def state_cell(incident: _api.Item) -> _text.Cell:
    """Its state, with who works on it, or until when it is left alone."""
    state, more = incident["state"], ""
    if state == "acknowledged":
        more = " by %s" % incident["acked_by"]
    elif state == "snoozed":
        more = " until %s" % _text.when(incident["snoozed_until"])
    return _text.Cell(state + more, _COLOUR_OF_STATE.get(state))


def _say(incident: _api.Item, as_json: bool) -> None:
    if as_json:
        _text.json_item(incident)
    else:
        print("%s  %s: %s" % (incident["id"][:SHORT_ID], state_cell(incident).text, _text.clean(incident["summary"])))


def _show(incident: _api.Item, as_json: bool) -> None:
    if as_json:
        _text.json_item(incident)
        return
    facts = [
        ("incident", incident["id"]),
        ("workflow", incident["workflow"]),
        ("host", incident["host"]),
        ("kind", incident["kind"].replace("_", " ")),
        ("state", state_cell(incident).text),
        ("what", incident["summary"]),
        ("error", incident["error"]),
        ("since", _text.when(incident["since_at"])),
        ("opened", _text.when(incident["opened_at"])),
        ("closed", _text.when(incident["closed_at"])),
        ("because", incident["reason"]),
        ("slot", _text.when(incident["due_at"])),
        ("run", incident["run_id"]),
        ("told", _text.when(incident["told_at"]) or "nobody"),
        ("part of", incident["group_id"] or incident["suppressed_by"]),
    ]
    for name, value in facts:
        if value not in (None, ""):
            print("%-10s %s" % (name, _text.clean(value)))
    if incident["members"]:
        print()
        print_incidents(incident["members"])
