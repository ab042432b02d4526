"""Answers that hold for a while, so that a function in a loop does not ask for each of its calls what it was just told.

An agent that decides by the policy's own words says with its answer how long that stands: as long as the policy's file is the one
that it read, which is looked at before each call, and for a moment at most. Then it is asked again: a policy that nobody keeps
current, since the agent has gone or hangs, must not let anybody go on.
"""

from __future__ import annotations

import os

from rota.control.document import path_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping, Tuple

    Mark = Tuple[int, int, int]

STANDS_SECONDS = 1.0  # for so long calls may go on by the word of an agent that has gone meanwhile
LONGEST = 4096  # bytes of a question that is kept: one with many facts in it is another one each time
_MOST_KEPT = 256


class Standing:
    """What an agent said that still holds. Safe in threads and in forked children.

    Args:
        home: absolute path of ``$ROTA_HOME``.
        now: monotonic seconds.
    """

    def __init__(self, home: str, now: Callable[[], float]) -> None:
        self._home, self._now = home, now
        self._kept: dict[bytes, tuple[dict[str, Any], str, Mark | None, float]] = {}  # by question

    def find(self, question: bytes) -> dict[str, Any] | None:
        """The answer to the very same question, if it stands."""
        kept = self._kept.get(question)
        if kept is None:
            return None
        answer, path, mark, until = kept
        return answer if self._now() < until and mark_of(path) == mark else None

    def keep(self, rendered: bytes, question: Mapping[str, Any], answer: dict[str, Any], asked_at: float) -> dict[str, Any]:
        """``answer``, remembered if it stands.

        Args:
            rendered: the question as it was asked.
            question: the same, as a mapping.
            answer: to it.
            asked_at: before it was asked, in monotonic seconds.
        """
        found = _read(answer.get("stands"))
        if found is not None and len(rendered) <= LONGEST:
            mark, seconds = found
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[rendered] = (answer, path_of(self._home, question["workflow"]), mark, asked_at + seconds)
        return answer


def stands(mark: Mark | None) -> dict[str, Any]:
    """What an agent says of an answer that rests on nothing but a policy's file of that mark (None: there is no such file)."""
    return {"mark": mark, "seconds": STANDS_SECONDS}


def mark_of(path: str) -> Mark | None:
    """What changes when a file does; None when there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(said: Any) -> tuple[Mark | None, float] | None:
    """(mark, seconds) of what was said; None when that says nothing of the kind."""
    try:
        mark = said["mark"]
        return None if mark is None else tuple(mark), min(float(said["seconds"]), STANDS_SECONDS)
    except (TypeError, KeyError, ValueError):
        return None
