"""``rota dashboard``: the pages, in the foreground."""

from __future__ import annotations

from rota.cli import _parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "run the dashboard in the foreground (settings: ROTA_DASHBOARD, ROTA_ENDPOINT)"


def add_arguments(parser: ArgumentParser) -> None:
    """Nothing: the environment configures it."""


def run(_args: Namespace) -> int:
    """Become the dashboard."""
    return _parts.become("dashboard")
