"""``rota logs``: what a run logged, its own events included, or all of them."""

from __future__ import annotations

import json
import sys

from rota.cli import _api, _text
from rota.cli.runs import moment
from rota.wire import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "print the log records and events of a run, or search those of all runs"
_COLOURS = {"ERROR": "red", "FATAL": "red", "WARN": "yellow", "DEBUG": "grey", "TRACE": "grey"}
_SEVERITIES = {"trace": 1, "debug": 5, "info": 9, "warn": 13, "error": 17, "fatal": 21}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``rota logs``."""
    parser.add_argument("run", nargs="?", metavar="RUN", help="a run id or its beginning, `last`, or a workflow (its last run)")
    parser.add_argument("--workflow", metavar="NAME", help="of all runs of this workflow; `*` and `?` match several")
    parser.add_argument("--grep", metavar="TEXT", help="with this text in the body or the attributes, in any case")
    parser.add_argument("--severity", choices=list(_SEVERITIES), help="this one or a worse")
    parser.add_argument("--since", metavar="WHEN", help="of all runs, from then on (default: a day): 90m, 12h, 7d ago, or a time")
    parser.add_argument("--until", metavar="WHEN", help="of all runs, before")
    parser.add_argument(
        "--limit", type=int, default=1000, metavar="N", help="of all runs, at most so many, the last (default 1000)"
    )
    parser.add_argument("--follow", action="store_true", help="print what comes from now on, until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="print the API's items; with --follow one a line")


def run(args: Namespace) -> int:
    """Print logs, the first first."""
    filters = {"q": args.grep, "severity": _SEVERITIES[args.severity] if args.severity else None}
    if args.follow:
        return _follow(args, filters)
    if args.run is not None:
        found = list(_api.items("/runs/%s/logs" % _api.find_run(args.run)["id"], **filters))
    else:
        since, until = moment(args.since), moment(args.until)
        found = list(_api.items("/logs", args.limit, workflow=args.workflow, since=since, until=until, **filters))[::-1]
    if args.json:
        _text.json_items(found)
        return 0
    for log in found:
        _print(log, with_workflow=args.run is None)
    return 0


def _follow(args: Namespace, filters: _api.Item) -> int:
    run_id = None if args.run is None else _api.find_run(args.run)["id"]
    try:
        for name, item in _api.stream("/tail", kinds="logs", run=run_id, workflow=args.workflow, **filters):
            if name == "dropped":
                print("rota: too much came at once; %d bytes of it were passed over" % item["journal_bytes"], file=sys.stderr)
            elif args.json:
                print(json.dumps(item), flush=True)
            else:
                _print(item, with_workflow=run_id is None)
    except KeyboardInterrupt:
        pass
    return 0


def _print(log: _api.Item, *, with_workflow: bool) -> None:
    severity = str(log["severity"] or "")
    at = _text.parse_time(log["at"])
    clock = at.astimezone().strftime("%H:%M:%S.%f")[:-3] if at else ""
    level = _text.coloured("%-5s" % _text.clean(severity), _COLOURS.get(severity.upper().rstrip("234")))
    words = [clock, level, *([_text.clean(log["workflow"] or "-")] if with_workflow else []), _text.clean(_said(log))]
    print(*words, flush=True)


def _said(log: _api.Item) -> str:
    """The body; for an event that has none, its name and what it says of the run or task."""
    body = log["body"]
    if body not in (None, ""):
        return body if isinstance(body, str) else json.dumps(body)
    said = [log["attributes"].get(name) for name in (names.TASK_NAME, names.STATE, names.TASK_STATE, names.REASON)]
    return " ".join(str(part) for part in [log["event_name"] or "", *said] if part)
