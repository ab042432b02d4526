"""Temporal, from inside a worker that is written in Python: one argument, and what it does is told as it happens.

    from rota_integrations.temporal.worker import Interceptor
    Worker(client, task_queue=…, workflows=[…], activities=[…], interceptors=[Interceptor()])

Seen: activities as they run, each attempt with its own times and error, also local ones; workflows as they begin and end in this
worker. Not seen, as it happens at the server: terminations, time limits of workflows, schedules. ``rota observe temporal`` looks
there; both tell the same runs.

A workflow's code runs again when it is replayed: what was told then is not told again, and times are those of its history.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Callable, Optional, Type

from rota.foreign import Source, harmless
from rota_integrations import raised, times
from rota_integrations.needs import needed
from rota_integrations.states import table_of
from rota_integrations.temporal import history, schedules

needed("temporal", "temporalio", "1.35")  # tested with it; older ones do not say whether somebody wanted a workflow cancelled

from temporalio import activity, exceptions, worker, workflow  # noqa: E402  after the word on what to install

_TELL = "rota_tell"  # what workflows, which are shut in, may call of this process


class Interceptor(worker.Interceptor):
    """Tells what the workers that it is given to do. Nothing that it does raises, prints or waits in there.

    Args:
        source: what tells; its own when left out.
    """

    def __init__(self, source: Optional[Source] = None) -> None:
        self._source, self._states = source or Source("temporal"), table_of("temporal")

    def intercept_activity(self, next: worker.ActivityInboundInterceptor) -> worker.ActivityInboundInterceptor:  # noqa: A002
        """Temporal asks for each of them."""
        return _Activities(next, harmless(self._tell_activity))

    def workflow_interceptor_class(
        self, input: worker.WorkflowInterceptorClassInput  # noqa: A002
    ) -> Optional[Type[worker.WorkflowInboundInterceptor]]:  # fmt: skip
        """Temporal makes one for each workflow."""
        input.unsafe_extern_functions[_TELL] = harmless(self._tell_run)
        return _Workflows

    def _tell_activity(
        self, word: str, at_ns: int, started_ns: Optional[int] = None, problem: Optional[BaseException] = None
    ) -> None:
        info = activity.info()
        if not info.workflow_run_id or not info.workflow_type:  # an activity of no workflow
            return
        state = self._states.of_task(word)
        self._source.task(
            info.workflow_type, (info.workflow_run_id,), info.activity_type, state.name, at_ns, instance=info.activity_id,
            raw_state=state.raw, reason=state.reason, attempt=info.attempt, started_ns=started_ns,
            error=_error(problem) if problem is not None and state.name == "failed" else None,
            facts={"instance": info.activity_id, "temporal.activity.id": info.activity_id},
        )  # fmt: skip
        if started_ns is not None:  # a worker may be idle for long, and its spans would wait
            self._source.flush()

    def _tell_run(self, info: Any, word: str, at_ns: int, problem: Optional[BaseException] = None) -> None:
        began_ns = times.ns(info.workflow_start_time)
        state = self._states.of_run(word)
        self._source.run(
            info.workflow_type, (info.run_id,), state.name, began_ns if word == "RUNNING" else at_ns, raw_state=state.raw,
            reason=state.reason, started_ns=began_ns, parent=(info.parent.run_id,) if info.parent else (),
            slot_ns=history.scheduled_ns(info), error=_error(_cause(problem)) if state.name == "failed" and problem else None,
            declared=schedules.of_cron(info.cron_schedule) if info.cron_schedule else None,
            facts={
                "temporal.workflow.id": info.workflow_id, "temporal.task_queue": info.task_queue,
                "temporal.continued_from": info.continued_run_id,
            },
        )  # fmt: skip


class _Activities(worker.ActivityInboundInterceptor):
    def __init__(self, following: worker.ActivityInboundInterceptor, tell: Callable[..., None]) -> None:
        super().__init__(following)
        self._tell = tell

    async def execute_activity(self, input: worker.ExecuteActivityInput) -> Any:  # noqa: A002
        began_ns = time.time_ns()
        self._tell("STARTED", began_ns)
        try:
            result = await super().execute_activity(input)
        except (Exception, asyncio.CancelledError) as error:  # others say that somebody else will end it
            word = "CANCELED" if exceptions.is_cancelled_exception(error) else "FAILED"
            self._tell(word, time.time_ns(), began_ns, error)
            raise
        self._tell("COMPLETED", time.time_ns(), began_ns)
        return result


class _Workflows(worker.WorkflowInboundInterceptor):
    async def execute_workflow(self, input: worker.ExecuteWorkflowInput) -> Any:  # noqa: A002
        _say("RUNNING")
        try:
            result = await super().execute_workflow(input)
        except workflow.ContinueAsNewError:
            _say("CONTINUED_AS_NEW")
            raise
        except (Exception, asyncio.CancelledError) as error:
            # as Temporal itself decides; a workflow that only leaves a worker's cache is cancelled, too, but nobody asked for it
            if workflow.cancellation_reason() is not None and exceptions.is_cancelled_exception(error):
                _say("CANCELED")
            elif workflow.is_failure_exception(error):  # others are bugs: Temporal tries again until the code is mended
                _say("FAILED", error)
            raise
        _say("COMPLETED")
        return result


def _say(word: str, problem: Optional[BaseException] = None) -> None:
    if not workflow.unsafe.is_replaying():
        with workflow.unsafe.sandbox_unrestricted():
            workflow.extern_functions()[_TELL](workflow.info(), word, workflow.time_ns(), problem)


def _cause(problem: BaseException) -> BaseException:
    """The one at the bottom: what is above only says that an activity or a child failed."""
    while isinstance(problem, exceptions.FailureError) and problem.cause is not None:
        problem = problem.cause
    return problem


def _error(problem: BaseException) -> dict[str, str]:
    """What the server's history says of it, too: an application's error has a type of its own."""
    kind = getattr(problem, "type", None) if isinstance(problem, exceptions.ApplicationError) else None
    said = getattr(problem, "message", None)
    return raised.attributes(problem, kind and str(kind), said and str(said))
