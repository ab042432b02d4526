"""The history of one execution, event by event, as states of a run and its tasks.

An event names the one before it (``previousEventId``), which places it: in a state, in an iteration of a map, in a branch. A
state that is entered is a task; where it is tried again, the next attempt; entered again, another instance of it.
"""

from __future__ import annotations

import calendar
import json
from datetime import datetime
from typing import Any, Callable, Iterable, Iterator, Mapping

from rota.foreign import Source
from rota.rules.fold import TERMINAL
from rota.wire import names
from rota_integrations.following import NOT_UNDERSTOOD, puzzled
from rota_integrations.states import State, Table

_STATUS = {
    "ExecutionStarted": "RUNNING", "ExecutionRedriven": "RUNNING", "ExecutionSucceeded": "SUCCEEDED", "ExecutionFailed": "FAILED",
    "ExecutionTimedOut": "TIMED_OUT", "ExecutionAborted": "ABORTED",
}  # fmt: skip
_OF_PARTS = ("MapStateFailed", "ParallelStateFailed", "MapStateAborted", "ParallelStateAborted")


def unix_ns(at: datetime) -> int:
    """Of AWS's times, which have milliseconds."""
    return calendar.timegm(at.utctimetuple()) * 10**9 + at.microsecond * 1000


class Visit:
    """A state that was entered, or an iteration of a map, or (without a parent) the execution: what an event may be in."""

    def __init__(self, kind: str, name: str, parent: Visit | None, path: str, begun_ns: int) -> None:
        self.kind, self.name, self.parent, self.path, self.begun_ns = kind, name, parent, path, begun_ns
        self.instance = path
        self.attempt, self.run_attempt = 1, 1
        self.state = ""  # as it was told last
        self.has_failed = False  # its present attempt

    def and_around(self) -> Iterator[Visit]:
        """It and what it is in, from the innermost."""
        here: Visit | None = self
        while here is not None:
            yield here
            here = here.parent


