"""Luigi: one line, and each ``luigi.build`` or command line of this process is a run, with its tasks.

    import rota_integrations.luigi

Seen: tasks as they start and end, also in worker processes, with their errors; those that were complete already; those that were
never run since another failed. A run is a worker of Luigi's, from its first task to its last; its workflow is the family of the
first task that it was given. A central scheduler is not asked: what other workers do, their own process tells.

The hooks are Luigi's events, and the beginning and end of its worker (``with worker``); tested with 3.5 to 3.8.
"""

from __future__ import annotations

import os
import time
from typing import Any, Callable

from rota.foreign import Source, harmless
from rota_integrations import raised
from rota_integrations.needs import needed
from rota_integrations.states import table_of

luigi = needed("luigi", "luigi", "3.5")

_BAD = ("failed", "timed_out", "crashed")


class Observer:
    """What this process and its children see of Luigi's workers. A forked worker process goes on with a copy."""

    def __init__(self, source: Source) -> None:
        self._source, self._states = source, table_of("luigi")
        self._key: tuple[str, ...] = ()
        self._workflow = ""
        self._began_ns = 0
        self._started: dict[str, int] = {}  # task id → when its present attempt began
        self._attempts: dict[str, int] = {}

    # -- the run: a worker ---------------------------------------------------------------------------------------------

    def begin(self, worker: Any, task: Any) -> None:
        """A worker is given a task; the first one names its run."""
        if self._key != (str(worker._id),):
            self._key, self._workflow, self._began_ns = (str(worker._id),), task.task_family, time.time_ns()
            self._started, self._attempts = {}, {}
            self._tell_run("running")
        self._tell(task, "PENDING")

    def end(self, worker: Any, error: BaseException | None) -> None:
        """It is over."""
        if not self._key:
            return
        done, failed, upstream, not_run = _outcome(worker)
        for task in upstream:
            self._tell(task, "UPSTREAM_FAILED")
        for task in not_run:
            self._tell(task, "NOT_RUN")
        if isinstance(error, KeyboardInterrupt):
            word = "interrupted"
        elif error is not None or failed or upstream or not_run:
            word = "failed"
        else:
            word = "succeeded" if done else "complete"
        self._tell_run(word, raised.attributes(error) if error is not None else None)
        self._source.flush()
        self._key = ()

    def _tell_run(self, word: str, error: dict[str, str] | None = None) -> None:
        state = self._states.of_run(word)
        self._source.run(
            self._workflow, self._key, state.name, self._began_ns if word == "running" else time.time_ns(), raw_state=word,
            reason=state.reason, started_ns=self._began_ns, error=error, host=os.uname().nodename,
        )  # fmt: skip

    def tried(self, task_id: str) -> None:
        """A task is about to be run, here or in a process that is forked for it, which cannot count."""
        self._attempts[task_id] = self._attempts.get(task_id, 0) + 1

    # -- tasks ---------------------------------------------------------------------------------------------------------

    def seen(self, word: str) -> Callable[..., None]:
        """What to do at an event of Luigi's: tell that the task is in the state of that word."""

        def handle(task: Any, other: Any = None) -> None:
            if word == "PENDING":  # what was found is what it needs
                self._tell(other, word)
            else:
                self._tell(task, word, other)

        return harmless(handle)

    def _tell(self, task: Any, word: str, problem: Any = None) -> None:
        if not self._key:
            return
        identity, now_ns = task.task_id, time.time_ns()
        if word == "RUNNING":
            self._started[identity] = now_ns
        state = self._states.of_task(word)
        self._source.task(
            self._workflow, self._key, task.task_family, state.name, now_ns, instance=identity, raw_state=word,
            reason=state.reason, attempt=self._attempts.get(identity, 1),
            started_ns=self._started.pop(identity, None) if word != "RUNNING" else now_ns,
            error=raised.attributes(problem) if state.name in _BAD else None, facts={"luigi.task_id": identity},
        )  # fmt: skip


def _outcome(worker: Any) -> tuple[int, int, list[Any], list[Any]]:
    """(how many tasks were done, how many failed, those never run since another failed, others that were not run)."""
    from luigi.execution_summary import _summary_dict

    found = _summary_dict(worker)
    failed = found["failed"] | found["scheduling_error"] | found["still_pending_ext"]
    upstream = found["upstream_failure"] | found["upstream_missing_dependency"] | found["upstream_scheduling_error"]
    return len(found["completed"]), len(failed), sorted(upstream, key=str), sorted(found["not_run"] - upstream, key=str)


def install() -> Observer:
    """Observe Luigi in this process from now on; once, however often it is called."""
    from luigi.worker import Worker

    known: Observer | None = getattr(Worker, "_rota", None)
    if known is not None:
        return known
    observer = Observer(Source("luigi", ends_with_process=True))
    event, add, leave, run_task = luigi.Event, Worker.add, Worker.__exit__, Worker._run_task
    for when, word in (
        (event.DEPENDENCY_DISCOVERED, "PENDING"), (event.DEPENDENCY_MISSING, "MISSING"), (event.DEPENDENCY_PRESENT, "PRESENT"),
        (event.START, "RUNNING"), (event.SUCCESS, "DONE"), (event.FAILURE, "FAILED"), (event.BROKEN_TASK, "BROKEN"),
        (event.TIMEOUT, "TIMEOUT"), (event.PROCESS_FAILURE, "PROCESS_FAILURE"),
    ):  # fmt: skip
        luigi.Task.event_handler(when)(observer.seen(word))

    def observed_add(self: Any, task: Any, *more: Any, **named: Any) -> Any:
        harmless(observer.begin)(self, task)
        return add(self, task, *more, **named)

    def observed_exit(self: Any, kind: Any, error: Any, trace: Any) -> Any:
        harmless(observer.end)(self, error)
        return leave(self, kind, error, trace)

    def observed_run_task(self: Any, task_id: str) -> Any:
        harmless(observer.tried)(task_id)
        return run_task(self, task_id)

    Worker.add, Worker.__exit__, Worker._run_task, Worker._rota = observed_add, observed_exit, observed_run_task, observer
    return observer


install()
