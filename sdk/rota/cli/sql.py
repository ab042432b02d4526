"""``rota sql``: one SELECT on the telemetry that the collector keeps."""

from __future__ import annotations

import csv
import json
import sys

from rota.cli import _api, _text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "run one SELECT on the collector's telemetry (DuckDB)"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``rota sql``."""
    parser.add_argument("query", metavar="QUERY", help="the statement; `-` reads it from standard input")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the rows as objects")
    form.add_argument("--csv", action="store_true", help="print the rows as CSV, with a line of names")


def run(args: Namespace) -> int:
    """Print the rows of the query."""
    answer = _api.post("/sql", {"query": sys.stdin.read() if args.query == "-" else args.query})
    if args.json:
        _text.json_items(answer["items"])
    elif args.csv:
        _csv(answer["columns"], answer["items"])
    else:
        _text.table(answer["columns"], [[row[name] for name in answer["columns"]] for row in answer["items"]])
    if answer["truncated"]:
        print("rota: only the first %d rows; add a LIMIT" % len(answer["items"]), file=sys.stderr)
    return 0


def _csv(names: list[str], rows: list[_api.Item]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([json.dumps(row[name]) if isinstance(row[name], (dict, list)) else row[name] for name in names])
