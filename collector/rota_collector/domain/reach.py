"""How far a key reaches: which workflows it is for. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

from rota.rules.sharing import covers


class Reach(NamedTuple):
    """Workflows, by patterns (``*`` and ``?``) and by name."""

    patterns: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def is_everything(self) -> bool:
        """Whether no workflow can be beyond it."""
        return "*" in self.patterns

    @property
    def spelled(self) -> tuple[str, ...]:
        """Its patterns and names, as a policy shares with them."""
        return (*self.patterns, *self.names)

    def allows(self, workflow: str) -> bool:
        """Whether this workflow is within it."""
        return workflow in self.names or any(fnmatchcase(workflow, pattern) for pattern in self.patterns)

    def covers(self, pattern: str) -> bool:
        """Whether all workflows that a pattern matches are within it."""
        return pattern in self.names or any(covers(wide, pattern) for wide in self.patterns)

    def touches(self, pattern: str) -> bool:
        """Whether a pattern may match something within it: one of two covers the other."""
        mine = (*self.patterns, *self.names)
        return self.covers(pattern) or any(covers(pattern, each) for each in mine)

    def and_names(self, names: Iterable[str]) -> Reach:
        """This and some more, by name."""
        return self._replace(names=(*self.names, *names))

    def __str__(self) -> str:
        return ", ".join((*self.patterns, *self.names)) or "nothing"


EVERYTHING = Reach(("*",))
