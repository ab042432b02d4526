"""``rota logs``: what a run logged, its own events included."""

from __future__ import annotations

import json

from rota.cli import _api, _text
from rota.wire import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "print the log records and events of a run"
_COLOURS = {"ERROR": "red", "FATAL": "red", "WARN": "yellow", "DEBUG": "grey", "TRACE": "grey"}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``rota logs``."""
    parser.add_argument("run", metavar="RUN", help="a run id or its beginning, `last`, or a workflow (its last run)")
    parser.add_argument("--json", action="store_true", help="print the API's items")


def run(args: Namespace) -> int:
    """Print the logs of one run, the first first."""
    found = list(_api.items("/runs/%s/logs" % _api.find_run(args.run)["id"]))
    if args.json:
        _text.json_items(found)
        return 0
    for log in found:
        severity = str(log["severity"] or "")
        at = _text.parse_time(log["at"])
        clock = at.astimezone().strftime("%H:%M:%S.%f")[:-3] if at else ""
        print(
            clock, _text.coloured("%-5s" % _text.clean(severity), _COLOURS.get(severity.rstrip("234"))), _text.clean(_said(log))
        )
    return 0


def _said(log: _api.Item) -> str:
    """The body; for an event that has none, its name and what it says of the run or task."""
    body = log["body"]
    if body not in (None, ""):
        return body if isinstance(body, str) else json.dumps(body)
    said = [log["attributes"].get(name) for name in (names.TASK_NAME, names.STATE, names.TASK_STATE, names.REASON)]
    return " ".join(str(part) for part in [log["event_name"] or "", *said] if part)
