"""A command that is tried again: one run, attempts 1 to n. Loaded when its policy, or the command line, speaks of retries.

What we were given (streams, locks) is kept until the last attempt has it, since each of them gets it. Standard input is the first
attempt's; a later one reads a regular file from where the first one began, and anything else as empty.
"""

from __future__ import annotations

import os
import stat
from time import monotonic

from rota._guard import guarded, note
from rota._run import Run
from rota.control import document
from rota.control.chance import chance
from rota.exec import child, part, told, waiting
from rota.exec.observe import Observed, kept_tail
from rota.rules import retry as rules
from rota.rules import status as statuses
from rota.rules.budget import KIND
from rota.wire import events, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rota.exec.observe import Ended
    from rota.exec.options import Options

TIMED_OUT = 124  # of an attempt whose time was over and that ended with 0, as `timeout` says it


def retry_of(options: Options, path: str) -> rules.Retry | None:
    """What the command line says of retries, and the policy over it, key by key; None: neither says anything. A policy's mistake
    is noted.
    """
    given = {"attempts": options.attempts or None, "wait": options.wait}
    asked = (document.read(path) or {}).get("retry")
    if isinstance(asked, dict) and asked:
        try:
            return rules.of({**given, **{key: value for key, value in asked.items() if value is not None}})
        except ValueError as error:
            note("policy", error)
    return rules.of(given) if options.attempts else None


class RetriedRun(Run):
    """A run whose attempts each have a root span."""

    def finish_attempt(self, outcome: tuple[str, int, str, dict[str, object] | None], wait_seconds: float) -> None:
        """Say that the attempt is over and another one will follow."""
        state, exit_code, reason, error = outcome
        ended_ns = self.owner.clock.now_ns()
        self._add_span(state, exit_code, error or {}, ended_ns)
        self.owner.spool.flush()
        pairs: dict[str, object] = {
            names.REASON: reason,
            names.PROCESS_EXIT_CODE: exit_code,
            names.RUN_STARTED: self.started_ns,
            names.RETRY_WAIT: round(wait_seconds, 3),
            **(error or {}),
            **self.facts,
        }
        pairs[names.ERROR_TYPE] = (error or {}).get(names.EXCEPTION_TYPE)
        self.say("retry_wait", pairs, ended_ns)
        self.facts = {}

    def begin_attempt(self) -> None:
        """Say that the next attempt runs."""
        self.link = events.link(self.trace_id, self.span_id)
        self.attempt += 1
        self.span_id = self.owner.ids.span_id()
        self.started_ns = self.owner.clock.now_ns()
        self.say("running", {}, self.started_ns)

    def cancel(self, exit_code: int, signal_name: str) -> None:
        """Say that there will be no other attempt, because of a signal."""
        pairs = {
            names.REASON: signal_name.lower(),
            names.PROCESS_EXIT_CODE: exit_code,
            names.PROCESS_SIGNAL: signal_name,
            names.RUN_STARTED: self.started_ns,
            **self.facts,
        }
        self.say("cancelled", pairs, self.owner.clock.now_ns())
        self.is_over = True


