"""Flyte 2: one line, and each local run of this process is a run, with its tasks and steps.

    import rota_integrations.flyte

Seen: tasks as they start and end, each attempt, with their errors; results from the cache; steps of ``flyte.trace``. A run's
workflow is the name of its outermost task. Runs on a platform are not looked at: their pods tell them by Flyte's own spans.

The hooks are Flyte's observers of tasks and steps, which it keeps private, and the beginning and end of its local runs; where a
later Flyte does not have them, nothing is seen, and ``rota doctor`` says so. Tested with 2.6 and 2.12.
"""

from __future__ import annotations

import atexit
import sys
from contextvars import ContextVar
from typing import Any, Optional

from rota.foreign import Source, harmless
from rota_integrations.flyte_local import Run, Try, how
from rota_integrations.needs import needed
from rota_integrations.states import table_of

flyte = needed("flyte", "flyte", "2.6")

_present: ContextVar[Optional[Run]] = ContextVar("rota_flyte_run", default=None)


class Observer:
    """What this process sees of Flyte's local runs. Flyte asks it for a context around each task and step."""

    def __init__(self, source: Source) -> None:
        self._source, self._states = source, table_of("flyte")
        self._open: set[Run] = set()
        self._leaves = False

    @harmless
    def begin(self, task: Any) -> Run:
        """A run of that task is called for."""
        run = Run(self._source, self._states, task.name)
        self._open.add(run)
        return run

    @harmless
    def named(self, recorder: Any) -> None:
        """It has a name now, and a place on the platform that it is reported to, if it is."""
        run = _present.get()
        if run is not None:
            run.begin(recorder._run_name, getattr(getattr(recorder, "_reporter", None), "_run_id", None))
        if not self._leaves:  # registered after rota's own, so done before it
            self._leaves = True
            atexit.register(self.leave)

    @harmless
    def started(self, named: Any) -> None:
        """A task is called; tells it if its result is in the cache already, since then nothing else will."""
        run = _present.get()
        if run is not None and named.get("cache_hit"):
            Try(run, named["task_name"], named["action_id"]).end("cached")

    @harmless
    def end(self, run: Run, error: BaseException | None) -> None:
        """It is over."""
        self._open.discard(run)
        run.end(how(error), error)

    @harmless
    def leave(self) -> None:
        """The process ends, and with it the thread in which Flyte would go on after a Ctrl-C."""
        for run in list(self._open):
            run.end("interrupted" if getattr(sys, "last_type", None) is KeyboardInterrupt else "abandoned")

    def task_span(self, info: Any, recorder: Any) -> Span:
        """Around an attempt of a task."""
        return Span(info, recorder)

    def step_span(self, info: Any, recorder: Any) -> Span:
        """Around a step of ``flyte.trace``."""
        return Span(info, recorder)


class Span:
    """An attempt of a task or step: begun when it is entered, over when it is left."""

    def __init__(self, info: Any, recorder: Any) -> None:
        self._info, self._recorder = info, recorder
        self._try: Try | None = None
        self._handled: BaseException | None = None

    @harmless
    def __enter__(self) -> None:
        run = _present.get()
        if run is not None:
            self._handled = sys.exc_info()[1]
            self._try = Try(run, self._info.name, self._info.action.name)
            self._try.begin()

    @harmless
    def __exit__(self, *_: object) -> None:
        if self._try is None:
            return
        error = self._recorder.error
        leaving = sys.exc_info()[1]  # Flyte records no BaseException; but here it is on its way
        if error is None and leaving is not self._handled:
            error = leaving
        word = "recovered" if error is None and getattr(self._info, "replayed", False) else how(error)
        self._try.end(word, error if word == "failed" else None)


@harmless
def install() -> None:
    """Observe Flyte in this process from now on; once, however often it is called."""
    from flyte._observe import register_observer
    from flyte._run import _Runner

    if hasattr(_Runner, "_rota"):
        return
    run_local, observer = _Runner._run_local, Observer(Source("flyte", ends_with_process=True))

    async def observed_run_local(self: Any, task: Any, /, *given: Any, **named: Any) -> Any:
        _follow_recorders(observer)
        run = observer.begin(task)
        token = _present.set(run)
        try:
            result = await run_local(self, task, *given, **named)
        except BaseException as error:
            observer.end(run, error)
            raise
        finally:
            _present.reset(token)
        observer.end(run, None)
        return result

    _Runner._run_local, _Runner._rota = observed_run_local, observer
    register_observer(observer)


@harmless
def _follow_recorders(observer: Observer) -> None:
    """Hear what Flyte keeps of its local runs. Only once there is one: what this imports takes half a second."""
    from flyte._persistence._recorder import RunRecorder

    if hasattr(RunRecorder, "_rota"):
        return
    root_start, start = RunRecorder.record_root_start, RunRecorder.record_start

    def observed_root_start(self: Any, *given: Any, **named: Any) -> Any:
        observer.named(self)
        return root_start(self, *given, **named)

    def observed_start(self: Any, *given: Any, **named: Any) -> Any:
        observer.started(named)
        return start(self, *given, **named)

    RunRecorder.record_root_start, RunRecorder.record_start, RunRecorder._rota = observed_root_start, observed_start, True


install()
