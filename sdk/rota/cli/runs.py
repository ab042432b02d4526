"""``rota runs``: the runs, the last started first."""

from __future__ import annotations

import json

from rota.cli import _api, _text, _typed
from rota.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from datetime import datetime

HELP = "list runs, the last started first"
SHORT_ID = 18  # of a UUIDv7: the millisecond and 12 random bits
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``rota runs``."""
    parser.add_argument("workflow", nargs="?", metavar="WORKFLOW", help="only runs of this workflow; `*` and `?` match several")
    parser.add_argument(
        "--state", action="append", help="only runs in this state: running, succeeded, failed, crashed, …; several"
    )
    parser.add_argument("--tag", help="only runs with this tag")
    parser.add_argument("--since", metavar="WHEN", help="started at or after: 90m, 12h, 7d ago, or a time as 2026-01-31T02:00Z")
    parser.add_argument("--until", metavar="WHEN", help="started before")
    parser.add_argument("--host", help="only runs on this host")
    parser.add_argument("--grep", metavar="TEXT", help="only runs with this text in their error or reason, in any case")
    parser.add_argument("--longer", metavar="DURATION", help="only runs that took at least so long: 90s, 15m, 2h")
    parser.add_argument("--retried", action="store_true", help="only runs of more than one attempt")
    parser.add_argument("--follow", action="store_true", help="print runs as they change, until Ctrl-C; of a workflow, or all")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many (default 20)")
    parser.add_argument("--json", action="store_true", help="print the API's items")


def run(args: Namespace) -> int:
    """Print the runs that pass the filters."""
    since, until = moment(args.since), moment(args.until)
    if args.follow:
        return _follow(args)
    filters = {
        "workflow": args.workflow, "state": args.state, "tag": args.tag, "since": since, "until": until, "host": args.host,
        "q": args.grep, "min_seconds": _typed.seconds_of(args.longer), "retried": args.retried or None,
    }  # fmt: skip
    found = list(_api.items("/runs", args.limit, **filters))
    if args.json:
        _text.json_items(found)
    elif not found:
        print("no such run" if any(filters.values()) else "no run yet")
    else:
        print_runs(found)
    return 0


def _follow(args: Namespace) -> int:
    """Print each run as often as it changes."""
    try:
        for name, item in _api.stream("/tail", kinds="runs", workflow=args.workflow):
            if name != "run" or (args.state and item["state"] not in args.state):
                continue
            if args.json:
                print(json.dumps(item), flush=True)
            else:
                state = _text.clean(item["state"] + (" (%s)" % item["reason"] if item["reason"] else ""))
                print(item["id"][:SHORT_ID], _text.clean(item["workflow"]), state, _text.took(item), flush=True)
    except KeyboardInterrupt:
        pass
    return 0


def print_runs(runs: list[_api.Item]) -> None:
    """Print a table of runs."""
    _text.table(("RUN", "WORKFLOW", "STATE", "STARTED", "TOOK", "EXIT", "ERROR"), [_row(each) for each in runs])


def _row(run: _api.Item) -> list[object]:
    error = ": ".join(filter(None, (run["error_type"], run["error_message"])))
    return [
        run["id"][:SHORT_ID],
        _text.Cell(run["workflow"], "bold"),
        _text.state_cell(run["state"], run["reason"]),
        _text.when(run["started_at"]),
        _text.took(run),
        run["exit_code"],
        error,
    ]


def moment(text: str | None, now: datetime | None = None) -> str | None:
    """A time of the API for ``90m``, ``12h``, ``7d`` (ago) or an ISO time; without a zone that is local time.

    Raises:
        UsageError: it is neither.
    """
    if not text:
        return None
    from datetime import datetime, timedelta, timezone

    if text[:-1].isdigit() and text[-1] in _UNITS:
        at = (now or datetime.now(timezone.utc)) - timedelta(seconds=int(text[:-1]) * _UNITS[text[-1]])
    else:
        try:
            at = _typed.iso_time(text)
        except ValueError:
            raise UsageError("%r is no time. Examples: 90m, 12h, 7d, 2026-01-31T02:00Z" % text) from None
    return at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
