"""Permission coverage: which functions really ran in a run, and which of them asked."""

from __future__ import annotations

from fnmatch import fnmatchcase

from rota.wire import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable

MOST_NAMES = 1000  # of functions; more are not told apart
MOST_UNREACHED = 20


class Coverage:
    """Names, collected while a run goes on.

    Args:
        patterns: of the policy's ``tasks``.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = list(patterns)
        self._made: set[str] = set()
        self._ran: set[str] = set()
        self._asked: set[str] = set()
        self._unreached: list[str] = []

    def made(self, name: str) -> None:
        """A function is a task."""
        _add(self._made, name)

    def ran(self, name: str) -> None:
        """It ran."""
        _add(self._ran, name)

    def asked(self, name: str) -> None:
        """It asked."""
        _add(self._asked, name)

    def unreached(self, name: str, why: str) -> None:
        """A function matches, and will not ask."""
        told = "%s: %s" % (name, why)
        if told not in self._unreached and len(self._unreached) < MOST_UNREACHED:
            self._unreached.append(told)

    def facts(self) -> dict[str, object]:
        """For the end of the run. A pattern that matched nothing is told: a rename must not take a gate away in silence."""
        known = self._made | self._ran
        unmatched = [pattern for pattern in self._patterns if not any(fnmatchcase(name, pattern) for name in known)]
        return {
            names.PERMISSION_RAN: len(self._ran | self._asked),
            names.PERMISSION_ASKED: len(self._asked),
            names.PERMISSION_UNMATCHED: unmatched or None,
            names.PERMISSION_UNREACHED: self._unreached or None,
        }


def _add(kept: set[str], name: str) -> None:
    if len(kept) < MOST_NAMES:
        kept.add(name)
