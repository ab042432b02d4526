"""Flyte 1 (flytekit): one line, and each workflow that is called in this process is a run, with its tasks.

    import rota_integrations.flytekit

Seen: tasks as they start and end, with their errors; results from the local cache; those that were never called since another
failed, by the workflow's graph. A task that is called by itself is a run of its own. Pods of a platform call neither, and tell
nothing. The hooks are where flytekit executes locally: ``local_execute`` of workflows and tasks, ``sandbox_execute`` of tasks.
Tested with 1.16.
"""

from __future__ import annotations

import uuid
from collections import Counter
from contextvars import ContextVar
from typing import Any, Callable, Optional

from rota.foreign import Source, harmless
from rota_integrations.flyte_local import Run, Try, how
from rota_integrations.needs import needed
from rota_integrations.states import table_of

flytekit = needed("flytekit", "flytekit", "1.16")

_present: ContextVar[Optional[Call]] = ContextVar("rota_flytekit_call", default=None)
_source, _states = Source("flytekit", ends_with_process=True), table_of("flytekit")


class Call:
    """A workflow, or a task by itself, that was called, and what it calls in turn."""

    def __init__(self, entity: Any) -> None:
        self._entity = entity
        self._calls: Counter[str] = Counter()
        self._failed: set[str] = set()
        self._run = Run(_source, _states, entity.name)
        self._run.begin(str(uuid.uuid4()))

    @harmless
    def end(self, error: BaseException | None) -> None:
        """It returned or raised."""
        if self._failed and error is not None:
            self._lose()
        self._run.end(_how(error), error)

    @harmless
    def _lose(self) -> None:
        for name in sorted(_behind(self._entity, self._failed) - set(self._calls)):
            self.attempt(name).end("upstream_failed")

    @harmless
    def attempt(self, name: str) -> Try:
        """A task is called once more."""
        self._calls[name] += 1
        return Try(self._run, name, "%s-%d" % (name, self._calls[name]))

    @harmless
    def begin_task(self, task: Any) -> Try:
        """It is executed."""
        begun = self.attempt(task.name)
        begun.begin()
        return begun

    @harmless
    def end_task(self, begun: Try, error: BaseException | None) -> None:
        """It returned or raised."""
        word = _how(error)
        if word == "failed":
            self._failed.add(begun.name)
        begun.end(word, error if word == "failed" else None)

    @harmless
    def cached(self, task: Any, before: int) -> None:
        """A task returned: if it was executed ``before`` as often as now, it was in the cache."""
        if task.metadata.cache and self.count(task) == before:
            self.attempt(task.name).end("cached")

    @harmless
    def count(self, entity: Any) -> int:
        """How often a task was called; a workflow inside is only counted."""
        if not hasattr(entity, "sandbox_execute"):
            self._calls[entity.name] += 1
        return self._calls[entity.name]


_interrupts: list[int] = []  # signals that flytekit made a SystemExit of


def _how(error: BaseException | None) -> str:
    return "aborted" if _interrupts and isinstance(error, SystemExit) else how(error)


def _behind(entity: Any, failed: set[str]) -> set[str]:
    """The names of the tasks that need one of those, by the workflow's graph."""
    nodes, lost = list(getattr(entity, "nodes", ())), set()
    for _ in nodes:
        for node in nodes:
            if any(above.id in lost or above.flyte_entity.name in failed for above in node.upstream_nodes):
                lost.add(node.id)
    return {node.flyte_entity.name for node in nodes if node.id in lost}


def _observed(local_execute: Callable[..., Any], is_task: bool) -> Callable[..., Any]:
    """As it is, and a run where none is going on."""

    def observed(self: Any, ctx: Any, /, **inputs: Any) -> Any:
        inside = _present.get()
        if inside is None:
            return _as_run(local_execute, self, ctx, inputs)
        before = inside.count(self)
        result = local_execute(self, ctx, **inputs)
        if is_task:
            inside.cached(self, before)
        return result

    return observed


@harmless
def _called(entity: Any) -> Call | None:
    return Call(entity)


def _as_run(local_execute: Callable[..., Any], entity: Any, ctx: Any, inputs: dict[str, Any]) -> Any:
    call = _called(entity)
    if call is None:
        return local_execute(entity, ctx, **inputs)
    token = _present.set(call)
    try:
        result = local_execute(entity, ctx, **inputs)
    except BaseException as error:
        call.end(error)
        raise
    finally:
        _present.reset(token)
    call.end(None)
    return result


@harmless
def install() -> None:
    """Observe flytekit in this process from now on; once, however often it is called."""
    from flytekit.core.base_task import Task
    from flytekit.core.context_manager import FlyteContextManager
    from flytekit.core.workflow import WorkflowBase

    if hasattr(Task, "_rota"):
        return
    FlyteContextManager.add_signal_handler(lambda number, _: _interrupts.append(number))
    execute = Task.sandbox_execute

    def observed_execute(self: Any, ctx: Any, inputs: Any) -> Any:
        call = _present.get()
        begun = call.begin_task(self) if call is not None else None
        if call is None or begun is None:
            return execute(self, ctx, inputs)
        try:
            result = execute(self, ctx, inputs)
        except BaseException as error:
            call.end_task(begun, error)
            raise
        call.end_task(begun, None)
        return result

    WorkflowBase.local_execute = _observed(WorkflowBase.local_execute, is_task=False)
    Task.local_execute, Task.sandbox_execute, Task._rota = _observed(Task.local_execute, is_task=True), observed_execute, True


install()
