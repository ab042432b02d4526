"""What is current here: the innermost open task or run of this thread or asyncio task."""

from __future__ import annotations

from _contextvars import ContextVar

from rota import _propagate
from rota._run import process_run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rota._run import Run
    from rota._task import Task

CURRENT: ContextVar[Run | Task | None] = ContextVar("rota.current", default=None)


def current() -> Run | Task | None:
    """The innermost open task here, else the run, else None. Has ``run_id`` (of its run), ``span_id``, ``trace_id``."""
    return CURRENT.get() or process_run()


def record(**facts: object) -> None:
    """Add facts to the current task, or to the run: ``rota.record(rows=123)``. Without a run, nothing happens.

    Values: str, int, float, bool, None, dates, lists and dicts of these. Other objects are kept by the name of their type.
    A task or a run keeps 128 names, of a text 32 K characters, of a list or dict 128 items and 128 K characters.
    """
    place = current()
    if place is not None:
        place.record(facts)


def traceparent() -> str | None:
    """The W3C ``traceparent`` of the current task or run, to pass on by hand; None without a run."""
    place = current()
    return _propagate.traceparent(place.run.trace_id, place.span_id) if place is not None else None


def enter(opened: Run | Task | None) -> Any:
    """Make it current; returns what ``leave`` needs."""
    return CURRENT.set(opened) if opened is not None else None


def leave(token: Any) -> None:
    """Make current what was so before."""
    if token is not None:
        try:
            CURRENT.reset(token)
        except ValueError:  # left in another context than it was entered in: that context ends with it
            pass
