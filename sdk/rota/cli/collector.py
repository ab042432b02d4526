"""``rota collector``: the server, in the foreground."""

from __future__ import annotations

from rota.cli import _parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "run the collector in the foreground (settings: ROTA_HOME, ROTA_HTTP, ROTA_GRPC)"


def add_arguments(parser: ArgumentParser) -> None:
    """Nothing: the environment configures it."""


def run(_args: Namespace) -> int:
    """Become the collector."""
    return _parts.become("collector")
