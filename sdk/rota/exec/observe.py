"""Run a command as a run: say that it starts, start it, await it, say how it ended, and end as it did.

Whatever fails in rota, the command runs: until it is started, by giving it this very process; from then on, because nothing but
its end is waited for, and every word about it is guarded.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import errno
import os
import sys

from rota import _config, _propagate
from rota._guard import guarded, note
from rota._process import process, status_of
from rota._run import Run
from rota.exec import child, part
from rota.rules import status as statuses
from rota.wire import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from rota.exec.gates import Gates
    from rota.exec.options import Options
    from rota.exec.tail import Tail
    from rota.rules.retry import Retry

    Ended = tuple[int, str, Any]  # exit status, name of the signal that ended it or empty, resource use

_REFUSED = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOEXEC, errno.ETXTBSY)


def execute(options: Options) -> NoReturn:
    """Run the command and end as it does: its exit status, 128 + n when signal n ended it."""
    environment = child.environment_at_start()
    _keep_standard_numbers()
    if _config.disabled():
        child.become(options.command, environment)
    signals = child.Signals()
    try:
        observed = _observed(options, signals)
        code = observed.begin()
        started = code if code is not None else observed.start(environment, signals)
    except Exception as error:
        note("exec", error)
        child.become(options.command, environment, signals)
    code = started if isinstance(started, int) else observed.follow(started, environment)
    if code == 128 + _signal.SIGINT and _signal.SIGINT in signals.typed:
        _end_as_interrupted(signals)
    os._exit(code)


def _observed(options: Options, signals: child.Signals) -> Observed:
    """The run of the command; one of several attempts, when its policy or the command line says so."""
    named_by, workflow = _name(options)
    path = "%s/policy/%s.json" % (_config.home(), _propagate.quoted(workflow))
    has_policy = os.path.exists(path)
    retry = _retry(options, path) if options.attempts or has_policy else None
    if retry is None:
        observed = Observed(options, named_by, workflow)
    else:
        from rota.exec.attempts import Retried

        observed = Retried(options, named_by, workflow, retry, signals)
    if has_policy:
        observed.gates = _gates(observed, path, signals)
    return observed


@guarded
def _gates(observed: Observed, path: str, signals: child.Signals) -> Gates | None:
    from rota.exec.gates import gates_of

    return gates_of(observed.run, path, signals, observed.owner.carrier.push)


@guarded
def _retry(options: Options, path: str) -> Retry | None:
    from rota.exec.attempts import retry_of

    return retry_of(options, path)


class Observed:
    """The run of one command."""

    marked_attempt = 0  # of a command that may be tried again
    gates: Gates | None = None  # of its policy

    def __init__(self, options: Options, named_by: str, workflow: str, kind: type[Run] = Run) -> None:
        self.named_by = named_by
        self.command, self.line = options.command, options.line
        self.owner = process(workflow)
        self.run = kind(self.owner, workflow, "process")
        self.run.source = "exec"
        self.declares = any((options.schedule, options.tz, options.grace, options.max_duration))
        self.run.declared = {
            names.NAME_SOURCE: self.named_by if self.declares else None,  # else a part may declare more: see leave()
            names.PROCESS_COMMAND: options.command[0],
            names.SCHEDULE_SPEC: options.schedule,
            names.SCHEDULE_TZ: options.tz,
            names.SCHEDULE_GRACE: options.grace,
            names.MAX_DURATION: options.max_duration,
            names.TAGS: options.tags or None,
        }
        if self.declares and not options.schedule:
            found = _of_crontab(self.line, workflow) or {}
            self.run.declared.update({name: value for name, value in found.items() if self.run.declared[name] is None})
        self.run.script = _script(options.command)
        self.tail = kept_tail(options.tail) if options.tail else None

    def begin(self) -> int | None:
        """Say that the run begins, once it may; the exit status when it may not."""
        if self.gates is not None:
            code = self.gates.exit_code()
            if code is not None:
                self.owner.end()
                return code
        self.run.start()
        return None

    def start(self, environment: child.Environment, signals: child.Signals) -> child.Child | int:
        """Start the command; the exit status when it cannot be run. Raises what is no fault of its own: it may run without us."""
        run = self.run
        context = _propagate.context(run.trace_id, run.span_id, run.run_id, run.workflow, self.marker())
        linked = {**environment, **{os.fsencode(key): os.fsencode(value) for key, value in context.items()}}
        try:
            started = self.spawn(linked, signals)
        except OSError as error:
            if error.errno in _REFUSED:
                return self._refused(error)
            self.leave("ended", reason="unobserved")
            raise
        self.let_go()
        if self.tail:
            self.tail.begin()
        return started

    def marker(self) -> str:
        """What tells the command's own rota that it is part of this run."""
        return part.marker(self.owner.spool.stem, part.BY_EXEC if self.declares else self.named_by, self.marked_attempt)

    def spawn(self, environment: child.Environment, signals: child.Signals) -> child.Child:
        """Start the command. Raises OSError."""
        return child.start(self.command, environment, signals, self.tail.redirections if self.tail else [])

    def let_go(self) -> None:
        """Once the command has what we were given: close it."""
        _let_go(kept=(1, 2) if self.tail else ())

    def follow(self, started: child.Child, environment: child.Environment) -> int:
        """Await the command's end and tell it; its exit status."""
        ended = self.await_end(started, environment)
        self.tell(ended)
        return ended[0]

    def await_end(self, started: child.Child, environment: child.Environment, limit_seconds: float | None = None) -> Ended:
        """Await the command's end."""
        wait_status, usage = started.wait(guarded(self.owner.carrier.push), limit_seconds)
        number = os.WTERMSIG(wait_status) if os.WIFSIGNALED(wait_status) else 0
        if self.tail:
            _finish_tail(self.tail, environment)
        return 128 + number if number else os.WEXITSTATUS(wait_status), statuses.signal_name(number), usage

    @guarded
    def tell(self, ended: Ended) -> None:
        """Tell the command's end as the run's."""
        self.leave(*self.told(ended))

    def told(self, ended: Ended) -> tuple[str, int, str, dict[str, object] | None]:
        """(state, exit status, reason, error) of an end, once its facts are on the run."""
        exit_code, signal_name, usage = ended
        state, reason = self.outcome(exit_code, signal_name)
        self.run.record({**_resources(usage), names.PROCESS_SIGNAL: signal_name or None})
        if self.tail:
            guarded(self.tail.say)(self.run)
        return state, exit_code, reason, self._error(reason) if exit_code else None

    def outcome(self, exit_code: int, signal_name: str) -> tuple[str, str]:
        """(state, reason)."""
        return statuses.outcome(exit_code, signal_name)

    def _error(self, reason: str) -> dict[str, object] | None:
        """What is shown as the error, when the output is kept and the command has not told a better one itself."""
        message = self.tail.message() if self.tail else ""
        if not message or part.is_marked(self.owner.spool.logs.path, part.TOLD_ERROR):
            return None
        return {names.EXCEPTION_TYPE: reason, names.EXCEPTION_MESSAGE: message}

    def _refused(self, error: OSError) -> int:
        code, text = child.refusal(self.command[0], error)
        child.say(text)
        self.leave("failed", code, "exit", {names.EXCEPTION_TYPE: type(error).__name__, names.EXCEPTION_MESSAGE: text})
        return code

    def declare_name(self) -> None:
        """Tell with the last state who named the workflow, and what its crontab says, unless somebody has declared more."""
        if not self.declares and not part.is_marked(self.owner.spool.logs.path, part.DECLARED):
            self.run.record({names.NAME_SOURCE: self.named_by, **(_of_crontab(self.line, self.run.workflow) or {})})

    def release(self) -> None:
        """Give back what the gates granted."""
        if self.gates is not None:
            self.gates.release()

    @guarded
    def leave(
        self, state: str, exit_code: int | None = None, reason: str | None = None, error: dict[str, object] | None = None
    ) -> None:
        """Say the run's last state, and see it out."""
        self.declare_name()
        self.release()
        self.run.finish(state, exit_code, reason, error)
        self.owner.end()


