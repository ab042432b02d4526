"""What the agent says to people: one line on stderr, and not the same one again and again."""

from __future__ import annotations

import sys
import time

_AGAIN_SECONDS = 600.0
_MOST_REMEMBERED = 1000


class Report:
    """Prints lines as ``rota agent: …``; the same line at most every ten minutes."""

    def __init__(self) -> None:
        self._said_at: dict[str, float] = {}

    def __call__(self, text: str) -> None:
        """Say it, unless it was said just now."""
        text = "".join(each if each.isprintable() else "?" for each in text)  # of a path, which may hold what ends a line
        now = time.monotonic()
        if now - self._said_at.get(text, -_AGAIN_SECONDS) < _AGAIN_SECONDS:
            return
        if len(self._said_at) >= _MOST_REMEMBERED:
            self._said_at.clear()
        self._said_at[text] = now
        print("rota agent: " + text, file=sys.stderr, flush=True)
