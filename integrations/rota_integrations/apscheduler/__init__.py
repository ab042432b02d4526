"""APScheduler: one line, and each execution of a job is a run.

    import rota_integrations.apscheduler

A job is a workflow: by its id, or by its function's name where it was given none. A run begins when the job's function does, in
whatever thread, process or event loop that is, and its slot is the time that the trigger named. What the scheduler left out, too
late or with too many of it running, is a run that was skipped. Cron triggers and intervals are the workflow's schedule.

The hooks are ``run_job``, which every executor calls, and the scheduler's events; tested with 3.10 and 3.11. APScheduler 4 is
another program.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import time
from datetime import datetime
from typing import Any

from rota.foreign import Source, harmless
from rota.wire import names
from rota_integrations import times
from rota_integrations.apscheduler.schedules import declared
from rota_integrations.needs import needed
from rota_integrations.scheduled import Scheduled
from rota_integrations.states import table_of

needed("apscheduler", "apscheduler", "3.10", below="4")

_GIVEN_BY_IT = re.compile(r"[0-9a-f]{32}")  # an id that nobody chose
_events = importlib.import_module("apscheduler.events")
_WORDS = {_events.EVENT_JOB_EXECUTED: "executed", _events.EVENT_JOB_MISSED: "missed", _events.EVENT_JOB_ERROR: "error"}
_STATES, _SOURCE, _HOST = table_of("apscheduler"), Source("apscheduler", ends_with_process=True), os.uname().nodename
_SCHEDULED = Scheduled(Source("apscheduler"))


@harmless
def begins(job: Any, run_time: datetime) -> int | None:
    """A job's function is about to be called; when it is so. None: it will not be, as it is too late."""
    grace_seconds = job.misfire_grace_time
    if grace_seconds is not None and time.time() - run_time.timestamp() > grace_seconds:
        return None
    now_ns = time.time_ns()
    _tell(job, run_time, "running", now_ns, now_ns)
    return now_ns


@harmless
def ended(job: Any, run_time: datetime, began_ns: int | None, told: Any) -> None:
    """It is over, as an event of APScheduler's tells."""
    problem = getattr(told, "exception", None)
    word = "cancelled" if type(problem).__name__ == "CancelledError" else _WORDS[told.code]
    _tell(job, run_time, word, time.time_ns(), began_ns, _error(problem, told.traceback) if word == "error" else None)


@harmless
def left_out(job: Any, run_times: Any) -> None:
    """It does not run, as too many of it still do."""
    for run_time in run_times:
        _tell(job, run_time, "max_instances", time.time_ns(), None)


@harmless
def changed(scheduler: Any, event: Any) -> None:
    """Jobs were added, removed, paused or moved, or those of a store are here. What ends with the scheduler stays scheduled."""
    if event.code == _events.EVENT_SCHEDULER_STARTED:
        for job in scheduler.get_jobs():
            _scheduled(job.id, job)
    elif event.code == _events.EVENT_ALL_JOBS_REMOVED:
        _SCHEDULED.tell({})
    elif event.code == _events.EVENT_JOB_REMOVED:
        _scheduled(event.job_id, None)
    elif event.code in (_events.EVENT_JOB_ADDED, _events.EVENT_JOB_MODIFIED):
        _scheduled(event.job_id, scheduler.get_job(event.job_id, event.jobstore))


def _scheduled(job_id: str, job: Any) -> None:
    """Of a job without an id of its own, its runs tell: others may have the same function."""
    if not _GIVEN_BY_IT.fullmatch(job_id):
        is_idle = job is None or job.next_run_time is None
        _SCHEDULED.change(job_id, {} if is_idle else declared(job.trigger))


def _tell(job: Any, run_time: datetime, word: str, at_ns: int, began_ns: int | None, error: dict[str, str] | None = None) -> None:
    state = _STATES.of_run(word)
    workflow = job.name if _GIVEN_BY_IT.fullmatch(job.id) else job.id
    _SOURCE.run(
        workflow, (_HOST, str(os.getpid()), job.id, run_time.isoformat()), state.name, at_ns, raw_state=word, reason=state.reason,
        started_ns=began_ns, slot_ns=times.ns(run_time), host=_HOST, error=error, declared=declared(job.trigger),
    )  # fmt: skip


def _error(problem: Any, trace: str) -> dict[str, str]:
    kind, message = type(problem).__name__, str(problem)
    stack = "Traceback (most recent call last):\n%s%s: %s\n" % (trace, kind, message)
    told = {names.EXCEPTION_TYPE: kind, names.EXCEPTION_MESSAGE: message, names.EXCEPTION_STACK: stack}
    return {names.ERROR_TYPE: kind, **told}


# -- in the place of APScheduler's own; a process pool finds them by their names ----------------------------------------------


def run_job(job: Any, alias: str, run_times: Any, logger_name: str) -> Any:
    """Call it for each of its times; returns its events."""
    found = []
    for run_time in run_times:
        began_ns = begins(job, run_time)
        told = _run_job(job, alias, [run_time], logger_name)
        ended(job, run_time, began_ns, told[0])
        found += told
    return found


async def run_coroutine_job(job: Any, alias: str, run_times: Any, logger_name: str) -> Any:
    """The same of a coroutine function."""
    found = []
    for run_time in run_times:
        began_ns = begins(job, run_time)
        told = await _run_coroutine_job(job, alias, [run_time], logger_name)
        ended(job, run_time, began_ns, told[0])
        found += told
    return found


def _submit_job(self: Any, job: Any, run_times: Any) -> Any:
    from apscheduler.executors.base import MaxInstancesReachedError

    try:
        return _submit(self, job, run_times)
    except MaxInstancesReachedError:
        left_out(job, run_times)
        raise


def _dispatch_event(self: Any, event: Any) -> None:
    _dispatch(self, event)
    changed(self, event)


def _install() -> tuple[Any, Any, Any, Any]:
    """Take their places, also where executors are loaded already; returns APScheduler's own."""
    from apscheduler.executors import base
    from apscheduler.schedulers.base import BaseScheduler

    of_coroutines = (
        base if hasattr(base, "run_coroutine_job") else importlib.import_module("apscheduler.executors.base_py3")
    )  # 3.10
    own = base.run_job, of_coroutines.run_coroutine_job, base.BaseExecutor.submit_job, BaseScheduler._dispatch_event
    base.BaseExecutor.submit_job, BaseScheduler._dispatch_event = _submit_job, _dispatch_event
    loaded = [module for name, module in list(sys.modules.items()) if name.startswith("apscheduler.executors.")]
    for module in loaded:
        for name, ours in (("run_job", run_job), ("run_coroutine_job", run_coroutine_job)):
            if hasattr(module, name):
                setattr(module, name, ours)
    return own


_run_job, _run_coroutine_job, _submit, _dispatch = _install()
