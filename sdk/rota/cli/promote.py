"""``rota promote``: put a workflow on a higher level by the smallest policy, with what its history teaches."""

from __future__ import annotations

from rota.cli import _levels
from rota.rules.level import LEVELS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "put a workflow on a higher level, by the smallest policy that does"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``rota promote``."""
    _levels.add_arguments(parser, LEVELS[1:])


def run(args: Namespace) -> int:
    """Promote one workflow."""
    return _levels.move(args, "promote")
