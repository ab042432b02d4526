"""A function that is tried again: each attempt is a span of its own, linked to the one before.

Plain functions and coroutines. The exception of the last attempt is what the caller gets, as it was raised. What its policy calls
`attempt_timeout` is for processes: a function cannot be stopped from outside.
"""

from __future__ import annotations

import sys
import time

from rota import _failure, _task
from rota._guard import guarded, note
from rota.control import document
from rota.control.chance import chance
from rota.rules import retry as rules
from rota.rules.tasks import entry_of
from rota.wire import events, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

    from rota._task import Task
    from rota.control.budget import Share

_WORTH_WRITING_SECONDS = 1.0  # a longer wait begins with the failure on disk


class Attempt(_task.Task):
    """A further attempt of a task. ``first_ns``: monotonic time at which the first one began."""

    __slots__ = ("attempt", "first_ns", "link")

    def __init__(self, before: Task, attempt: int, first_ns: int) -> None:
        super().__init__(before.label, before.parent)
        self.attempt, self.first_ns = attempt, first_ns
        self.link = events.link(before.trace_id, before.span_id)
        self.record({names.ATTEMPT: attempt})
        if self.started_ns - self.run.owner.spool.written_at > _task.QUIET_NS:
            self.announce()


class Again:
    """The next attempt of a task, after a wait. ``share``: of the budget that it is taken out of."""

    def __init__(self, before: Task, decided: rules.Again, first_ns: int, share: Share | None) -> None:
        self._before, self._decided, self._first_ns, self._share = before, decided, first_ns, share

    def is_granted(self) -> bool:
        """Whether its budget has one left; may ask, and wait for the answer."""
        return self._share is None or self._share.take(self._decided.attempt - 1)

    async def is_granted_async(self) -> bool:
        """The same, and whether the loop that runs here is one in which we know how to wait."""
        if not self._can_be_awaited():
            return False
        return self._share is None or await self._share.take_async(self._decided.attempt - 1)

    def begin(self) -> Attempt | None:
        """Wait, and open it. Interrupts of the program go through."""
        self._write()
        time.sleep(self._decided.wait_seconds)
        return self._open()

    async def begin_async(self) -> Attempt | None:
        """The same, while the event loop goes on."""
        self._write()
        await sys.modules["asyncio"].sleep(self._decided.wait_seconds)
        return self._open()

    def _can_be_awaited(self) -> bool:
        asyncio = sys.modules.get("asyncio")
        if asyncio is not None and asyncio._get_running_loop() is not None:
            return True
        note("retry", RuntimeError("a coroutine failed and is not tried again: only asyncio's loop can be waited in"))
        return False

    @guarded
    def _write(self) -> None:
        if self._decided.wait_seconds >= _WORTH_WRITING_SECONDS:
            self._before.run.owner.spool.flush()

    @guarded
    def _open(self) -> Attempt:
        return Attempt(self._before, self._decided.attempt, self._first_ns)


class Retries:
    """What a policy says of the tasks of one workflow. ``tasks``: that part of the document."""

    def __init__(self, tasks: Mapping[str, Any]) -> None:
        self._tasks = tasks
        self._known: dict[str, rules.Retry | None] = {}  # by the task's name
        self._shares: dict[str, Share] = {}

    def again(self, task: Task, error: BaseException) -> Again | None:
        """What tries it again after that error; None: nothing does. What was not permitted to run did not fail."""
        retry = self._retry_of(task.label.text)
        if retry is None or (task.facts and names.TASK_RESULT in task.facts):
            return None
        attempt, first_ns = (task.attempt, task.first_ns) if isinstance(task, Attempt) else (1, task.started_ns)
        task.record({names.ATTEMPT: attempt})
        failure = rules.Failure(error_types=_failure.classes(error), message=_failure.message(error))
        elapsed_seconds = (time.monotonic_ns() - first_ns) / 1e9
        share = self._share_of(task, retry)
        if share is not None and attempt == 1:
            share.first()
        decided = rules.decide(retry, attempt, failure, elapsed_seconds, chance())
        return Again(task, decided, first_ns, share) if isinstance(decided, rules.Again) else None

    def _share_of(self, task: Task, retry: rules.Retry) -> Share | None:
        name = task.label.text
        if retry.budget is not None and name not in self._shares:
            from rota.control.budget import Share

            self._shares[name] = Share(task.run, retry.budget, name)
        return self._shares.get(name)

    def _retry_of(self, name: str) -> rules.Retry | None:
        if name not in self._known:
            asked = (entry_of(self._tasks, name) or {}).get("retry")
            self._known[name] = _retry(asked) if isinstance(asked, dict) else None
        return self._known[name]


def retries_of(path: str) -> Retries | None:
    """Of the document there; None when it asks nothing of tasks."""
    tasks = (document.read(path) or {}).get("tasks")
    return Retries(tasks) if isinstance(tasks, dict) and tasks else None


def _retry(asked: Mapping[str, Any]) -> rules.Retry | None:
    try:
        return rules.of(asked)
    except ValueError as error:
        note("policy", error)
        return None
