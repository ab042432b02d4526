"""Permission for tasks: what stands between a task and its function once the policy says ``permit``.

The task's span is open while it asks, and says how that went: a task that was not permitted has the result ``skip``. Every
answer that the collector has not written down itself is an event of the run, once for each task as long as it stays the same.
"""

from __future__ import annotations

import json
import os
import time
from fnmatch import fnmatchcase

from rota._current import CURRENT
from rota._guard import guarded, note
from rota.control.around import asking
from rota.control.client import Question, Unreachable, running_loop
from rota.control.coverage import Coverage
from rota.errors import GateDenied
from rota.rules import inflight
from rota.rules.tasks import ANSWERS, Terms, entry_of, unreachable
from rota.wire import events, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Generator, Mapping

    from rota._run import Run
    from rota._task import Label, Task
    from rota.control.client import Client

    Course = Generator[Any, Any, dict[str, Any]]

ASK_SECONDS = 2.0  # for the first answer, which holds nobody: go, skip, deny, or wait with a ticket
HOLD_SECONDS = 20.0  # how long an answerer may keep the question of one who waits
LATE_SECONDS = 5.0  # ... and how much later its answer may come
LEAST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 60.0  # between two questions of one who waits
FOREVER_SECONDS = 1e9  # longer than any policy waits
MOST_FACTS = 100  # tasks whose facts go with questions
MOST_TOLD = 10_000  # answers remembered as told


