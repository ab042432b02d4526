"""Who a task of Celery's belongs to: the run of its root, whose name travels in a header of the messages; what comes after it."""

from __future__ import annotations

from typing import Any, Iterator, NamedTuple
from uuid import UUID

HEADER = "rota"


class Place(NamedTuple):
    """Where a task stands.

    Args:
        key: of its run.
        workflow: the name of the run's root.
        is_root: it is the run's own beginning, or took its place, so that its end is the run's end, unless others follow.
        has_parts: the run is more than this one task.
        after: (id, name) of the tasks that begin when this one has succeeded.
    """

    key: tuple[str, ...]
    workflow: str
    is_root: bool
    has_parts: bool
    after: tuple[tuple[str, str], ...]

    @property
    def is_waited_for(self) -> bool:
        """Whether the run is not over before it is."""
        return self.is_root or bool(self.after)


def place_of(request: Any, name: str) -> Place:
    """Of the task that a request asks for, before it is executed: some versions take what follows off the request.

    Args:
        request: Celery's context of it.
        name: the task's.
    """
    known = getattr(request, HEADER, None) or {}
    workflow, root = known.get("workflow") or name, request.root_id or request.id
    is_root = request.id == root or bool(known.get("goes_on"))
    has_parts = bool(known.get("workflow") not in (None, name) or request.id != root or request.chain)
    return Place(key_of(root), workflow, is_root, has_parts, tuple(_follows(request)))


def key_of(root_id: str) -> tuple[str, ...]:
    """What names a run: its root's id, which is a UUID unless somebody chose it."""
    try:
        UUID(root_id)
    except ValueError:
        return "task", root_id
    return (root_id,)


def _follows(request: Any) -> Iterator[tuple[str, str]]:
    for signature in [*reversed(request.chain or ()), request.chord]:
        if signature:
            yield from _tasks(signature)


def _tasks(signature: Any) -> Iterator[tuple[str, str]]:
    """The tasks of a signature; of a chord and a group its parts."""
    inner = signature.get("kwargs") or {}
    if signature.get("subtask_type") in ("group", "chain", "chord"):
        for part in inner.get("header") or inner.get("tasks") or ():
            yield from _tasks(part)
        if inner.get("body"):
            yield from _tasks(inner["body"])
    elif (signature.get("options") or {}).get("task_id"):
        yield signature["options"]["task_id"], signature["task"]


def header_for(place: Place, task_id: str) -> dict[str, Any]:
    """What a message says that a task sends.

    Args:
        place: the task's.
        task_id: of the one that is sent.
    """
    goes_on = place.is_root and task_id in {identity for identity, _ in place.after}
    return {"workflow": place.workflow, **({"goes_on": True} if goes_on or task_id == place.key[-1] else {})}
