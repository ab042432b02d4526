"""Celery: one line where the app is made, and each task that nobody called is a run, with the tasks that it led to.

    import rota_integrations.celery

A task that beat or a program sent is a run; its workflow is the task's name. What it calls or is replaced by, and what follows
it in a chain or a chord, are the run's tasks, in whatever worker they run: Celery's root id holds them together, and a header of
the messages tells the root's name. The run is over when the root is, or the last of what follows it; what fails below fails it.

The hooks are Celery's signals; in beat, its scheduler's ``apply_async``; for time limits, what the worker does at them.
"""

from __future__ import annotations

import os
import time
from typing import Any

from rota.foreign import Source, harmless
from rota.rules.fold import TERMINAL
from rota_integrations import raised
from rota_integrations.celery import beat
from rota_integrations.celery.family import HEADER, Place, header_for, key_of, place_of
from rota_integrations.needs import needed
from rota_integrations.scheduled import Scheduled
from rota_integrations.states import table_of

celery = needed("celery", "celery", "5.3")

_TIME_LIMITS, _BAD = ("SoftTimeLimitExceeded", "TimeLimitExceeded"), ("failed", "timed_out", "crashed")
_INSTEAD = {**dict.fromkeys((*_BAD, "cancelled"), "UPSTREAM_FAILED"), "skipped": "LEFT_OUT"}  # of what follows a task
_WAITS = "celery.chord_unlock"  # Celery's own: it looks whether a chord is complete
_HOST = os.uname().nodename
_LOOK_SECONDS = 60.0


class Observer:
    """What a worker's processes see, and those of beat."""

    def __init__(self) -> None:
        self._states = table_of("celery")
        self._here = Source("celery", ends_with_process=True)  # what this process executes
        self._there = Source("celery")  # what others do
        self._started: dict[str, tuple[int, Place]] = {}
        self._scheduled, self._looked_at = Scheduled(self._there), float("-inf")

    # -- a worker's process, or thread ------------------------------------------------------------------------------------------

    def begins(self, task_id: str, task: Any, **_: Any) -> None:
        """A task begins."""
        if task.name == _WAITS:
            return
        now_ns, place = time.time_ns(), place_of(task.request, task.name)
        self._started[task_id] = now_ns, place
        if place.is_waited_for:
            self._tell_run(self._here, place, task.request, "STARTED", now_ns, now_ns)
        if place.has_parts:
            self._tell_task(place, task.request, task.name, "STARTED", now_ns, now_ns)

    def ends(self, task_id: str, task: Any, retval: Any, state: str, **_: Any) -> None:
        """It is over, in whatever way it told Celery."""
        began_ns, place = self._started.pop(task_id, (None, None))
        self._over(task, task.request, _word(state, retval), retval, began_ns, place)

    def _over(
        self, task: Any, request: Any, word: str | None, problem: Any, began_ns: int | None = None, place: Place | None = None
    ) -> None:
        if task.name == _WAITS:
            return
        now_ns, place = time.time_ns(), place or place_of(request, task.name)
        state = self._states.of_run(word).name if word else "running"  # without a word, others take its place
        if word and place.has_parts:
            self._tell_task(place, request, task.name, word, now_ns, began_ns, problem)
        if state in _INSTEAD:
            for identity, name in place.after:
                self._tell_task(place, request, name, _INSTEAD[state], now_ns, None, identity=identity)
        ends_the_run = state in _BAD or (place.is_waited_for and state in _INSTEAD) or (place.is_root and not place.after)
        if word and ends_the_run:
            source = self._here if state in TERMINAL else self._there
            self._tell_run(source, place, request, word, now_ns, began_ns, problem)
        elif began_ns and place.is_waited_for:  # it goes on, and no longer in this process
            self._tell_run(self._there, place, request, "STARTED", began_ns, began_ns)
        self._here.flush()

    # -- a worker's first process, which sees what becomes of the others --------------------------------------------------------

    def lost(self, sender: Any, task_id: str, exception: Any, **_: Any) -> None:
        """A process that executed a task died. Of other failures who executed it tells."""
        request = sender.request
        if type(exception).__name__ == "WorkerLostError" and request.id == task_id:
            self._over(sender, request, "WORKER_LOST", exception)

    def took_too_long(self, request: Any, limit_seconds: float) -> None:
        """A process was ended, as its task took longer than that."""
        self._over(request.task, request._context, "TIMED_OUT", TimeoutError("longer than %s s" % limit_seconds))

    def revoked(self, sender: Any, request: Any, terminated: bool, expired: bool, **_: Any) -> None:
        """A task was ended, or is not to begin."""
        self._over(sender, request, "TERMINATED" if terminated else "EXPIRED" if expired else "REVOKED", None)

    def leaves(self, **_: Any) -> None:
        """A worker's process ends, without Python's own end."""
        self._here.flush()

    # -- who sends ---------------------------------------------------------------------------------------------------------------

    def sends(self, headers: Any = None, **_: Any) -> None:
        """A task sends a message: who begins there is told to whom it belongs."""
        task = celery.current_task
        if task and isinstance(headers, dict) and headers.get("root_id") == (task.request.root_id or task.request.id):
            begun = self._started.get(task.request.id)
            place = begun[1] if begun else place_of(task.request, task.name)
            headers[HEADER] = header_for(place, headers.get("id", ""))

    def plans(self, sender: Any, **_: Any) -> None:
        """Beat begins."""
        self._look_at(sender.scheduler)

    def due(self, scheduler: Any, entry: Any, result: Any) -> None:
        """Beat has sent a task."""
        schedule = entry.schedule
        alone = entry.task in beat.alone(scheduler.schedule)
        state = self._states.of_run("SENT")
        self._there.run(
            entry.task, key_of(result.id), state.name, time.time_ns(), raw_state="SENT", reason=state.reason, host=_HOST,
            slot_ns=beat.slot_ns(schedule, beat.now_of(schedule)) if alone else None,
            declared=beat.declared(schedule) if alone else None, facts={"celery.beat.entry": entry.name},
        )  # fmt: skip
        self._look_at(scheduler)

    def _look_at(self, scheduler: Any) -> None:
        """At its entries, which some schedulers keep in a database."""
        if time.monotonic() - self._looked_at > _LOOK_SECONDS:
            self._looked_at = time.monotonic()
            entries = beat.alone(scheduler.schedule).items()
            self._scheduled.tell({task: beat.declared(entry.schedule) for task, entry in entries})
        self._there.flush()

    # -- telling -----------------------------------------------------------------------------------------------------------------

    def _tell_run(
        self, source: Source, place: Place, request: Any, word: str, at_ns: int, began_ns: int | None, problem: Any = None
    ) -> None:
        state = self._states.of_run(word)
        source.run(
            place.workflow, place.key, state.name, at_ns, raw_state=word, reason=state.reason, host=_HOST,
            attempt=1 if place.has_parts else _attempt(request), started_ns=began_ns if not place.has_parts else None,
            error=_error(problem) if state.name in (*_BAD, "retry_wait") else None,
        )  # fmt: skip

    def _tell_task(
        self, place: Place, request: Any, name: str, word: str, at_ns: int, began_ns: int | None, problem: Any = None,
        identity: str | None = None,
    ) -> None:  # fmt: skip
        state = self._states.of_task(word)
        instance = identity or request.id
        self._here.task(
            place.workflow, place.key, name, state.name, at_ns, instance=instance, raw_state=word, reason=state.reason,
            attempt=1 if identity else _attempt(request), started_ns=began_ns,
            error=_error(problem) if state.name in _BAD else None, facts={"celery.task_id": instance, "instance": instance},
        )  # fmt: skip


