"""How the states of other systems are ours: a table a system (``states.json`` in its room), checked when it is read."""

from __future__ import annotations

import json
import os
import re
from typing import Mapping, NamedTuple

from rota.rules.fold import STATES

_ENTRY = re.compile(r"([a-z_]+)(?:\((.+)\))?")


class State(NamedTuple):
    """A state of ours, why, and the other system's own word."""

    name: str
    reason: str | None
    raw: str


class Table:
    """What a system's words are.

    Args:
        words: by ``run`` and ``task``, the system's word → ours, with a reason in brackets: ``blocked(slot)``.

    Raises:
        ValueError: there is no such state.
    """

    def __init__(self, words: Mapping[str, Mapping[str, str]]) -> None:
        self._words = {of: {raw.upper(): _read(said) for raw, said in table.items()} for of, table in words.items()}

    def of_run(self, raw: str, is_over: bool = False, kind: str = "") -> State:
        """What a run's state is. A word that nobody knows is ``running``, or ``ended`` where it is over, and said so.

        Args:
            raw: the system's word.
            is_over: the system says so.
            kind: its word for all states of that kind, where users may make up words of their own.
        """
        return self._find("run", raw, is_over, kind)

    def of_task(self, raw: str, is_over: bool = False, kind: str = "") -> State:
        """The same of a task."""
        return self._find("task", raw, is_over, kind)

    def _find(self, of: str, raw: str, is_over: bool, kind: str) -> State:
        words = self._words.get(of, {})
        found = words.get(raw.upper())
        if found is None and kind.upper() in words:
            return State(words[kind.upper()][0], raw if raw.upper() != kind.upper() else None, raw)
        if found is None:
            return State("ended" if is_over else "running", "unknown state %s" % raw, raw)
        return State(*found, raw)


def table_of(room: str) -> Table:
    """The table in the folder of that room: ``luigi``."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), room, "states.json")
    with open(path, encoding="utf-8") as file:
        return Table(json.load(file))


def _read(said: str) -> tuple[str, str | None]:
    found = _ENTRY.fullmatch(said)
    if found is None or found[1] not in STATES:
        raise ValueError("%r is no state: there are %s" % (said, ", ".join(STATES)))
    return found[1], found[2]
