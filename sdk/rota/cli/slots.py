"""``rota slots``: what should have run, and what became of it."""

from __future__ import annotations

from rota.cli import _api, _text
from rota.cli.runs import SHORT_ID, moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "list when workflows should have run, and whether they did"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``rota slots``."""
    parser.add_argument("workflow", nargs="?", metavar="WORKFLOW", help="only slots of this workflow")
    parser.add_argument("--verdict", help="only slots with this verdict: on_time, early, late, missed, skipped, unknown")
    parser.add_argument("--since", metavar="WHEN", help="due at or after: 90m, 12h, 7d ago, or a time as 2026-01-31T02:00Z")
    parser.add_argument("--until", metavar="WHEN", help="due before")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many (default 20)")
    parser.add_argument("--json", action="store_true", help="print the API's items")


def run(args: Namespace) -> int:
    """Print the slots that pass the filters, the last due first."""
    filters = {
        "workflow": args.workflow, "verdict": args.verdict, "since": moment(args.since), "until": moment(args.until)
    }  # fmt: skip
    found = list(_api.items("/slots", args.limit, **filters))
    if args.json:
        _text.json_items(found)
    elif not found:
        print("no such slot" if any(filters.values()) else "no slot yet: no workflow has a schedule")
    else:
        _text.table(("DUE", "WORKFLOW", "HOST", "VERDICT", "STARTED", "RUN"), [_row(each) for each in found])
    return 0


def _row(slot: _api.Item) -> list[object]:
    return [
        _text.when(slot["due_at"]),
        _text.Cell(slot["workflow"], "bold"),
        slot["host"],
        _text.verdict_cell(slot["verdict"], slot["reason"]),
        _text.when(slot["started_at"]),
        (slot["run_id"] or "")[:SHORT_ID],
    ]
