"""Tasks: units of work inside a run, down to a function. Each is a span."""

from __future__ import annotations

from _weakref import ref
from os.path import exists
from time import monotonic_ns

from rota import _config, _propagate
from rota._current import CURRENT, enter, leave
from rota._guard import guarded, note
from rota._run import CALLS, Run, add_facts, process_run
from rota.wire import events, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

STACKS_A_RUN = 100  # stacks described in full; later errors keep type and message
CONTROL: Any = None  # rota.control's, once the policy of this process's run asks something of tasks
MOST_EARLY = 10_000
EARLY: list[tuple[Any, Label]] = []  # weak references to functions that were decorated before anybody knew that policy

STARTS_AT_ONCE = 8  # starts announced whatever else is written; later ones only when all was quiet
QUIET_NS = 100_000_000


class Task:
    """One execution of a task; ``span_id`` is 16 hex digits."""

    __slots__ = ("facts", "label", "parent", "run", "span_id", "started_ns")
    is_task = True
    link = ""  # of its span: to the attempt before

    def __init__(self, label: Label, parent: Run | Task) -> None:
        self.label = label
        self.parent = parent
        self.run: Run = parent.run
        self.facts: dict[str, object] | None = None
        self.span_id: str = self.run.new_span_id()
        self.started_ns = monotonic_ns()  # becomes Unix time when it is written

    @property
    def run_id(self) -> str:
        """The run it belongs to."""
        return self.run.run_id

    @property
    def trace_id(self) -> str:
        """The trace it belongs to."""
        return self.run.trace_id

    def record(self, facts: dict[str, object]) -> None:
        """Add attributes to the span."""
        if self.facts is None:
            self.facts = {}
        add_facts(self.facts, facts)

    def finish(self, error: BaseException | None) -> None:
        """Write the span."""
        if CALLS and self.span_id in CALLS:
            CALLS[self.span_id].close()
            CALLS.pop(self.span_id, None)
        run, label, ended_ns = self.run, self.label, monotonic_ns()
        offset_ns = run.owner.clock.offset_ns
        inner, tail = label.attributes, self.link
        if self.facts:
            inner += "," + events.attributes(self.facts)
        if error is not None:
            inner, failed = self._failure(error, inner, offset_ns + ended_ns)
            tail += failed
        span = f'{run.span_head}{self.span_id}","parentSpanId":"{self.parent.span_id}{label.middle}{offset_ns + self.started_ns}","endTimeUnixNano":"{offset_ns + ended_ns}","attributes":[{inner}]{tail}}}'  # noqa: E501
        spool = run.owner.spool
        spool.add_span(run.scope, span, ended_ns)
        if spool.eager and not self.parent.is_task:
            spool.flush()
        if CONTROL is not None:
            CONTROL.ended(self, error)

    @guarded
    def again(self, error: BaseException) -> Any:
        """What tries it again after that error, when its workflow's policy says so, as ``rota.control.retrying.Again``; None:
        nothing does. Asked before its end is told. The policy is looked for when a task of the run fails for the first time.
        """
        if not issubclass(type(error), Exception):
            return None
        run = self.run
        if run.retries is None:
            run.retries = False
            path = "%s/policy/%s.json" % (run.owner.home, _propagate.quoted(run.workflow))
            if exists(path) and not _config.is_captured:
                from rota.control.retrying import retries_of

                run.retries = retries_of(path)
        return run.retries.again(self, error) if run.retries else None

    def announce(self) -> None:
        """Write that the task has started, so that work in progress is visible."""
        run = self.run
        run.starts += 1
        pairs = {
            names.EVENT_ID: self.span_id, names.RUN_ID: run.run_id, names.WORKFLOW: run.workflow,
            names.TASK_NAME: self.label.text, names.TASK_STATE: "running", names.TASK_PARENT_ID: self.parent.span_id,
        }  # fmt: skip
        at_ns = run.owner.clock.offset_ns + self.started_ns
        run.owner.write_event(run.scope, events.log_record(at_ns, names.TASK_STATE_EVENT, run.trace_id, self.span_id, pairs))

    def _failure(self, error: BaseException, inner: str, ended_ns: int) -> tuple[str, str]:
        from rota import _failure
        from rota._ending import ending_of

        kind = type(error)
        if issubclass(kind, (GeneratorExit, SystemExit, KeyboardInterrupt)) or kind.__name__ == "CancelledError":
            state = ending_of(error)["state"]
            result = {"succeeded": "success", "cancelled": "cancellation"}.get(state, "failure")
            return inner + "," + events.attribute(names.TASK_RESULT, result), ""
        if self.facts and names.TASK_RESULT in self.facts:  # it was not permitted to run: nothing of its own has failed
            return inner, ""
        self.run.stacks += 1
        described = _failure.describe(error, with_stack=self.run.stacks <= STACKS_A_RUN)
        inner += "," + events.attribute(names.ERROR_TYPE, described[names.EXCEPTION_TYPE])
        return inner, events.failed_tail(ended_ns, str(described[names.EXCEPTION_MESSAGE]), described)


