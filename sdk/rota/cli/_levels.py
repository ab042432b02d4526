"""What ``rota promote`` and ``rota demote`` have in common: a policy that leads to a level is shown, and stored."""

from __future__ import annotations

import json
from urllib.parse import quote

from rota.cli import _api, _text, _typed
from rota.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser, levels: tuple[str, ...]) -> None:
    """Add the arguments."""
    parser.add_argument("workflow", metavar="WORKFLOW", help="its name")
    parser.add_argument("--to", required=True, choices=levels, help="the level")
    parser.add_argument("--dry-run", action="store_true", help="store nothing; print the policy")
    parser.add_argument("--reason", metavar="TEXT", help="why, for the record")
    parser.add_argument("--json", action="store_true", help="print the policy as the API has it")


def move(args: Namespace, way: str) -> int:
    """Store the policy that leads there. ``way``: ``promote`` or ``demote``. Raises UsageError when it is there already."""
    found = _api.get("/advice/" + quote(args.workflow, safe=""))
    document = found[way].get(args.to)
    if document is None:
        raise UsageError("%s is on the level %s already" % (args.workflow, found["level"]))
    if args.dry_run:
        print(json.dumps({"workflow": args.workflow, **document}, indent=2, ensure_ascii=False))
        return 0
    reason = args.reason or "%s to %s" % (way, args.to)
    stored = _api.put(_api.of_workflow(args.workflow, "/policy"), document, author=_typed.who(), reason=reason)
    if args.json:
        _text.json_item(stored)
        return 0
    print(_text.clean("%s: %s → %s, version %d" % (args.workflow, found["level"], stored["level"], stored["version"])))
    print(json.dumps(document, indent=2, ensure_ascii=False))
    return 0
