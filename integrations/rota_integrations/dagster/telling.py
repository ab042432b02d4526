"""Dagster's events of a run → its states, and those of its steps."""

from __future__ import annotations

from typing import Any, Callable, Mapping, NamedTuple, Optional

from rota.foreign import Source
from rota.wire import names
from rota_integrations.dagster.schedules import declared_of, slot_of
from rota_integrations.states import table_of

_STATUS = {  # what an event makes of its run
    "PIPELINE_ENQUEUED": "QUEUED", "PIPELINE_STARTING": "STARTING", "PIPELINE_START": "STARTED", "PIPELINE_SUCCESS": "SUCCESS",
    "PIPELINE_FAILURE": "FAILURE", "PIPELINE_CANCELING": "CANCELING", "PIPELINE_CANCELED": "CANCELED",
    "RUN_SUSPENDED": "SUSPENDED", "RUN_RESUMED": "STARTED",
}  # fmt: skip
_OVER = ("SUCCESS", "FAILURE", "CANCELED")
_BAD = ("failed", "crashed")
_NOT_RUN = "Dependencies for step "  # ... failed or were skipped
_MOST_RUNS = 1000  # whose steps are remembered, in a process that sees no end of theirs


class Said(NamedTuple):
    """A record of Dagster's. ``event`` is its ``DagsterEvent``, or None for a message alone."""

    run_id: str
    job: str
    tags: Mapping[str, str]
    at_ns: int
    event: Any
    step: Optional[str]
    message: str


class _Run:
    """What this process knows of a run."""

    def __init__(self) -> None:
        self.began_ns: Optional[int] = None
        self.attempts: dict[str, int] = {}  # of steps that were tried again
        self.open: dict[str, int] = {}  # steps that began → when
        self.assets: dict[str, list[dict[str, Any]]] = {}  # facts of what they made


class Teller:
    """Tells what records say. A run that Dagster makes to retry another one is an attempt of that.

    Args:
        source: by whom.
        host: where the runs are.
    """

    def __init__(self, source: Source, host: Optional[str]) -> None:
        self._source, self._host, self._states = source, host, table_of("dagster")
        self._runs: dict[str, _Run] = {}

    def take(self, said: Said) -> None:
        """One record; most of them say nothing."""
        kind = said.event.event_type_value if said.event is not None else ""
        if kind in _STATUS:
            self._run(said, _STATUS[kind])
        elif kind in _STEPS and said.step:
            _STEPS[kind](self, said, kind)
        elif not kind and said.step and said.message.startswith(_NOT_RUN) and "Not executing" in said.message:
            self._finished(said, "NOT_EXECUTED")  # there is no event for it

    def _known(self, said: Said) -> _Run:
        run = self._runs.get(said.run_id)
        if run is None:
            while len(self._runs) >= _MOST_RUNS:
                self._runs.pop(next(iter(self._runs)))
            run = self._runs.setdefault(said.run_id, _Run())
        return run

    # -- the run -------------------------------------------------------------------------------------------------------

    def _run(self, said: Said, word: str) -> None:
        run, (key, attempt) = self._known(said), _place(said)
        if word == "STARTED" and run.began_ns is None:
            run.began_ns = said.at_ns
        if word in _OVER:
            self._left_open(said, "INTERRUPTED" if word == "CANCELED" else "UNFINISHED")
        state, data = self._states.of_run(word), said.event.event_specific_data
        self._source.run(
            said.job, key, state.name, said.at_ns, raw_state=word, reason=state.reason, attempt=attempt, started_ns=run.began_ns,
            slot_ns=slot_of(said.tags), error=self._run_error(data) if state.name in _BAD else None, host=self._host,
            declared=declared_of(said.job, said.tags) if word == "STARTED" else None, facts=_run_facts(said),
        )  # fmt: skip
        if word in _OVER:
            self._runs.pop(said.run_id, None)
            self._source.flush()

    def _run_error(self, data: Any) -> Optional[dict[str, str]]:
        """That of the run itself; when steps failed there is none, and theirs is said."""
        return _error(getattr(data, "error", None)) or None

    def _left_open(self, said: Said, word: str) -> None:
        for step in list(self._known(said).open):
            self._finished(said._replace(step=step, event=None), word)

    # -- its steps -----------------------------------------------------------------------------------------------------

    def _begun(self, said: Said, kind: str) -> None:
        run, step = self._known(said), str(said.step)
        if kind == "STEP_RESTARTED":
            known = run.attempts.get(step)
            run.attempts[step] = known if known is not None and step not in run.open else _attempts(said)
        run.open[step] = said.at_ns
        self._tell(said, kind, run.attempts.get(step, 1), said.at_ns)

    def _again(self, said: Said, kind: str) -> None:
        """An attempt failed, and there is another one."""
        run, step = self._known(said), str(said.step)
        attempt = run.attempts.get(step, 1)
        self._tell(said, "STEP_FAILURE", attempt, run.open.pop(step, None))
        run.attempts[step] = attempt + 1
        self._tell(said, kind, attempt + 1, None)

    def _finished(self, said: Said, kind: str) -> None:
        run, step = self._known(said), str(said.step)
        assets, began_ns = run.assets.pop(step, []), run.open.pop(step, None)
        self._tell(said, kind, run.attempts.get(step, 1), began_ns, assets[0] if len(assets) == 1 else None)
        for asset in assets if len(assets) > 1 else ():
            self._asset(said, asset, run.attempts.get(step, 1), began_ns)
        if run.began_ns is None:  # a process for this step alone
            self._source.flush()

    def _made(self, said: Said, _: str) -> None:
        made = said.event.event_specific_data.materialization
        rows = getattr(made.metadata.get("dagster/row_count"), "value", None)
        facts = {names.DATASET_NAME: made.asset_key.to_user_string(), names.DATASET_ACCESS: "write", names.DATASET_ROWS: rows}
        self._known(said).assets.setdefault(str(said.step), []).append({**facts, "dagster.partition": made.partition})

    def _asset(self, said: Said, facts: Mapping[str, Any], attempt: int, began_ns: Optional[int]) -> None:
        """One of several that a step made is a task beside it."""
        key, run_attempt = _place(said)
        self._source.task(
            said.job, key, str(facts[names.DATASET_NAME]), "succeeded", said.at_ns, instance="of %s" % said.step,
            attempt=attempt, run_attempt=run_attempt, started_ns=began_ns, facts=facts,
        )  # fmt: skip

    def _tell(
        self, said: Said, word: str, attempt: int, began_ns: Optional[int], facts: Optional[Mapping[str, Any]] = None
    ) -> None:  # fmt: skip
        (key, run_attempt), step, state = _place(said), str(said.step), self._states.of_task(word)
        data = said.event.event_specific_data if state.name in _BAD and said.event is not None else None
        self._source.task(
            said.job, key, step.partition("[")[0], state.name, said.at_ns, instance=step, raw_state=word, reason=state.reason,
            attempt=attempt, run_attempt=run_attempt, started_ns=began_ns, error=_error(getattr(data, "error", None)),
            facts={"dagster.step_key": step, **(facts or {})},
        )  # fmt: skip