class Label:
    """A task's name, rendered once, however often the task runs."""

    __slots__ = ("attributes", "middle", "text")

    def __init__(self, name: object) -> None:
        text = events.short(str.__str__(name) if issubclass(type(name), str) else type(name).__name__)
        self.text = text
        self.attributes = events.attribute(names.TASK_NAME, text)
        self.middle = '","name":%s,"kind":%d,"startTimeUnixNano":"' % (events.text(text), events.KIND_INTERNAL)


def begin(label: Label) -> Task | None:
    """Open a task under what is current; None when no run is open here.

    Its start is announced for the first few of a run, and later only when nothing was written for a while.
    """
    parent = CURRENT.get() or process_run()
    if parent is None:
        return None
    try:
        task = Task(label, parent)
        run = task.run
        if run.starts < STARTS_AT_ONCE or task.started_ns - run.owner.spool.written_at > QUIET_NS:
            task.announce()
        return task
    except RecursionError:
        raise  # the program is at its limit: going on would strike a few frames deeper, and abort CPython 3.8
    except Exception as error:
        note("task", error)
        return None


def end(task: Task | None, error: BaseException | None) -> None:
    """Close a task with the exception that left it, if any."""
    if task is not None:
        try:
            task.finish(error)
        except Exception as swallowed:
            note("task", swallowed)


class _Block:
    """``with rota.task("load"):`` and ``async with``; also a decorator."""

    __slots__ = ("_label", "_task", "_token")

    def __init__(self, name: object) -> None:
        self._label = Label(name)
        self._task: Task | None = None
        self._token: Any = None

    def __call__(self, function: Any) -> Any:
        return task_of(function, self._label)

    def __enter__(self) -> Task | None:
        self._open()
        if CONTROL is not None:
            try:
                CONTROL.admit_block(self._task)
            except BaseException as error:
                self.__exit__(type(error), error, None)
                raise
        return self._task

    def _open(self) -> None:
        self._task = begin(self._label)
        self._token = enter(self._task)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        leave(self._token)
        end(self._task, error)
        self._task = self._token = None

    async def __aenter__(self) -> Task | None:
        self._open()
        if CONTROL is not None:
            try:
                await CONTROL.admit_block_async(self._task)
            except BaseException as error:
                self.__exit__(type(error), error, None)
                raise
        return self._task

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.__exit__(kind, error, trace)


def task(name: Any) -> Any:
    """A task: ``@rota.task``, ``@rota.task("name")`` or ``with rota.task("name"):``.

    Works for functions, methods, coroutines, generators and asynchronous generators, which keep their kind, name and signature.
    Outside a run the function is simply called.
    """
    if not callable(name) and not issubclass(type(name), (classmethod, staticmethod)):
        return _Block(name)
    return task_of(name, None)


def task_of(function: Any, given: Label | None) -> Any:
    """``function`` as a task of that name, or of its own; itself when it does not let itself be looked at."""
    try:
        from rota._wrap import wrap

        inner = getattr(function, "__func__", function)
        label = given or Label(getattr(inner, "__qualname__", None) or type(inner).__name__)
        wrapped = wrap(function, lambda: begin(label), end)
        if CONTROL is not None:
            CONTROL.adopt(getattr(wrapped, "__func__", wrapped), label)
        elif process_run() is None and len(EARLY) < MOST_EARLY:
            EARLY.append((ref(getattr(wrapped, "__func__", wrapped)), label))
        return wrapped
    except Exception as error:
        note("task", error)
        return function
