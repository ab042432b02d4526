"""A test session as a run: each test is a task of it. Loaded by ``--rota`` only. Never fails a test.

The process that the user started owns the run and ends it with the exit status. Workers of pytest-xdist find the run in their
environment, as every child process does, and tell of the tests that they run.
"""

from __future__ import annotations

import os

import pytest

from rota import _config, _propagate, _run
from rota._current import enter, leave
from rota._guard import guarded
from rota._process import process
from rota._run import Run
from rota._task import Label, Task, begin, end
from rota._watch import under_exec
from rota.wire import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Generator

_MOST_NAMED = 10  # failed tests named in the run's error
_RANK = {"passed": 1, "skipped": 2, "failed": 3}  # a test is as bad as the worst of its set-up, call and tear-down
_RESULT = {"passed": "success", "skipped": "skip"}  # an error says "failure" itself
_STATUS = {"passed": "pass", "failed": "fail"}  # in the words of the semantic conventions, which know no third


class WatchedSession:
    """The hooks of one session. ``name`` is the workflow's; empty: it is called after the root folder."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._session: pytest.Session | None = None
        self._run: Run | None = None
        self._is_ours = True  # the run: a worker's is not
        self._run_before: Run | None = None
        self._environment: dict[str, str | None] = {}
        self._is_interrupted = False
        self._outcomes: dict[str, str] = {}  # by test
        self._error: BaseException | None = None  # the first of the test that runs

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Begin the run, or join it."""
        self._session = session
        if not session.config.getoption("collectonly", False) and not _config.disabled():
            self._begin(session.config)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, None]:
        """A test, its fixtures included, is a task."""
        opened = begin(Label(item.nodeid)) if self._run is not None else None
        token = enter(opened)
        result = yield
        leave(token)
        if isinstance(opened, Task):
            self._tell(opened, item.nodeid, result.excinfo[1] if result.excinfo else None)
        self._error = None

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[Any]) -> Generator[None, Any, None]:
        """The exception itself, while there is one: a report has its text only."""
        result = yield
        if call.excinfo is not None and result.excinfo is None and result.get_result().failed:
            self._error = self._error or call.excinfo.value

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called where the test runs, and of a worker's tests once more in the process that the user started."""
        if _RANK.get(report.outcome, 0) > _RANK.get(self._outcomes.get(report.nodeid, ""), 0):
            self._outcomes[report.nodeid] = report.outcome

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be collected counts as a test that failed."""
        if report.failed:
            self._outcomes[report.nodeid] = "failed"

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Ctrl-C; not ``pytest.exit()`` and the like, of which pytest tells in the same way."""
        error = excinfo.value
        self._is_interrupted = isinstance(error, KeyboardInterrupt) and not isinstance(error, pytest.Session.Interrupted)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """End the run: no plugin changes the exit status any more."""
        if self._run is not None:
            self._finish(self._run)

    @guarded
    def _begin(self, config: pytest.Config) -> None:
        workflow = self._name or config.rootpath.name + ".tests"
        owner = process(workflow)
        self._environment = {name: os.environ.get(name) for name in ("TRACEPARENT", "BAGGAGE")}
        if hasattr(config, "workerinput"):  # of pytest-xdist
            run_id, workflow = _propagate.inherited_run()
            if not run_id:
                return
            self._is_ours, owner.spool.eager = False, True
            self._run = Run.joined(owner, run_id, workflow, *_propagate.inherited())
        else:
            self._run = run = under_exec(owner, self._name or None) or Run(owner, workflow, "process")
            run.declare({names.NAME_SOURCE: "given" if self._name else "script"})
            run.start()
            owner.at_end = guarded(lambda: run.finish("ended", reason="unseen"))  # should pytest never come to unconfigure
            _propagate.announce(run.trace_id, run.span_id, run.run_id, run.workflow)
        self._run_before = _run.set_process_run(self._run)

    @guarded
    def _tell(self, opened: Task, test: str, stopped_by: BaseException | None) -> None:
        outcome = self._outcomes.get(test, "")
        opened.record({names.TEST_STATUS: _STATUS.get(outcome)})
        error = stopped_by or (self._error if outcome == "failed" else None)
        if error is None:
            opened.record({names.TASK_RESULT: _RESULT.get(outcome, "failure")})
        end(opened, error)

    @guarded
    def _finish(self, run: Run) -> None:
        _run.set_process_run(self._run_before)
        _propagate.put_back(self._environment)
        if not self._is_ours:
            run.owner.spool.flush()
            return
        outcomes = list(self._outcomes.values())
        run.record({outcome: outcomes.count(outcome) for outcome in _RANK})
        status = int(self._session.exitstatus) if self._session is not None else 0
        run.finish(**self._ending(status))

    def _ending(self, status: int) -> dict[str, Any]:
        if not status:
            return {"state": "succeeded", "exit_code": 0}
        if self._is_interrupted:
            return {"state": "cancelled", "exit_code": status, "reason": "interrupt"}
        error = {names.EXCEPTION_TYPE: _type_of(status), names.EXCEPTION_MESSAGE: self._failures()}
        return {"state": "failed", "exit_code": status, "reason": "exit", "error": error}

    def _failures(self) -> str:
        failed = [test for test, outcome in self._outcomes.items() if outcome == "failed"]
        if not failed:
            return ""
        named = ", ".join(failed[:_MOST_NAMED]) + (", …" if len(failed) > _MOST_NAMED else "")
        return "%d of %d failed: %s" % (len(failed), len(self._outcomes), named)


def _type_of(status: int) -> str:
    try:
        return "pytest." + pytest.ExitCode(status).name
    except ValueError:  # a plugin's own
        return "pytest.EXIT_%d" % status