_STEPS: dict[str, Callable[[Teller, Said, str], None]] = {
    "STEP_START": Teller._begun,
    "STEP_RESTARTED": Teller._begun,
    "STEP_UP_FOR_RETRY": Teller._again,
    "STEP_SUCCESS": Teller._finished,
    "STEP_FAILURE": Teller._finished,
    "STEP_SKIPPED": Teller._finished,
    "ASSET_MATERIALIZATION": Teller._made,
}


def tells(event: Any, message: object) -> bool:
    """Whether a record may say something, for whoever has not made it a ``Said`` yet: most do not."""
    if event is None:
        return str(message).startswith(_NOT_RUN)
    return event.event_type_value in _STEPS or event.event_type_value in _STATUS


def _place(said: Said) -> tuple[tuple[str, ...], int]:
    """The run, and which of its attempts: Dagster retries a run by another one, which names the first."""
    root, number = said.tags.get("dagster/root_run_id"), said.tags.get("dagster/retry_number", "")
    return ((root,), int(number) + 1) if root and number.isdigit() else ((said.run_id,), 1)


def _run_facts(said: Said) -> dict[str, Any]:
    names_of_tags = ("dagster/partition", "dagster/schedule_name", "dagster/sensor_name", "dagster/parent_run_id")
    facts = {name.replace("/", "."): said.tags.get(name) for name in names_of_tags}
    return {"dagster.run_id": said.run_id, **facts}


def _attempts(said: Said) -> int:
    """How often a step was tried, that other processes tried before: the instance has it."""
    from dagster import DagsterEventType, DagsterInstance

    entries = DagsterInstance.get().all_logs(said.run_id, of_type=DagsterEventType.STEP_RESTARTED)
    return 1 + max(1, len([entry for entry in entries if entry.step_key == said.step]))


def _error(error: Any) -> dict[str, str]:
    """What was raised in the user's code, which Dagster wraps in an error of its own."""
    if error is None:
        return {}
    raised = error.cause or error
    kind = str(raised.cls_name or "")
    message = str(raised.message).strip()
    said = message[len(kind) + 2 :] if kind and message.startswith(kind + ": ") else message
    told = {names.EXCEPTION_TYPE: kind, names.EXCEPTION_MESSAGE: said, names.EXCEPTION_STACK: "".join(raised.stack)}
    return {names.ERROR_TYPE: kind, **told}
