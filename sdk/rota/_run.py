"""A run: one execution of a workflow, from its first event to its last, as this process tells it."""

from __future__ import annotations

from rota import __version__, _propagate
from rota._guard import guarded
from rota._process import Process, uuid7
from rota.wire import events, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Our states in the words of the CI/CD conventions.
_PHASE = {"running": "executing", "starting": "pending", "retry_wait": "pending"}
_RESULT = {
    "succeeded": "success", "failed": "failure", "timed_out": "timeout", "crashed": "error",
    "cancelled": "cancellation", "skipped": "skip",
}  # fmt: skip
WORTHY_NS = 200_000_000  # a shorter run is not asked where and what it ran: reading that costs up to 2 ms
MAX_FACTS = 128  # names of one task or run, as many as OpenTelemetry keeps

CALLS: dict[str, Any] = {}  # by span id: what a run or a task has seen of calls into libraries (see rota.instrument)


class Run:
    """One run and what it says of itself. ``run_id`` is a UUIDv7; ids of trace and span are hex."""

    is_task = False
    source = "sdk"  # who says its states
    link = ""  # of its span: to the attempt before
    retries: Any = None  # what tries its tasks again: None while nobody has looked, False when nothing does

    def __init__(self, owner: Process, workflow: str, kind: str, parent: Run | None = None) -> None:
        owner.clock.resync()
        self.owner = owner
        self.new_span_id = owner.ids.span_id
        self.workflow = workflow
        self.kind = kind  # "process", "inner" or "part"
        self.run: Run = self
        self.attempt = 1
        self.started_ns = owner.clock.now_ns()
        self.run_id = uuid7(self.started_ns)
        self.span_id = owner.ids.span_id()
        self.trace_id: str
        if parent is not None:
            self.trace_id, self.parent_span_id, self.parent_run_id = parent.trace_id, parent.span_id, parent.run_id
        else:
            self.trace_id, self.parent_span_id = _propagate.inherited()
            self.parent_run_id = _propagate.inherited_run()[0] if self.trace_id else ""
            self.trace_id = self.trace_id or self.run_id.replace("-", "")
        self.is_over = False
        self.stacks = 0  # how many stacks its tasks have described; the first hundred are enough
        self.starts = 0  # how many task starts were announced
        self.logs = 0  # how many log records its program wrote
        self.facts: dict[str, object] = {}
        self.declared: dict[str, object] = {}
        self.script: tuple[str | None, Any] | None = None  # of a run that is a process: its path, and its status at the start
        self.render()

    @classmethod
    def joined(cls, owner: Process, run_id: str, workflow: str, trace_id: str, span_id: str) -> Run:
        """The run of the parent process, seen from a child that does part of its work."""
        run = cls(owner, workflow, "process")
        run.run_id, run.trace_id, run.span_id = run_id, trace_id, span_id
        run.render()
        return run

    def declare(self, pairs: dict[str, object]) -> None:
        """What the code says about its workflow, for the start event."""
        self.declared = pairs

    def start(self) -> None:
        """Say that the run is running."""
        self.say("running", self.declared, at_ns=self.started_ns)

    def finish(
        self, state: str, exit_code: int | None = None, reason: str | None = None, error: dict[str, object] | None = None
    ) -> None:
        """Say how the run ended: its span, then its last state. A second call says nothing."""
        if self.is_over:
            return
        if CALLS:
            _close_calls(self)
        self.is_over = True
        ended_ns = self.owner.clock.now_ns()
        self._add_span(state, exit_code, error or {}, ended_ns)
        self.owner.spool.flush()
        pairs: dict[str, object] = {
            names.REASON: reason,
            names.PROCESS_EXIT_CODE: exit_code,
            names.RUN_STARTED: self.started_ns,
            names.DROPPED_SPANS: self.owner.spool.dropped or None,
        }
        if error:
            pairs[names.ERROR_TYPE] = error.get(names.EXCEPTION_TYPE)
            pairs.update(error)
        if self.script is not None and ended_ns - self.started_ns > WORTHY_NS:
            pairs.update(_surroundings(self.script, self.started_ns) or {})
        pairs.update(self.facts)
        self.say(state, pairs, at_ns=ended_ns)

    def say(self, state: str, more: dict[str, object], at_ns: int) -> None:
        """Append one ``rota.run.state`` event."""
        pairs: dict[str, object] = {
            names.EVENT_ID: uuid7(at_ns),
            names.WORKFLOW: self.workflow,
            names.RUN_ID: self.run_id,
            names.STATE: state,
            names.ATTEMPT: self.attempt,
            names.SOURCE: self.source,
            names.RUN_SCOPE: self.kind,
            names.PARENT_RUN_ID: self.parent_run_id or None,
            "cicd.pipeline.run.state": _PHASE.get(state, "finalizing"),
            names.PIPELINE_RESULT: _RESULT.get(state),
        }
        pairs.update(more)
        record = events.log_record(at_ns, names.RUN_STATE_EVENT, self.trace_id, self.span_id, pairs)
        self.owner.write_event(self.scope, record)

    def again(self, _error: BaseException) -> None:
        """What tries it again: nobody in here does."""

    def record(self, facts: dict[str, object]) -> None:
        """Keep facts for the end of the run."""
        add_facts(self.facts, facts)

    def render(self) -> None:
        """What its tasks repeat, rendered once."""
        self.span_head = '{"traceId":"%s","spanId":"' % self.trace_id
        attempt = {names.ATTEMPT: self.attempt} if self.attempt > 1 else {}
        self.scope = events.scope(__version__, {names.RUN_ID: self.run_id, names.WORKFLOW: self.workflow, **attempt})

    def _add_span(self, state: str, exit_code: int | None, error: dict[str, object], ended_ns: int) -> None:
        pairs = {
            names.RUN_ID: self.run_id, names.WORKFLOW: self.workflow, names.STATE: state, names.ATTEMPT: self.attempt,
            names.PROCESS_EXIT_CODE: exit_code, names.PIPELINE_RESULT: _RESULT.get(state),
            names.ERROR_TYPE: error.get(names.EXCEPTION_TYPE),
        }  # fmt: skip
        is_fine = state in ("succeeded", "skipped", "ended")
        tail = self.link
        if not is_fine:
            tail += events.failed_tail(ended_ns, str(error.get(names.EXCEPTION_MESSAGE, "")), error)
        span = events.span(
            self.trace_id, self.span_id, self.parent_span_id, events.text(self.workflow), events.KIND_SERVER,
            self.started_ns, ended_ns, events.attributes({**self.facts, **pairs}), tail,
        )  # fmt: skip
        self.owner.spool.add_span(self.scope, span, 0)


@guarded
def _surroundings(script: tuple[str | None, Any], since_ns: int) -> dict[str, object]:
    from rota._surroundings import surroundings

    return surroundings(*script, since_ns)


def _close_calls(run: Run) -> None:
    """Write what waits of its calls: the run's own first, since answers that are still open count where they were asked for."""
    if run.span_id in CALLS:
        CALLS[run.span_id].close()
    for calls in [calls for calls in list(CALLS.values()) if calls.place.run is run]:
        calls.close()
        CALLS.pop(calls.place.span_id, None)


def add_facts(kept: dict[str, object], more: dict[str, object]) -> None:
    """Add facts of one task or run, up to ``MAX_FACTS`` names: a name made of data would have no end."""
    kept.update(more)
    if len(kept) > MAX_FACTS:
        for name in list(kept)[MAX_FACTS:]:
            del kept[name]


_process_run: Run | None = None


def process_run() -> Run | None:
    """The run that this process is, or is part of."""
    return _process_run


def set_process_run(run: Run | None) -> Run | None:
    """Called once, by ``watch()``; in tests more often. Returns the one before."""
    global _process_run
    before, _process_run = _process_run, run
    return before
