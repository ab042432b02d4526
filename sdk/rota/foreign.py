"""Runs of other systems, told as ours are: for observers of orchestrators, and for anybody who knows of a run that rota did not
see.

Ids are made of the names that the other system has for its runs and tasks. So it does no harm to tell something twice, and who
looks at a system's history again after a restart adds only what is new.
"""

from __future__ import annotations

from functools import lru_cache

from rota import __version__, _config
from rota._guard import guarded
from rota._guard import guarded as harmless  # for observers: what they do inside another system must never raise there
from rota._process import existing, process
from rota.rules.fold import RESULTS, STATES, TERMINAL
from rota.wire import events, ids, names

__all__ = ["Source", "harmless", "may_run"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping, Sequence

    from rota._process import Process
    from rota.control.admit import Permission


_MOST_RUNS = 1000  # whose failed tasks are remembered
_MOST_AT_ONCE = 256  # runs whose name and id are kept as they are written
_FINE = ("succeeded", "skipped", "ended", "cancelled", "upstream_failed")


def may_run(workflow: str, wait_seconds: float = 0.0) -> Permission:
    """Whether the gates of a workflow are open, for a task of another system that waits for them: as ``rota gate check`` asks.

    Args:
        workflow: whose gates.
        wait_seconds: how long they may take to open.

    Returns:
        ``answer`` is ``go``, ``wait``, ``skip`` or ``deny``; ``reason`` says why.

    Raises:
        CollectorError: nobody can tell its policy, or there is no such workflow.
    """
    from rota.control.check import check

    return check(workflow, wait_seconds)


class Source:
    """A system whose runs this process tells of. Nothing here raises, waits or prints, but for arguments that are wrong.

    Args:
        system: its name, which is the runs' ``rota.source``: ``airflow``.
        ends_with_process: whether its open runs are over when this process is, as they run in it. An observer that looks on from
            outside says False: its own end tells nothing.
    """

    def __init__(self, system: str, ends_with_process: bool = False) -> None:
        self.system = system
        self._scope = "inner" if ends_with_process else "foreign"
        self._errors: dict[str, dict[tuple[str, str], Mapping[str, str]]] = {}  # run → its tasks that failed last, and of what

    def run_id(self, key: Sequence[str]) -> str:
        """The UUID of the run that has these names in its system, from the widest to the narrowest; one that is a UUID stays."""
        return _id_of(self.system, tuple(key))

    def run(
        self, workflow: str, key: Sequence[str], state: str, at_ns: int, *, raw_state: str | None = None,
        reason: str | None = None, attempt: int = 1, started_ns: int | None = None, slot_ns: int | None = None,
        exit_code: int | None = None, error: Mapping[str, str] | None = None, host: str | None = None, tags: Sequence[str] = (),
        parent: Sequence[str] = (), facts: Mapping[str, object] | None = None, declared: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Tell the state of a run.

        Args:
            workflow: its workflow's name.
            key: what names it in its system.
            state: one of ``rota.rules.fold.STATES``.
            at_ns: since when it is so, Unix time, by the system's own clock.
            raw_state: the system's word for it.
            reason: why.
            attempt: from 1.
            started_ns: when the attempt began, if it is known.
            slot_ns: the nominal time that it is for.
            exit_code: of its process.
            error: attributes of what went wrong: ``names.ERROR_TYPE`` and the ``EXCEPTION_*``. Left out of a run that failed, it
                is that of the first of its tasks that did, as far as this process told them.
            host: where it runs.
            tags: words to find it by.
            parent: names of the run that it is part of.
            facts: attributes.
            declared: its schedule: ``names.SCHEDULE_SPEC`` and the like.

        Raises:
            ValueError: no such state.
        """
        if state not in STATES:
            raise ValueError("%r is no state of a run: there are %s" % (state, ", ".join(STATES)))
        run_id = self.run_id(key)
        if state in TERMINAL and self._errors:
            of_task = self._first_error(run_id)
            error = error or (None if state in _FINE else of_task)
        pairs: dict[str, object] = {
            names.STATE: state, names.RAW_STATE: raw_state, names.REASON: reason, names.ATTEMPT: attempt,
            names.SOURCE: self.system, names.RUN_SCOPE: self._scope,
            names.PARENT_RUN_ID: self.run_id(parent) if parent else None, names.RUN_STARTED: started_ns, names.SLOT: slot_ns,
            names.PROCESS_EXIT_CODE: exit_code, names.HOST_NAME: host, names.TAGS: list(tags) or None,
            names.PIPELINE_RESULT: RESULTS.get(state), **(declared or {}), **(error or {}), **(facts or {}),
        }  # fmt: skip
        self._tell_run(workflow, run_id, state, at_ns, attempt, started_ns, pairs, error or {})

    def task(
        self, workflow: str, key: Sequence[str], task: str, state: str, at_ns: int, *, instance: str = "",
        raw_state: str | None = None, reason: str | None = None, attempt: int = 1, run_attempt: int = 1,
        started_ns: int | None = None, error: Mapping[str, str] | None = None, facts: Mapping[str, object] | None = None,
    ) -> None:  # fmt: skip
        """Tell the state of a task of a run.

        Args:
            workflow: the run's.
            key: what names the run in its system.
            task: the task's name.
            state: one of ``rota.rules.fold.STATES``.
            at_ns: since when it is so, Unix time.
            instance: tells it from others of its name in the run: the index of a fan-out.
            raw_state: the system's word for it.
            reason: why.
            attempt: of the task, from 1.
            run_attempt: of its run.
            started_ns: when the attempt began; left out, it took no time.
            error: as of ``run``.
            facts: attributes.

        Raises:
            ValueError: no such state.
        """
        if state not in STATES:
            raise ValueError("%r is no state of a task: there are %s" % (state, ", ".join(STATES)))
        run_id = self.run_id(key)
        if state in TERMINAL and (error or self._errors):
            self._remember(run_id, (task, instance), error if state not in _FINE else None)
        pairs: dict[str, object] = {
            names.TASK_NAME: task, names.TASK_STATE: state, names.RAW_STATE: raw_state, names.REASON: reason,
            names.ATTEMPT: attempt if attempt > 1 else None, names.TASK_RESULT: RESULTS.get(state),
            **(error or {}), **(facts or {}),
        }  # fmt: skip
        place = run_attempt, ids.span_id(run_id, task, instance, run_attempt, attempt)
        self._tell_task(workflow, run_id, task, place, state, at_ns, started_ns, pairs, error or {})

    @guarded
    def schedule(self, workflow: str, declared: Mapping[str, str], at_ns: int) -> None:
        """Tell how the system schedules a workflow, whether it ever ran or not: its runs are expected from then on.

        Args:
            workflow: its name.
            declared: as of ``run``; nothing: it is not scheduled, or not any more.
            at_ns: when that was seen, Unix time.
        """
        owner = _owner(self.system)
        if owner is None:
            return
        named = events.attributes({names.WORKFLOW: workflow})
        event_id = ids.uuid_text("/".join((self.system, workflow, str(sorted(declared.items())), str(at_ns))))
        said = events.attributes({names.EVENT_ID: event_id, names.SOURCE: self.system, names.RUN_SCOPE: self._scope, **declared})
        record = events.event(at_ns, names.SCHEDULE_EVENT, "", "", named + "," + said)
        owner.write_event(events.scope_of(__version__, named), record)

    @guarded
    def looked(self, place: str, at_ns: int, every_seconds: float, problem: str = "", host: str | None = None) -> None:
        """Tell that all was told which the system's history had at a moment. Whoever says so once is expected to go on: what
        should have run since the last such word is not missed, but unknown.

        Args:
            place: tells the system from others of its kind; nothing where there is one.
            at_ns: when the look began, Unix time.
            every_seconds: it looks again by then.
            problem: why it could not look.
            host: it sees only what runs there.
        """
        owner = _owner(self.system)
        if owner is None:
            return
        pairs: dict[str, object] = {
            names.EVENT_ID: ids.uuid_text("/".join((self.system, place, "look", str(at_ns)))), names.SOURCE: self.system,
            names.OBSERVER_PLACE: place or None, names.OBSERVER_EVERY: int(every_seconds) + 1,
            names.OBSERVER_PROBLEM: problem or None, names.HOST_NAME: host,
        }  # fmt: skip
        record = events.event(at_ns, names.LOOK_EVENT, "", "", events.attributes(pairs))
        owner.write_event(events.scope_of(__version__, ""), record)

    @guarded  # threads of the system may tell at once
    def _first_error(self, run_id: str) -> Mapping[str, str] | None:
        return next(iter(self._errors.pop(run_id, {}).values()), None)

    @guarded
    def _remember(self, run_id: str, task: tuple[str, str], error: Mapping[str, str] | None) -> None:
        """What to say of the run if it fails: the error of its last attempt, of those tasks that did not make it after all."""
        if error:
            while run_id not in self._errors and len(self._errors) >= _MOST_RUNS:
                self._errors.pop(next(iter(self._errors)))
            self._errors.setdefault(run_id, {})[task] = error
        elif run_id in self._errors:
            self._errors[run_id].pop(task, None)

    @guarded
    def flush(self) -> None:
        """Have what was told so far leave now."""
        if not _config.disabled():
            owner = process(self.system)
            owner.spool.flush()
            getattr(owner.carrier, "hurry", owner.carrier.push)()

    @guarded
    def leave(self) -> None:
        """Have it leave as at the end of a process, by a shipper if need be; may take a moment. For a process of its own that
        lives long, as what it tells would else wait for its end wherever neither an agent nor plain HTTP takes it.
        """
        if not _config.disabled():
            process(self.system).leave()

    @guarded
    def _tell_run(
        self, workflow: str, run_id: str, state: str, at_ns: int, attempt: int, started_ns: int | None,
        pairs: Mapping[str, object], error: Mapping[str, str],
    ) -> None:  # fmt: skip
        owner = _owner(self.system)
        if owner is None:
            return
        trace_id, span_id, named, scope = _place(run_id, attempt, workflow)
        said = named + "," + events.attributes(pairs)
        if state in TERMINAL and started_ns is not None:
            link = events.link(trace_id, ids.span_id(run_id, attempt - 1)) if attempt > 1 else ""
            span = events.span(
                trace_id, span_id, "", events.text(workflow), events.KIND_SERVER, started_ns, max(at_ns, started_ns), said,
                link + ("" if state in _FINE else _failed(at_ns, error)),
            )  # fmt: skip
            owner.spool.add_span(scope, span, 0)
            owner.spool.flush()
        event_id = ids.uuid_text("/".join((run_id, str(attempt), state, str(pairs[names.RAW_STATE] or ""), str(at_ns))))
        said = events.plain(names.EVENT_ID, event_id) + "," + said
        owner.write_event(scope, events.event(at_ns, names.RUN_STATE_EVENT, trace_id, span_id, said))

    @guarded
    def _tell_task(
        self, workflow: str, run_id: str, task: str, place: tuple[int, str], state: str, at_ns: int, started_ns: int | None,
        pairs: Mapping[str, object], error: Mapping[str, str],
    ) -> None:  # fmt: skip
        owner = _owner(self.system)
        if owner is None:
            return
        run_attempt, span_id = place
        trace_id, parent, named, scope = _place(run_id, run_attempt, workflow)
        said = events.attributes(pairs)
        if state in TERMINAL:
            begun_ns = at_ns if started_ns is None else started_ns
            span = events.span(
                trace_id, span_id, parent, events.text(task), events.KIND_INTERNAL, begun_ns, max(at_ns, begun_ns), said,
                "" if state in _FINE else _failed(at_ns, error),
            )  # fmt: skip
            owner.spool.add_span(scope, span, 0)
            if owner.spool.eager:  # this process may end without telling
                owner.spool.flush()
            return
        event_id = ids.uuid_text("/".join((run_id, span_id, state, str(at_ns))))
        said = ",".join((said, events.plain(names.EVENT_ID, event_id), named, events.plain(names.TASK_PARENT_ID, parent)))
        owner.write_event(scope, events.event(at_ns, names.TASK_STATE_EVENT, trace_id, span_id, said))


def _owner(system: str) -> Process | None:
    """This process; None where rota is disabled. That is asked until something is told: what has begun goes on to its end."""
    return existing() or (None if _config.disabled() else process(system))


@lru_cache(_MOST_AT_ONCE)
def _id_of(system: str, key: tuple[str, ...]) -> str:
    return ids.uuid_text(ids.identity(system, key))


@lru_cache(_MOST_AT_ONCE)
def _place(run_id: str, attempt: int, workflow: str) -> tuple[str, str, str, str]:
    """What all that is told of a run's attempt has in common: trace id, span id, the run's name as attributes, and as a scope."""
    named = events.attributes({names.RUN_ID: run_id, names.WORKFLOW: workflow})
    return run_id.replace("-", ""), ids.span_id(run_id, attempt), named, events.scope_of(__version__, named)


def _failed(at_ns: int, error: Mapping[str, str]) -> str:
    exception = {name: value for name, value in error.items() if name.startswith("exception.")}
    return events.failed_tail(at_ns, error.get(names.EXCEPTION_MESSAGE, ""), exception)
