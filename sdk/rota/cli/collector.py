"""``rota collector``: the server, in the foreground; and what is done to its home as a whole."""

from __future__ import annotations

from rota.cli import _parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "run the collector in the foreground (settings: ROTA_HOME, ROTA_HTTP, ROTA_GRPC); back up, restore, rebuild its home"
_DOES = (
    ("backup", "copy all that was acknowledged into a new directory; the collector may run"),
    ("restore", "make ROTA_HOME what was backed up; what is there is kept beside"),
    ("rebuild", "make telemetry.duckdb again from the journal; nothing alerts again"),
    ("vacuum", "write telemetry.duckdb anew without what was forgotten; a running collector does it in the background"),
)
_NEED_DIRECTORY = ("backup", "restore")


def add_arguments(parser: ArgumentParser) -> None:
    """Nothing runs it: the environment configures it."""
    does = parser.add_subparsers(dest="do", metavar="[backup|restore|rebuild|vacuum]")
    for name, words in _DOES:
        one = does.add_parser(name, help=words, description=words)
        if name in _NEED_DIRECTORY:
            one.add_argument("directory", metavar="DIR")


def run(args: Namespace) -> int:
    """Become the collector, or what looks after its home."""
    if args.do is None:
        return _parts.become("collector")
    return _parts.look_after_home({"do": args.do, "directory": getattr(args, "directory", None)})