def _attempt(request: Any) -> int:
    return int(request.retries or 0) + 1


def _word(state: str, retval: Any) -> str | None:
    """Our table's word for how a task ended; None: another takes its place."""
    if state == "IGNORED" and "Replaced by" in str(retval):
        return None
    if state == "FAILURE" and type(retval).__name__ in _TIME_LIMITS:
        return "TIMED_OUT"
    if state == "REJECTED" and getattr(retval, "requeue", False):
        return "REQUEUED"
    return state


def _error(problem: Any) -> dict[str, str] | None:
    problem = getattr(problem, "exc", None) or problem  # of a retry
    if not isinstance(problem, BaseException):
        return None
    return raised.attributes(problem)


def install() -> Observer:
    """Observe Celery in this process, and those that it forks, from now on."""
    from celery import signals
    from celery.beat import Scheduler
    from celery.worker.request import Request

    observer, send, end_late = Observer(), Scheduler.apply_async, Request.on_timeout
    for signal, receiver in (
        (signals.task_prerun, observer.begins), (signals.task_postrun, observer.ends), (signals.task_failure, observer.lost),
        (signals.task_revoked, observer.revoked), (signals.worker_process_shutdown, observer.leaves),
        (signals.before_task_publish, observer.sends), (signals.beat_init, observer.plans),
        (signals.beat_embedded_init, observer.plans),
    ):  # fmt: skip
        signal.connect(harmless(receiver), weak=False, dispatch_uid="rota")

    def observed_apply_async(self: Any, entry: Any, *args: Any, **named: Any) -> Any:
        result = send(self, entry, *args, **named)
        harmless(observer.due)(self, entry, result)
        return result

    def observed_on_timeout(self: Any, soft: bool, timeout: float) -> Any:
        result = end_late(self, soft, timeout)
        if not soft:
            harmless(observer.took_too_long)(self, timeout)
        return result

    Scheduler.apply_async, Request.on_timeout = observed_apply_async, observed_on_timeout
    return observer


install()
