"""``rota sql``: one SELECT on the telemetry that the collector keeps."""

from __future__ import annotations

import sys

from rota.cli import _api, _text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "run one SELECT on the collector's telemetry (DuckDB)"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``rota sql``."""
    parser.add_argument("query", metavar="QUERY", help="the statement; `-` reads it from standard input")
    parser.add_argument("--json", action="store_true", help="print the rows as objects")


def run(args: Namespace) -> int:
    """Print the rows of the query."""
    answer = _api.post("/sql", {"query": sys.stdin.read() if args.query == "-" else args.query})
    if args.json:
        _text.json_items(answer["items"])
    else:
        _text.table(answer["columns"], [[row[name] for name in answer["columns"]] for row in answer["items"]])
    if answer["truncated"]:
        print("rota: only the first %d rows; add a LIMIT" % len(answer["items"]), file=sys.stderr)
    return 0
