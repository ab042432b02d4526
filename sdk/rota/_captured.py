"""Spool lines -> the runs and tasks that they tell of, as plain values to compare: what a collector would have made of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from rota.rules.fold import TERMINAL
from rota.wire import events, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable

_OURS = (  # all else are facts
    "rota.", "cicd.", "exception.", names.ERROR_TYPE, names.PROCESS_EXIT_CODE, names.CODE_FILE, names.EXECUTABLE,
)  # fmt: skip
_OF_RUNS = {
    "run_id": names.RUN_ID, "parent_run_id": names.PARENT_RUN_ID, "scope": names.RUN_SCOPE, "reason": names.REASON,
    "exit_code": names.PROCESS_EXIT_CODE, "tags": names.TAGS, "schedule": names.SCHEDULE_SPEC, "tz": names.SCHEDULE_TZ,
    "grace": names.SCHEDULE_GRACE, "max_duration": names.MAX_DURATION, "error_type": names.ERROR_TYPE,
    "error_message": names.EXCEPTION_MESSAGE, "error_stack": names.EXCEPTION_STACK,
}  # fmt: skip
_STATE_OF = {"success": "succeeded", "failure": "failed", "cancellation": "cancelled", "skip": "skipped"}


@dataclass(repr=False)
class _Captured:
    """What runs and tasks have in common.

    Compared are the name, the state, the facts, and the error's type and message: ``captured.tasks == [CapturedTask("load")]``.
    Facts are as they travel: dates are text, tuples lists, other objects the name of their type.
    """

    name: str
    state: str = "succeeded"  # see rota.rules.fold.STATES
    facts: dict[str, Any] = field(default_factory=dict)
    error_type: str | None = None  # "ValueError", "package.module.Name"
    error_message: str | None = None
    error_stack: str | None = field(default=None, compare=False)
    parent: CapturedRun | CapturedTask | None = field(default=None, compare=False)  # None as well when it was not captured
    started_ns: int = field(default=0, compare=False)  # Unix time
    ended_ns: int | None = field(default=None, compare=False)  # None: not yet
    trace_id: str = field(default="", compare=False)  # hex, as is the next
    span_id: str = field(default="", compare=False)

    @property
    def duration_seconds(self) -> float | None:
        """How long it took; None while it goes on."""
        return None if self.ended_ns is None else (self.ended_ns - self.started_ns) / 1e9

    def __repr__(self) -> str:
        parts = [self.name, self.state]
        if self.error_type:
            parts.append("%s(%r)" % (self.error_type, self.error_message))
        parts += ["%s=%r" % pair for pair in self.facts.items()]
        if self.parent is not None:
            parts.append("in " + self.parent.name)
        return "<%s>" % " ".join(parts)


@dataclass(repr=False)
class CapturedTask(_Captured):
    """A task that has ended. ``parent`` is the task or the run that it was called in."""

    run: CapturedRun | None = field(default=None, compare=False)


@dataclass(repr=False)
class CapturedRun(_Captured):
    """A run. ``parent`` is the run that it was begun in. Its tags and what was declared for it are compared too."""

    tags: list[str] = field(default_factory=list)
    schedule: str | None = None
    tz: str | None = None
    grace: str | None = None
    max_duration: str | None = None
    scope: str = field(default="process", compare=False)  # "process": begun by watch(); "inner": by rota.run
    reason: str | None = field(default=None, compare=False)
    exit_code: int | None = field(default=None, compare=False)  # of the process, had it been one
    run_id: str = field(default="", compare=False)  # UUIDv7
    parent_run_id: str | None = field(default=None, compare=False)
    tasks: list[CapturedTask] = field(default_factory=list, compare=False)  # in the order of their start, at every depth

    @property
    def workflow(self) -> str:
        """The workflow that it is a run of: another word for its name."""
        return self.name


class Reading:
    """Runs by their id, and runs and tasks by their span id, as the lines tell of them one after another."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self.runs: dict[str, CapturedRun] = {}
        self._places: dict[str, CapturedRun | CapturedTask] = {}
        self._parent_ids: dict[str, str] = {}
        for line in map(json.loads, lines):
            for logs in line.get("resourceLogs", ()):
                for scope in logs["scopeLogs"]:
                    self._add_events(scope["logRecords"])
            for traces in line.get("resourceSpans", ()):
                for scope in traces["scopeSpans"]:
                    self._add_spans(scope["spans"], _plain_pairs(scope["scope"].get("attributes", ())).get(names.RUN_ID))
        self.tasks = sorted((p for p in self._places.values() if isinstance(p, CapturedTask)), key=lambda task: task.started_ns)
        self._link()

    def add_facts(self, run_id: str, facts: dict[str, object]) -> None:
        """What an open run has recorded and will only tell at its end."""
        if run_id in self.runs:
            self.runs[run_id].facts = _facts(_plain_pairs(json.loads("[%s]" % events.attributes(facts))))

    def _add_events(self, records: Iterable[dict[str, Any]]) -> None:
        for record in records:
            if record["eventName"] == names.RUN_STATE_EVENT:
                pairs, at_ns = _plain_pairs(record["attributes"]), int(record["timeUnixNano"])
                run = self.runs.get(pairs[names.RUN_ID]) or CapturedRun(pairs[names.WORKFLOW], started_ns=at_ns)
                self.runs[pairs[names.RUN_ID]] = self._places[record["spanId"]] = run
                run.trace_id, run.span_id = record["traceId"], record["spanId"]
                _tell(run, pairs, at_ns)

    def _add_spans(self, spans: Iterable[dict[str, Any]], run_id: str | None) -> None:
        for span in spans:
            self._parent_ids[span["spanId"]] = span["parentSpanId"]
            pairs = _plain_pairs(span["attributes"])
            if names.TASK_NAME in pairs:
                task = self._places[span["spanId"]] = _task(span, pairs)
                task.run = self.runs.get(run_id or "")

    def _link(self) -> None:
        for run in self.runs.values():
            run.parent = self.runs.get(run.parent_run_id or "")
        for task in self.tasks:
            task.parent = self._places.get(self._parent_ids[task.span_id])
            if task.run is not None:
                task.run.tasks.append(task)