class Withheld:
    """A call that is not made, and what it returns instead."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Control:
    """What the policy of one run asks of its tasks. See ``rota._task.CONTROL``.

    Args:
        run: the run that this process is.
        document: its policy, see ``rota.control.document``.
        client: answers.
        sleep: waits so many seconds.
    """

    def __init__(
        self, run: Run, document: Mapping[str, Any], client: Client, sleep: Callable[[float], None] = time.sleep
    ) -> None:  # fmt: skip
        self.run, self._client, self._sleep = run, client, sleep
        self._tasks: Mapping[str, Any] = document.get("tasks") or {}
        self._denied = inflight.denied(document)
        self.patterns = list(dict.fromkeys([*self._tasks, *self._denied, *inflight.named(document)]))
        self.coverage = Coverage(self.patterns)
        self._host = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
        self._keeps_facts = bool(document.get("rules"))
        self._facts: dict[str, dict[str, Any]] = {}
        self._told: set[tuple[str, str]] = set()
        self._questions: dict[str, Question] = {}  # by task, as long as no facts go with them

    # -- what rota._task calls ---------------------------------------------------------------------------------------------

    @guarded
    def adopt(self, wrapper: Any, label: Label) -> None:
        """Have a task's function ask first, when the policy says so: what its wrapper calls is exchanged, and the wrapper, which
        the program may have at many places, stays. None: there is no such function any more.
        """
        if wrapper is not None:
            self.coverage.made(label.text)
            terms = self._terms(label.text)
            if terms.permit:
                cell = wrapper.__closure__[wrapper.__code__.co_freevars.index("function")]
                cell.cell_contents = self._asking(cell.cell_contents, label, terms)

    def ended(self, task: Task, error: BaseException | None) -> None:
        """A task is over: its facts are what later questions tell, and leave at once where a rule may wait for them."""
        if not self._is_ours(task):
            return
        name = task.label.text
        self.coverage.ran(name)
        if not self._keeps_facts:
            return
        if name in self._facts or len(self._facts) < MOST_FACTS:
            seconds = (time.monotonic_ns() - task.started_ns) / 1e9
            before = self._facts.pop(name, None)  # the order is that of their ends
            self._facts[name] = inflight.task_facts(before, _as_told(task.facts or {}), _state(task, error), seconds)
        if not task.parent.is_task:
            owner = task.run.owner
            owner.spool.flush()
            getattr(owner.carrier, "hurry", owner.carrier.push)()

    def admit_block(self, task: Task | None) -> None:
        """Ask for a ``with`` block. It cannot be skipped: a skip raises as a denial does."""
        if task is not None and self._is_ours(task):
            self._no_block(task, self.admit(task, self._terms(task.label.text)))

    async def admit_block_async(self, task: Task | None) -> None:
        """The same for ``async with``."""
        if task is not None and self._is_ours(task):
            self._no_block(task, await self.admit_async(task, self._terms(task.label.text)))

    def _asking(self, function: Any, label: Label, terms: Terms) -> Any:
        """``function`` with the question before it. It asks for the task that its call opened: without a run, none was."""

        def admit() -> Withheld | None:
            task: Any = CURRENT.get()
            return self.admit(task, terms) if self._is_ours(task) and task.label is label else None

        async def admit_async() -> Withheld | None:
            task: Any = CURRENT.get()
            return await self.admit_async(task, terms) if self._is_ours(task) and task.label is label else None

        return asking(function, admit, admit_async)

    # -- asking ------------------------------------------------------------------------------------------------------------

    def admit(self, task: Task, terms: Terms) -> Withheld | None:
        """None when the task may run, else what it returns.

        Raises:
            GateDenied: it may not, and the policy names no value for that.
        """
        if not terms.permit:
            return None
        try:
            answer = _settled(self._course(task, terms), self._do)
        except Exception as error:  # a fault of ours
            note("permit", error)
            answer = unreachable(terms, FOREVER_SECONDS, str(error))
        return self._outcome(task, terms, answer)

    async def admit_async(self, task: Task, terms: Terms) -> Withheld | None:
        """The same, while the event loop goes on."""
        if not terms.permit:
            return None
        try:
            answer = await _settled_async(self._course(task, terms), self._do_async)
        except Exception as error:
            note("permit", error)
            answer = unreachable(terms, FOREVER_SECONDS, str(error))
        return self._outcome(task, terms, answer)

    def _course(self, task: Task, terms: Terms) -> Course:
        """Questions and waits, one after the other, until there is an answer that is not ``wait``. Yields ("ask", question,
        seconds), to which it is sent the answer or the reason why there is none, or ("wait", seconds).
        """
        question, timeout_seconds = self._question(task), ASK_SECONDS
        self.coverage.asked(task.label.text)
        began = time.monotonic()
        while True:
            asked_at = time.monotonic()
            answer = yield ("ask", question, timeout_seconds)
            if isinstance(answer, Unreachable):
                answer = unreachable(terms, asked_at - began, str(answer))
            else:
                began = time.monotonic()  # it is not waited for nobody
            self._tell(task, answer)
            if answer["answer"] != "wait":
                return answer  # type: ignore[no-any-return]
            yield ("wait", _pause(answer, time.monotonic() - asked_at))
            if answer.get("by") != "sdk":
                question = Question(question, ticket=answer.get("ticket"), wait_seconds=HOLD_SECONDS)
                timeout_seconds = HOLD_SECONDS + LATE_SECONDS

    def _do(self, what: str, *given: Any) -> Any:
        if what == "wait":
            return self._sleep(*given)
        try:
            return self._client.ask(*given)
        except Unreachable as error:
            return error

    async def _do_async(self, what: str, *given: Any) -> Any:
        if what == "wait":
            asyncio, loop = running_loop()
            return await asyncio.sleep(*given) if loop is not None else self._sleep(*given)
        try:
            return await self._client.ask_async(*given)
        except Unreachable as error:
            return error

    def _question(self, task: Task) -> Question:
        run, name = self.run, task.label.text
        known = self._questions.get(name)
        if known is not None:
            return known
        question = Question({
            "workflow": run.workflow, "run_id": run.run_id, "attempt": run.attempt, "task": name, "host": self._host,
            "slot_at": None, "priority": 0, "ticket": None, "wait_seconds": 0, "local": [],
            "facts": {"tasks": dict(self._facts)} if self._facts else {},
        })  # fmt: skip
        if not self._keeps_facts and len(self._questions) < MOST_TOLD:
            self._questions[name] = question
        return question

    # -- what comes of it --------------------------------------------------------------------------------------------------

    def _outcome(self, task: Task, terms: Terms, answer: Mapping[str, Any]) -> Withheld | None:
        if answer["answer"] == "go":
            return None
        reason = str(answer.get("reason") or "no reason was given")
        task.record({names.TASK_RESULT: "skip", names.GATE_ANSWER: answer["answer"], names.REASON: reason})
        if answer["answer"] == "skip":
            return Withheld(terms.skipped_value)
        if not terms.raises:
            return Withheld(terms.denied_value)
        raise GateDenied(task.label.text, self.run.workflow, "deny", reason)

    def _no_block(self, task: Task, withheld: Withheld | None) -> None:
        if withheld is not None:
            facts = task.facts or {}
            reason = "%s, and a `with` block cannot be left out" % facts.get(names.REASON)
            raise GateDenied(task.label.text, self.run.workflow, str(facts.get(names.GATE_ANSWER)), reason)

    @guarded
    def _tell(self, task: Task, answer: Mapping[str, Any]) -> None:
        """Write an answer down, unless the collector has: that of its gates and rules, each of which is of a kind."""
        key = task.label.text, str(answer["answer"])
        is_told = answer.get("kind") and answer.get("by") not in ("agent", "sdk")
        if is_told or key in self._told:
            return
        if len(self._told) < MOST_TOLD:
            self._told -= {(key[0], other) for other in ANSWERS}
            self._told.add(key)
        run, at_ns = self.run, self.run.owner.clock.now_ns()
        pairs = {
            names.EVENT_ID: _event_id(run, task, answer), names.RUN_ID: run.run_id, names.WORKFLOW: run.workflow,
            names.ATTEMPT: run.attempt, names.TASK_NAME: key[0], names.GATE_ANSWER: key[1], names.REASON: answer.get("reason"),
            names.GATE_KIND: answer.get("kind"), names.GATE_NUMBER: answer.get("gate"), names.GATE_TICKET: answer.get("ticket"),
            names.SOURCE: answer.get("by") or "collector", names.HOST_NAME: self._host,
        }  # fmt: skip
        said = {"gate": answer.get("gate"), "kind": answer.get("kind"), "answer": key[1], "reason": answer.get("reason")}
        said["facts"] = {"tasks": self._facts}
        body = json.dumps(answer.get("gates") or [said], default=str)
        record = events.log_record(at_ns, names.DECISION_EVENT, run.trace_id, task.span_id, pairs, body)
        run.owner.write_event(run.scope, record)

    def _is_ours(self, task: Any) -> bool:
        """Whether it is a task of the run that the policy is of; a run inside it (``rota.run``) is of another workflow."""
        return task is not None and task.is_task and task.run is self.run

    def _terms(self, name: str) -> Terms:
        terms = Terms.of(entry_of(self._tasks, name) or {})
        return terms._replace(permit=True) if any(fnmatchcase(name, each) for each in self._denied) else terms


def _settled(course: Course, do: Callable[..., Any]) -> dict[str, Any]:
    step = next(course)
    while True:
        try:
            step = course.send(do(*step))
        except StopIteration as over:
            return over.value  # type: ignore[no-any-return]


async def _settled_async(course: Course, do: Callable[..., Any]) -> dict[str, Any]:
    step = next(course)
    while True:
        try:
            step = course.send(await do(*step))
        except StopIteration as over:
            return over.value  # type: ignore[no-any-return]


def _as_told(facts: dict[str, object]) -> dict[str, Any]:
    """Facts as they leave with the span: plain values, and without secrets."""
    from rota._captured import plain

    return {pair["key"]: plain(pair["value"]) for pair in json.loads("[%s]" % events.attributes(facts))}


def _state(task: Task, error: BaseException | None) -> str:
    if task.facts and task.facts.get(names.TASK_RESULT) == "skip":
        return "skipped"
    if error is None or isinstance(error, (GeneratorExit, SystemExit)):
        return "succeeded"
    return "cancelled" if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "CancelledError" else "failed"


def _pause(answer: Mapping[str, Any], took_seconds: float) -> float:
    """How long to wait before asking again: as told, else not at all after a question that was held."""
    told = answer.get("look_again_seconds")
    if isinstance(told, (int, float)) and told > 0:
        return min(float(told), LONGEST_WAIT_SECONDS)
    return max(0.0, LEAST_WAIT_SECONDS - took_seconds)


def _event_id(run: Run, task: Task, answer: Mapping[str, Any]) -> str:
    from uuid import UUID, uuid5

    parts = (run.attempt, task.label.text, answer.get("ticket") or task.span_id, answer["answer"])
    return str(uuid5(UUID(run.run_id), "/".join(map(str, parts))))