class Execution:
    """What is known of an execution, and told.

    Args:
        source: tells.
        states: the room's table.
        workflow: the state machine's name.
        key: what names the execution; its last word is when it began, in ms.
        declared: the machine's schedule.
        facts: attributes of the run.
        definition: the machine's, as JSON; asked for when a state failed, to know what never ran.
    """

    def __init__(
        self, source: Source, states: Table, workflow: str, key: tuple[str, ...], declared: Mapping[str, str],
        facts: Mapping[str, object], definition: Callable[[], str],
    ) -> None:  # fmt: skip
        self._source, self._states, self._workflow, self._key = source, states, workflow, key
        self._declared, self._facts, self._definition = declared, facts, definition
        self._whole = Visit("Execution", "", None, "", 0)
        self._places = {0: self._whole}  # by event id: what the next event is in, unless it says otherwise
        self._open: list[Visit] = []
        self._entered: dict[tuple[str, str], int] = {}
        self._attempt, self._begun_ns, self._last_ns = 1, 0, int(key[-1]) * 1_000_000
        self.last_id, self.is_over = 0, False

    def add(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Tell what these say; they are in order. One that is known already says nothing."""
        for event in events:
            if event["id"] > self.last_id:
                before = self._places.get(event["previousEventId"], self._whole)
                details: Mapping[str, Any] = next((value for name, value in event.items() if name.endswith("EventDetails")), {})
                self._last_ns = unix_ns(event["timestamp"])
                try:
                    self._places[event["id"]] = self._take(event["type"], self._last_ns, before, details)
                except NOT_UNDERSTOOD as error:
                    self._places[event["id"]] = before
                    puzzled("step_functions", "%s of %s" % (event["type"], self._workflow), error)
                self.last_id = event["id"]  # not before: the definition, which is asked for in between, may not be had now

    def described(self, answer: Mapping[str, Any]) -> None:
        """What DescribeExecution says where the history has not (yet) told the end."""
        state = self._states.of_run(answer["status"], is_over="stopDate" in answer)
        if state.name == "running":
            return
        at_ns = unix_ns(answer["stopDate"]) if "stopDate" in answer else self._last_ns
        if state.name in TERMINAL:
            self._end(state, at_ns, self._whole, answer)
        else:
            self._tell_run(state, at_ns)

    def gone(self, now_ns: int) -> None:
        """AWS does not keep it any more: how it ended nobody knows."""
        self._tell_run(State("ended", "no longer kept by Step Functions", "GONE"), now_ns)
        self.is_over = True

    # -- one event -----------------------------------------------------------------------------------------------------

    def _take(self, kind: str, at_ns: int, before: Visit, details: Mapping[str, Any]) -> Visit:
        """Returns what the next event is in."""
        if kind in _STATUS:
            return self._take_of_run(kind, at_ns, before, details)
        if kind.endswith("StateEntered"):
            return self._enter(kind, at_ns, before, details["name"])
        if kind.endswith("StateExited"):
            return self._exit(kind, at_ns, before, details["name"])
        if kind.startswith("MapIteration"):
            return self._iterate(kind, at_ns, before, details)
        return self._within(kind, at_ns, before, details)

    def _enter(self, kind: str, at_ns: int, before: Visit, name: str) -> Visit:
        around = next(each for each in before.and_around() if each.kind in ("Execution", "Map", "Iteration", "Parallel"))
        if around.name == name and around.parent is not None:  # a redrive enters again what had failed
            around = around.parent
        visit = Visit(kind[: -len("StateEntered")], name, around, around.path, at_ns)
        times = self._entered[around.path, name] = self._entered.get((around.path, name), 0) + 1
        visit.instance = around.path + ("#%d" % times if times > 1 else "")
        visit.run_attempt = self._attempt
        self._open.append(visit)
        self._tell(visit, self._states.of_task(kind), at_ns)
        return visit

    def _exit(self, kind: str, at_ns: int, before: Visit, name: str) -> Visit:
        visit = next((each for each in before.and_around() if each.name == name and each in self._open), None)
        if visit is None:
            return before
        self._open.remove(visit)
        if not visit.has_failed:  # else it was caught
            self._tell(visit, self._states.of_task(kind), at_ns)
        return visit.parent or self._whole

    def _iterate(self, kind: str, at_ns: int, before: Visit, details: Mapping[str, Any]) -> Visit:
        whole = next((each for each in before.and_around() if each.kind == "Map" and each.name == details["name"]), None)
        if whole is None:
            return before
        if kind == "MapIterationStarted":
            part = "%s%s[%d]" % (whole.name, whole.instance[len(whole.path) :], details["index"])
            return Visit("Iteration", whole.name, whole, whole.path + "/" * bool(whole.path) + part, at_ns)
        if kind != "MapIterationSucceeded":
            inner = next((each for each in before.and_around() if each.kind == "Iteration"), None)
            if inner is not None:
                self._close(inner, before, at_ns)
        return whole

    def _within(self, kind: str, at_ns: int, before: Visit, details: Mapping[str, Any]) -> Visit:
        """Something happens to a state between its begin and its end."""
        visit = self._meant(kind, before, details)
        if visit is None:
            return before
        state = self._states.of_task(kind)
        if kind in _OF_PARTS:
            self._close(visit, before, at_ns)
        if state.name not in TERMINAL:
            self._go_on(visit, state, at_ns)
        elif not (visit.has_failed and kind in _OF_PARTS):
            self._stop(visit, state, at_ns, _error(details))
        return visit

    def _meant(self, kind: str, before: Visit, details: Mapping[str, Any]) -> Visit | None:
        for visit in before.and_around():
            if kind.startswith(("Map", "Parallel")):
                if kind.startswith(visit.kind) and visit.kind != "Execution":
                    return visit
            elif visit.kind not in ("Execution", "Iteration") and details.get("state", visit.name) == visit.name:
                return visit
        return None

    def _go_on(self, visit: Visit, state: State, at_ns: int) -> None:
        if visit.has_failed:  # this is the next attempt
            visit.attempt, visit.begun_ns, visit.has_failed, visit.state = visit.attempt + 1, at_ns, False, ""
        if visit.state != state.name or (state.reason or "").startswith("unknown"):
            self._tell(visit, state, at_ns)

    def _stop(self, visit: Visit, state: State, at_ns: int, error: dict[str, str] | None = None) -> None:
        if visit.has_failed:  # an attempt of which nothing but its end is told
            visit.attempt, visit.begun_ns = visit.attempt + 1, at_ns
        self._tell(visit, state, at_ns, error)
        visit.has_failed = True

    def _close(
        self, whole: Visit, before: Visit, at_ns: int, error: dict[str, str] | None = None, rest: str = "cancelled"
    ) -> None:
        """What is open inside of that is over: what led to it has failed, the rest was called off."""
        led = set(before.and_around())
        for visit in [each for each in self._open if each is not whole and whole in each.and_around()]:
            self._open.remove(visit)
            if visit.has_failed:
                continue
            bad = visit.kind == "Fail" or visit in led
            self._stop(visit, State("failed" if bad else rest, None, visit.kind), at_ns, error if bad else None)

    # -- the run -------------------------------------------------------------------------------------------------------

    def _take_of_run(self, kind: str, at_ns: int, before: Visit, details: Mapping[str, Any]) -> Visit:
        state = self._states.of_run(_STATUS[kind])
        if state.name in TERMINAL:
            self._end(state, at_ns, before, details)
            return before
        if kind == "ExecutionRedriven":
            self._attempt = details.get("redriveCount", self._attempt) + 1
            self._open = [each for each in before.and_around() if each.parent is not None]
        self._begun_ns, self.is_over = at_ns, False
        self._tell_run(state, at_ns)
        return before

    def _end(self, state: State, at_ns: int, before: Visit, details: Mapping[str, Any]) -> None:
        error = _error(details)
        led = before if state.name == "failed" else self._whole
        self._close(self._whole, led, at_ns, error, "ended" if state.name == "succeeded" else "cancelled")
        if state.name == "failed":
            self._tell_upstream_failed(before, at_ns)
        self._tell_run(state, at_ns, error)
        self.is_over = True

    def _tell_upstream_failed(self, failed: Visit, at_ns: int) -> None:
        """Of states that were certain to come next."""
        if failed is self._whole:
            return
        definition = json.loads(self._definition())
        for visit in failed.and_around():
            if visit.parent is None or visit.kind == "Iteration":
                continue
            for name in _after(definition, visit.name):
                if (visit.path, name) not in self._entered:
                    never = Visit("", name, visit.parent, visit.path, at_ns)
                    never.run_attempt = self._attempt
                    self._tell(never, State("upstream_failed", None, "never entered"), at_ns)

    def _tell_run(self, state: State, at_ns: int, error: dict[str, str] | None = None) -> None:
        self._source.run(
            self._workflow, self._key, state.name, at_ns, raw_state=state.raw, reason=state.reason, attempt=self._attempt,
            started_ns=self._begun_ns or None, error=error, facts=self._facts, declared=self._declared,
        )  # fmt: skip

    def _tell(self, visit: Visit, state: State, at_ns: int, error: dict[str, str] | None = None) -> None:
        visit.state = state.name
        self._source.task(
            self._workflow, self._key, visit.name, state.name, at_ns, instance=visit.instance, raw_state=state.raw,
            reason=state.reason, attempt=visit.attempt, run_attempt=visit.run_attempt, started_ns=visit.begun_ns, error=error,
            facts={"instance": visit.instance} if visit.instance else None,
        )  # fmt: skip


def _error(details: Mapping[str, Any]) -> dict[str, str] | None:
    """Of an event's ``error`` and ``cause``; the cause of a Lambda function is JSON that says more."""
    kind, message, stack = details.get("error") or "", details.get("cause") or "", ""
    if not kind and not message:
        return None
    try:
        cause = json.loads(message)
        message, stack = cause["errorMessage"], "".join(cause.get("stackTrace") or [])
    except (ValueError, KeyError, TypeError):
        pass
    told = {names.ERROR_TYPE: kind, names.EXCEPTION_TYPE: kind, names.EXCEPTION_MESSAGE: str(message)}
    return {name: value for name, value in {**told, names.EXCEPTION_STACK: stack}.items() if value}


def _after(definition: Any, name: str) -> Iterator[str]:
    """The states that follow that one whatever happens: up to the end, or to a choice."""
    states, seen = _states_with(definition, name), {name}
    while states.get(name, {}).get("Type") != "Choice" and (name := states.get(name, {}).get("Next", "")) and name not in seen:
        seen.add(name)
        yield name


def _states_with(part: Any, name: str) -> dict[str, Any]:
    if isinstance(part, dict):
        states = part.get("States")
        if isinstance(states, dict) and name in states:
            return states
        part = list(part.values())
    if isinstance(part, list):
        return next((found for found in (_states_with(each, name) for each in part) if found), {})
    return {}
