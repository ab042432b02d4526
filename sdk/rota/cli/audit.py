"""``rota audit``: who changed what."""

from __future__ import annotations

import json

from rota.cli import _api, _text
from rota.cli.runs import moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "list who changed what: keys, policies, channels, incidents, outcomes, pauses and maintenance windows"
_ENOUGH = 50
_LONGEST = 80


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``rota audit``."""
    parser.add_argument(
        "subject", nargs="?", metavar="SUBJECT", help="only changes of this workflow, run, incident, channel or key"
    )
    parser.add_argument("--action", help="only these: policy.put, or all of policy, key, channel, incident, run, workflow")
    parser.add_argument("--since", metavar="WHEN", help="at or after: 90m, 12h, 7d ago, or a time as 2026-01-31T02:00Z")
    parser.add_argument("--until", metavar="WHEN", help="before")
    parser.add_argument("--limit", type=int, default=_ENOUGH, metavar="N", help="at most so many (default %d)" % _ENOUGH)
    parser.add_argument("--json", action="store_true", help="print the API's items")


def run(args: Namespace) -> int:
    """Print the changes that pass the filters, the last first."""
    filters = {"subject": args.subject, "action": args.action, "since": moment(args.since), "until": moment(args.until)}
    found = list(_api.items("/audit", args.limit, **filters))
    if args.json:
        _text.json_items(found)
    elif not found:
        print("no such change" if any(filters.values()) else "nobody changed anything yet")
    else:
        _text.table(("WHEN", "BY", "KEY", "ACTION", "WHAT", "TO"), [_row(each) for each in found])
    return 0


def _row(change: _api.Item) -> list[object]:
    after = "" if change["after"] is None else json.dumps(change["after"], ensure_ascii=False, separators=(",", ":"))
    return [
        _text.when(change["at"]),
        change["by"],
        change["key"] or "",
        change["action"],
        _text.Cell(change["subject"], "bold"),
        after if len(after) <= _LONGEST else after[: _LONGEST - 1] + "…",
    ]
