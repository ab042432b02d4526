"""A skipped test fails the run: loaded by `make test` when CI is set (`-p tests.plugin_no_skips`).

On somebody's laptop a test may be skipped by name and reason, because a browser or a kernel feature is missing there.
Where the result decides, a test that did not run is not a test that passed.
"""

from __future__ import annotations

import pytest

_SKIPPED = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_SKIPPED] = []
    config.pluginmanager.register(_Watch(config.stash[_SKIPPED]), "no_skips")


class _Watch:
    def __init__(self, skipped: list[str]) -> None:
        self._skipped = skipped

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self._skipped.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._skipped.append(report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._skipped and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._skipped:
            terminalreporter.section("skipped, and CI is set: the run fails", red=True)
            for nodeid in self._skipped:
                terminalreporter.write_line(nodeid)
