"""``rota export``: a snapshot of telemetry in files, for heavier work."""

from __future__ import annotations

import os
import shutil
import tarfile

from rota.cli import _api, _text
from rota.cli.runs import moment
from rota.errors import CollectorError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "write a snapshot of the collector's telemetry into files"
_LAST = "manifest.json"
_SILENCE_SECONDS = 600.0


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``rota export``."""
    parser.add_argument("--to", required=True, metavar="DIR", help="a folder that is empty, or not there yet")
    parser.add_argument("--format", choices=("parquet", "duckdb"), default="parquet", help="Parquet files, or one DuckDB file")
    parser.add_argument("--since", metavar="WHEN", help="what happened from then on: 90m, 12h, 7d ago, or a time")
    parser.add_argument("--until", metavar="WHEN", help="what happened before")
    parser.add_argument("--workflow", metavar="NAME", help="only of this workflow; `*` and `?` match several")
    parser.add_argument("--json", action="store_true", help="print the names and sizes of the files as JSON")


def run(args: Namespace) -> int:
    """Fetch the files, each as it gets ready."""
    if os.path.isdir(args.to) and os.listdir(args.to):
        raise UsageError("%s is not empty; name another folder" % args.to)
    asked = {"format": args.format, "since": moment(args.since), "until": moment(args.until), "workflow": args.workflow}
    found: list[_api.Item] = []
    try:
        with _api.post_stream("/export", asked, _SILENCE_SECONDS) as answer, tarfile.open(fileobj=answer, mode="r|") as tar:
            os.makedirs(args.to, exist_ok=True)
            for member in tar:
                name = os.path.basename(member.name)
                _write(tar, member, os.path.join(args.to, name))
                found.append({"name": name, "bytes": member.size})
                if not args.json:
                    print("%s, %.1f MB" % (name, member.size / 1e6), flush=True)
    except (tarfile.TarError, OSError) as error:
        raise CollectorError("the export broke off: %s. What is in %s is not all of it" % (error, args.to)) from None
    if not found or found[-1]["name"] != _LAST:
        raise CollectorError("the export broke off. What is in %s is not all of it; the collector's stderr may say why" % args.to)
    if args.json:
        _text.json_items(found)
    return 0


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
    content = tar.extractfile(member)
    if content is None:
        raise OSError("%s is no file" % member.name)
    with content, open(path, "wb") as file:
        shutil.copyfileobj(content, file)
