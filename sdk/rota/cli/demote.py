"""``rota demote``: put a workflow on a lower level, by taking away what its policy asks above that."""

from __future__ import annotations

from rota.cli import _levels
from rota.rules.level import LEVELS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "put a workflow on a lower level, by taking away what is above it"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``rota demote``."""
    _levels.add_arguments(parser, LEVELS[:-1])


def run(args: Namespace) -> int:
    """Demote one workflow."""
    return _levels.move(args, "demote")