class Retried(Observed):
    """The run of one command that is tried again when it fails."""

    run: RetriedRun

    def __init__(self, options: Options, named_by: str, workflow: str, retry: rules.Retry, signals: child.Signals) -> None:
        super().__init__(options, named_by, workflow, RetriedRun)
        self._retry, self._signals, self._tail_bytes = retry, signals, options.tail
        self._began_at = monotonic()
        self._limit_seconds, self._limit = rules.attempt_limit_seconds(retry, 0.0)
        self._overran = False
        self._is_withheld = False  # another attempt, for want of budget
        self._stdin_offset = _offset_of_file(0)
        # A group of its own can be ended as a whole. Where there is a terminal, that would take the terminal from the command.
        self._leads_group = self._limit_seconds is not None and not child.has_terminal()
        self._told_path = part.told_file(self.owner.home, self.owner.spool.stem)
        told.sweep(os.path.dirname(self._told_path))

    @property
    def marked_attempt(self) -> int:  # type: ignore[override]
        """The attempt's number: the command's own rota is to tell it, and to tell us its error."""
        return self.run.attempt

    def spawn(self, environment: child.Environment, signals: child.Signals) -> child.Child:
        """Start an attempt. Raises OSError."""
        redirections = self.tail.redirections if self.tail else []
        if self.run.attempt == 1:
            self._began_at = monotonic()  # not before: it may have waited for permission
        null = self._rewind() if self.run.attempt > 1 else -1
        try:
            more = [(null, 0)] if null >= 0 else []
            return child.start(self.command, environment, signals, redirections + more, self._leads_group)
        finally:
            if null >= 0:
                os.close(null)

    def let_go(self) -> None:
        """Only the last attempt leaves us nothing to keep."""
        if self.run.attempt >= self._retry.attempts:
            super().let_go()

    def follow(self, started: child.Child, environment: child.Environment) -> int:
        """Await the end of the last attempt and tell it; its exit status."""
        while True:
            ended = self._await_attempt(started, environment)
            further = self._further(ended)
            if further is None:
                self.tell(ended)
                return ended[0]
            self._tell_attempt(ended, further.wait_seconds)
            number = waiting.pause(self._signals, further.wait_seconds, guarded(self.owner.carrier.push))
            if number:
                self._cancel(number)
                return 128 + number
            again = self._start_again(environment)
            if isinstance(again, int):
                return again
            started = again

    def outcome(self, exit_code: int, signal_name: str) -> tuple[str, str]:
        """(state, reason)."""
        state, reason = ("timed_out", self._limit) if self._overran else super().outcome(exit_code, signal_name)
        return state, KIND if self._is_withheld else reason

    def _await_attempt(self, started: child.Child, environment: child.Environment) -> Ended:
        exit_code, signal_name, usage = self.await_end(started, environment, self._limit_seconds)
        self._overran = started.has_overrun
        if self._overran:
            started.clear()
        return (exit_code or TIMED_OUT) if self._overran else exit_code, signal_name, usage

    @guarded
    def _further(self, ended: Ended) -> rules.Again | None:
        """The next attempt; None: there is none. A signal that asked the command to end asked for no other one either."""
        exit_code, signal_name, _ = ended
        types, message = told.take(self._told_path)
        if exit_code == 0 or self._signals.asked_to_end:
            return None
        message = message or (self.tail.message() if self.tail else "")
        failure = rules.Failure(exit_code, signal_name, types, message, self._overran)
        decided = rules.decide(self._retry, self.run.attempt, failure, monotonic() - self._began_at, chance())
        if not isinstance(decided, rules.Again):
            return None
        self._is_withheld = not self._is_granted()
        return None if self._is_withheld else decided

    def _is_granted(self) -> bool:
        """Whether the budget of the policy has a retry left."""
        if self._retry.budget is None:
            return True
        from rota.control.budget import Share

        share = Share(self.run, self._retry.budget)
        try:
            return share.take(self.run.attempt)
        finally:
            share.close()

    @guarded
    def _tell_attempt(self, ended: Ended, wait_seconds: float) -> None:
        self.run.finish_attempt(self.told(ended), wait_seconds)

    @guarded
    def _cancel(self, number: int) -> None:
        self.release()
        self.declare_name()
        self.run.cancel(128 + number, statuses.signal_name(number))
        self.owner.end()

    def _start_again(self, environment: child.Environment) -> child.Child | int:
        """As ``start``. When it cannot be started as a part of the run, it runs without one."""
        try:
            part.unmark(self.owner.spool.logs.path, part.TOLD_ERROR)
            self.run.begin_attempt()
            if self._tail_bytes:
                self.tail = kept_tail(self._tail_bytes)
            self._limit_seconds, self._limit = rules.attempt_limit_seconds(self._retry, monotonic() - self._began_at)
            return self.start(environment, self._signals)
        except Exception as error:
            note("exec", error)
            child.become(self.command, environment, self._signals)

    def _rewind(self) -> int:
        """Make standard input what a further attempt gets; the descriptor of what takes its place, or -1."""
        if self._stdin_offset is not None:
            os.lseek(0, self._stdin_offset, os.SEEK_SET)
            return -1
        return os.open(os.devnull, os.O_RDONLY) if _is_given(0) else -1


def _is_given(number: int) -> bool:
    """Whether we were started with that descriptor: in the place of a closed one is a file that no command inherits."""
    try:
        return os.get_inheritable(number)
    except OSError:
        return False


def _offset_of_file(number: int) -> int | None:
    """Where a regular file is read from; None for anything else."""
    try:
        if _is_given(number) and stat.S_ISREG(os.fstat(number).st_mode):
            return os.lseek(number, 0, os.SEEK_CUR)
    except OSError:
        pass
    return None
