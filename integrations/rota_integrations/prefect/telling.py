"""A flow run and its task runs, as Prefect's API has them, told as ours."""

from __future__ import annotations

import re
from typing import Any, Callable, Iterable, Iterator, Mapping, NamedTuple, Sequence

from rota.foreign import Source
from rota.rules.fold import TERMINAL
from rota.wire import names
from rota_integrations.prefect.server import unix_ns
from rota_integrations.states import State, Table

Json = Mapping[str, Any]

OVER = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")  # types of states
_BAD = ("failed", "timed_out", "crashed", "retry_wait")
_RAISED = re.compile(r"encountered an exception:? ([\w.]+): ?(.*)", re.DOTALL)
_COUNTED = re.compile(r"\d+/\d+ states failed\.")  # which says nothing; its tasks say why
_HASHED = re.compile(r"-[0-9a-f]{8}$")


class Step(NamedTuple):
    """A state, once it is known which attempt it is of."""

    id: str
    state: State
    at_ns: int
    attempt: int
    started_ns: int | None
    message: str


def steps(states: Iterable[Json], of: Callable[..., State]) -> Iterator[Step]:
    """The states of a run, or of a task run, in order, with the attempts that they make.

    Args:
        states: as the API has them.
        of: the room's table, for runs or for tasks.
    """
    attempt, started_ns, before = 1, None, ""
    for each in states:
        at_ns, message = unix_ns(each["timestamp"]), each.get("message") or ""
        state = of(each["name"] or each["type"], each["type"] in OVER, each["type"])
        if each["name"] == "Retrying" and before in ("running", "paused"):  # at once, without a wait
            yield Step(each["id"] + " before", State("retry_wait", None, each["name"]), at_ns, attempt, started_ns, message)
            before = "retry_wait"
        if state.name != before and (before == "retry_wait" or (before in TERMINAL and state.name not in TERMINAL)):
            attempt, started_ns = attempt + 1, None
        if state.name == "running" and started_ns is None:
            started_ns = at_ns
        before = state.name
        yield Step(each["id"], state, at_ns, attempt, started_ns, message)


def tell_gone(source: Source, run_id: str, known: list[Any], now_ns: int) -> None:
    """A run that was open is deleted there: how it ended nobody knows, unless it had not begun.

    Args:
        source: tells.
        run_id: its id.
        known: as ``Run.known`` was.
        now_ns: Unix time.
    """
    workflow, attempt, has_begun = known
    state = "ended" if has_begun else "cancelled"
    source.run(workflow, (run_id,), state, now_ns, raw_state="deleted", reason="deleted", attempt=attempt)


class Run:
    """A flow run, and what was told of it.

    Args:
        source: tells.
        states: the room's table.
        found: as the API has it.
        workflow: the name of its flow.
        parent: the id of the run that it is part of.
    """

    def __init__(self, source: Source, states: Table, found: Json, workflow: str, parent: str | None = None) -> None:
        self.id, self._key, self.workflow = str(found["id"]), (str(found["id"]),), workflow
        self._source, self._states, self._parent = source, states, (parent,) if parent else ()
        self._told: set[str] = set()
        self._tasks: dict[str, str] = {}  # id → its state's
        self._attempts: list[tuple[int, int]] = []  # when each began
        self._has_begun, self.state_id = False, ""  # that of which all is told

    def read(self, states: Sequence[Json]) -> list[Step]:
        """What its states are, of which ``tell`` tells those that were not told."""
        read = list(steps(states, self._states.of_run))
        self._attempts = [(step.at_ns, step.attempt) for step in read]
        self._has_begun = any(step.started_ns for step in read)
        return read

    def tell(self, found: Json, states: Sequence[Json], declared: Mapping[str, str], facts: Mapping[str, object]) -> None:
        """Tell of it what was not told.

        Args:
            found: as the API has it.
            states: its states, in order.
            declared: the schedule of its flow.
            facts: attributes.
        """
        times = [state["state_details"].get("scheduled_time") for state in states if state["type"] == "SCHEDULED"]
        slot_ns = unix_ns(times[0]) if times and times[0] and found.get("auto_scheduled") else None
        for step in self.read(states):
            if step.id not in self._told:
                self._told.add(step.id)
                state = step.state
                self._source.run(
                    self.workflow, self._key, state.name, step.at_ns, raw_state=state.raw, reason=state.reason,
                    attempt=step.attempt, started_ns=step.started_ns, slot_ns=slot_ns, error=_error(step),
                    tags=found.get("tags") or (), parent=self._parent, declared=declared, facts=facts,
                )  # fmt: skip

    @property
    def known(self) -> list[Any]:
        """What ``tell_gone`` needs, as JSON."""
        return [self.workflow, self._attempts[-1][1] if self._attempts else 1, self._has_begun]

    # -- its tasks -----------------------------------------------------------------------------------------------------

    def is_new(self, task: Json) -> bool:
        """Whether this task run, as the API has it, is in a state that was not told."""
        return bool(self._tasks.get(task["id"]) != task["state_id"])

    def tell_task(self, task: Json, states: Sequence[Json]) -> None:
        """Tell of a task run what these states say, in order."""
        self._tasks[task["id"]] = task["state_id"]  # first, as one that is not understood never is
        planned = task.get("expected_start_time")
        name, run_attempt = _name(task), self._attempt_at(unix_ns(planned)) if planned else 1
        facts = {"instance": task["id"], "prefect.task_run.name": task["name"]}

        def say(state: State, step: Step, attempt: int, started_ns: int | None) -> None:
            self._source.task(
                self.workflow, self._key, name, state.name, step.at_ns, instance=task["id"], raw_state=state.raw,
                reason=state.reason, attempt=attempt, run_attempt=run_attempt, started_ns=started_ns,
                error=_error(step) if state.name in _BAD else None, facts=facts,
            )  # fmt: skip

        read = list(steps(states, self._states.of_task))
        for step in read:
            is_past = step.state.name not in (*TERMINAL, "retry_wait") and step is not read[-1]  # then the end says all
            if is_past or step.id in self._told:
                continue
            self._told.add(step.id)
            if step.state.name != "retry_wait":
                say(step.state, step, step.attempt, step.started_ns)
                continue
            say(State("failed", None, step.state.raw), step, step.attempt, step.started_ns)
            if step.state.raw != "Retrying":
                say(State("retry_wait", None, step.state.raw), step, step.attempt + 1, None)

    def _attempt_at(self, at_ns: int) -> int:
        return max([attempt for began_ns, attempt in self._attempts if began_ns <= at_ns], default=1)


def _name(task: Json) -> str:
    """Of the task, as its runs have that with a bit of their key behind; unless the user named the run, then of the function."""
    name, key = str(task["name"]), str(task["dynamic_key"])
    for tail in ("-" + key[:3], "-" + key):
        if name.endswith(tail):
            return name[: -len(tail)]
    return _HASHED.sub("", task["task_key"]) or name


def _error(step: Step) -> dict[str, str] | None:
    if step.state.name not in _BAD or not step.message or _COUNTED.fullmatch(step.message):
        return None
    raised = _RAISED.search(step.message)
    kind, message = (raised[1], raised[2]) if raised else (step.state.raw, step.message)
    return {names.ERROR_TYPE: kind, names.EXCEPTION_TYPE: kind, names.EXCEPTION_MESSAGE: message}