@guarded
def _of_crontab(line: str | None, workflow: str) -> dict[str, object] | None:
    from rota.exec import crontab

    return crontab.declared(line, workflow) if line else None


def _name(options: Options) -> tuple[str, str]:
    """(``given`` or ``script``, the workflow's name)."""
    if options.line:
        from rota.exec.options import take_remark

        take_remark(options)
    given = options.name or os.environ.get("ROTA_WORKFLOW")
    if given:
        return "given", given
    from rota.exec import naming

    return "script", naming.name_of(options.command)


def _script(command: list[str]) -> tuple[str | None, os.stat_result | None]:
    """The file that the command is called after, and what it is now; None for a program that is looked for, or none at all."""
    from rota.exec import naming

    name = naming.name_of(command)
    for word in command:
        status = status_of(word) if naming.stem(word) == name else None
        if status is not None:
            return word, status
    return None, None


def _resources(usage: Any) -> dict[str, object]:
    from resource import RUSAGE_SELF, getrusage

    unit = 1 if sys.platform == "darwin" else 1024
    is_its_own = usage.ru_maxrss > getrusage(RUSAGE_SELF).ru_maxrss  # it begins as a copy of us: up to our size, it is ours
    return {
        names.CPU_USER: usage.ru_utime,
        names.CPU_SYSTEM: usage.ru_stime,
        names.MEMORY_PEAK: usage.ru_maxrss * unit if is_its_own else None,
        names.BLOCKS_READ: usage.ru_inblock,
        names.BLOCKS_WRITTEN: usage.ru_oublock,
    }


@guarded
def kept_tail(limit: int) -> Tail:
    """What keeps the end of the output."""
    from rota.exec.tail import Tail

    return Tail(limit)


_let_go = guarded(child.let_go)
_keep_standard_numbers = guarded(child.keep_standard_numbers)


@guarded
def _finish_tail(tail: Tail, environment: child.Environment) -> None:
    tail.finish(environment)


def _end_as_interrupted(signals: child.Signals) -> None:
    """Who pressed Ctrl-C wants the loop around us to end too, and a shell ends it for a command that SIGINT ended."""
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    os.kill(os.getpid(), _signal.SIGINT)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, signals.before - {_signal.SIGINT})