def _tell(run: CapturedRun, pairs: dict[str, Any], at_ns: int) -> None:
    run.state = pairs[names.STATE]
    run.facts.update(_facts(pairs))
    for attribute, name in _OF_RUNS.items():
        if name in pairs:
            setattr(run, attribute, pairs[name])
    if run.state in TERMINAL:
        run.ended_ns = at_ns


def _task(span: dict[str, Any], pairs: dict[str, Any]) -> CapturedTask:
    task = CapturedTask(pairs[names.TASK_NAME], facts=_facts(pairs), trace_id=span["traceId"], span_id=span["spanId"])
    task.started_ns, task.ended_ns = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
    has_error = span.get("status", {}).get("code") == 2
    task.state = "failed" if has_error else _STATE_OF.get(pairs.get(names.TASK_RESULT, ""), "succeeded")
    for event in span.get("events", ()):
        error = _plain_pairs(event["attributes"])
        task.error_type, task.error_message = error.get(names.EXCEPTION_TYPE), error.get(names.EXCEPTION_MESSAGE)
        task.error_stack = error.get(names.EXCEPTION_STACK)
    return task


def _facts(pairs: dict[str, Any]) -> dict[str, Any]:
    return {name: found for name, found in pairs.items() if not name.startswith(_OURS)}


def _plain_pairs(pairs: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {pair["key"]: plain(pair["value"]) for pair in pairs}


def plain(value: dict[str, Any]) -> Any:
    """What an OTLP AnyValue stands for."""
    if not value:
        return None
    ((kind, inner),) = value.items()
    if kind == "intValue":
        return int(inner)
    if kind == "doubleValue":
        return float(inner)  # "NaN" and "Infinity" are texts there
    if kind == "arrayValue":
        return [plain(item) for item in inner["values"]]
    return _plain_pairs(inner["values"]) if kind == "kvlistValue" else inner
