"""The pytest plugin, as a project that has rota and pytest installed meets it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from scripts import Outcome, read_back

from rota.wire import names

pytest_plugins = ["pytester"]

TESTS = """
import pytest, rota

@rota.task
def load():
    rota.record(rows=3)

@pytest.fixture
def broken():
    yield
    raise OSError("tear-down")

def test_passes():
    load()

def test_fails():
    raise ValueError("row 7")

@pytest.mark.skip(reason="not now")
def test_skipped(): ...

def test_torn_down(broken): ...

@pytest.mark.xfail
def test_known(): raise KeyError
"""


@pytest.fixture
def home(pytester, monkeypatch) -> Path:
    """A home that does not exist yet, for the sessions below; nobody to deliver to."""
    for name in ("ROTA_WORKFLOW", "ROTA_DISABLED", "TRACEPARENT", "BAGGAGE", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AGENT": "off",
        "DETACH": "off",
        "ENDPOINT": "http://127.0.0.1:1",
        "HOME": str(pytester.path / "h"),
    }.items():
        monkeypatch.setenv("ROTA_" + name, value)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # those of this project take two seconds in each session
    monkeypatch.setenv("PYTEST_PLUGINS", "rota._pytest")
    return pytester.path / "h"


@pytest.fixture
def session(pytester, home):
    """Runs pytest on ``source`` in a process of its own; what rota kept of it, and pytest's result."""

    def call(source: str, *args: str) -> tuple[Outcome, pytest.RunResult]:
        pytester.makepyfile(test_it=source)
        result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *args)
        outcome = read_back(Outcome(int(result.ret), b"", b"", home))
        assert outcome.errors == ""
        return outcome, result

    return call


def tasks_of(outcome: Outcome) -> dict[str, dict[str, Any]]:
    """Spans of tasks, by the task's name without the file's."""
    return {span["name"].partition("::")[2] or span["name"]: span for span in outcome.spans if span["kind"] == 1}


def test_unasked_the_plugin_does_nothing(session, monkeypatch):
    """Pytest finds it; without the option nothing is spooled, and nothing of rota is imported but the plugin's own small file."""
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    monkeypatch.delenv("PYTEST_PLUGINS")
    source = "import sys\ndef test(): assert sorted(n for n in sys.modules if n.startswith('rota')) == ['rota', 'rota._pytest']"
    outcome, result = session(source)
    result.assert_outcomes(passed=1)
    assert not outcome.home.exists()


def test_the_fixture_captures(session):
    """`rota_runs` is what `rota.testing.capture()` gives, for one test."""
    outcome, result = session("""
        import pytest, rota
        @pytest.mark.parametrize("n", [1, 2])
        def test_one(rota_runs, n):
            rota.watch("etl")
            rota.record(n=n)
            assert [run.facts for run in rota_runs.runs] == [{"n": n}]
        def test_none():
            assert rota.current() is None
    """)
    result.assert_outcomes(passed=3)
    assert not outcome.home.exists()


def test_what_is_swallowed_fails_the_test_that_caused_it(session):
    """The test's tear-down is in error, which names where and what; other tests are not."""
    _, result = session("""
        import rota
        def test_fine(rota_runs): rota.watch("etl", tags=["a"])
        def test_wrong(rota_runs): rota.watch("etl", tags=5)
        def test_fine_again(rota_runs): rota.watch("etl")
    """)
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(
        ["*ERROR at teardown of test_wrong*", "*watch: TypeError: 'int' object is not iterable (_watch.py:*"]
    )


def test_a_session_is_a_run(session):
    """With --rota the session is a run named after its folder; it ends with pytest's exit status, what failed, and counts."""
    outcome, result = session(TESTS, "--rota")
    result.assert_outcomes(passed=2, failed=1, skipped=1, errors=1, xfailed=1)
    assert outcome.states() == ["running", "failed"]
    assert outcome.last[names.WORKFLOW] == outcome.home.parent.name + ".tests"
    assert (outcome.last[names.PROCESS_EXIT_CODE], outcome.last[names.ERROR_TYPE]) == (1, "pytest.TESTS_FAILED")
    assert outcome.last[names.EXCEPTION_MESSAGE] == "2 of 5 failed: test_it.py::test_fails, test_it.py::test_torn_down"
    assert [outcome.last[count] for count in ("passed", "failed", "skipped")] == [1, 2, 2]


def test_each_test_is_a_task_with_its_outcome(session):
    """Passed, failed with the exception, in its call or its tear-down, skipped; what the test calls is below it."""
    outcome, _ = session(TESTS, "--rota")
    tasks = tasks_of(outcome)
    results = {name: task["attributes"].get(names.TASK_RESULT) for name, task in tasks.items() if name != "load"}
    assert results == {
        "test_passes": "success", "test_fails": None, "test_skipped": "skip", "test_torn_down": None, "test_known": "skip",
    }  # fmt: skip
    raised = {name: task["events"][0]["attributes"] for name, task in tasks.items() if "status" in task}
    assert {name: [pair["value"]["stringValue"] for pair in pairs[:2]] for name, pairs in raised.items()} == {
        "test_fails": ["ValueError", "row 7"],
        "test_torn_down": ["OSError", "tear-down"],
    }
    assert tasks["test_passes"]["attributes"][names.TEST_STATUS] == "pass"
    assert tasks["test_fails"]["attributes"][names.TEST_STATUS] == "fail"
    assert tasks["load"]["parentSpanId"] == tasks["test_passes"]["spanId"]
    assert tasks["load"]["attributes"]["rows"] == 3


@pytest.mark.parametrize(
    ("source", "args", "state", "code"),
    [
        ("def test(): pass", [], "succeeded", 0),
        ("", [], "failed", 5),
        ("def test(): raise KeyboardInterrupt", [], "cancelled", 2),
        ("import pytest\ndef test(): pytest.exit('enough', returncode=7)", [], "failed", 7),
        ("1 / 0", [], "failed", 2),
        ("def test(): pass", ["missing.py"], "failed", 4),
    ],
    ids=["passed", "no tests", "ctrl-c", "pytest.exit", "not collected", "usage"],
)
def test_the_run_ends_as_the_session_does(session, source, args, state, code):
    """State and exit status are pytest's, however it ends."""
    outcome, result = session(source, "--rota", *args)
    assert result.ret == code
    assert outcome.states() == ["running", state]
    assert outcome.last[names.PROCESS_EXIT_CODE] == code


def test_the_name_is_the_users(session):
    """`--rota-name` names the workflow, for all hosts."""
    outcome, _ = session("def test(): pass", "--rota", "--rota-name", "shop.tests")
    assert outcome.last[names.WORKFLOW] == "shop.tests"
    assert outcome.events[0][names.NAME_SOURCE] == "given"


def test_the_configuration_file_asks_too(session, pytester):
    """`rota` and `rota_name` in the ini file are the options."""
    pytester.makeini("[pytest]\nrota = true\nrota_name = shop")
    outcome, _ = session("def test(): pass")
    assert (outcome.states(), outcome.last[names.WORKFLOW]) == (["running", "succeeded"], "shop")


def test_a_watched_session_may_capture(session):
    """What the fixture captures is not told of as part of the session; a `watch()` without it is the session's run."""
    outcome, result = session(
        """
        import rota
        def test_captured(rota_runs):
            rota.watch("etl")
            with rota.task("load"): pass
            assert rota_runs.run().parent is None
        def test_not_captured():
            rota.watch("etl")
            with rota.task("seen"): pass
        """,
        "--rota",
    )
    result.assert_outcomes(passed=2)
    assert {span["name"] for span in outcome.spans} & {"load", "seen"} == {"seen"}
    assert len({event[names.RUN_ID] for event in outcome.events}) == 1


def test_workers_tell_of_their_tests(session, monkeypatch):
    """Under pytest-xdist there is one run, with the tests of all workers, and their number."""
    pytest.importorskip("xdist")
    monkeypatch.setenv("PYTEST_PLUGINS", "rota._pytest,xdist.plugin")
    outcome, result = session(TESTS, "--rota", "-n", "2")
    assert result.ret == 1
    assert outcome.states() == ["running", "failed"]
    assert [outcome.last[count] for count in ("passed", "failed", "skipped")] == [1, 2, 2]
    root = next(span["spanId"] for span in outcome.spans if span["kind"] == 2)
    tests = [task for name, task in tasks_of(outcome).items() if name.startswith("test_")]
    assert len(tests) == 5
    assert {task["parentSpanId"] for task in tests} == {root}


@pytest.mark.parametrize("setting", ["ROTA_DISABLED", "--collect-only"])
def test_nothing_is_told_when_nothing_is_to_be_told(session, setting, monkeypatch):
    """Rota turned off, or tests only listed: no run."""
    if setting == "ROTA_DISABLED":
        monkeypatch.setenv(setting, "1")
    outcome, result = session("def test(): pass", "--rota", *([setting] if setting.startswith("--") else []))
    assert result.ret == 0
    assert not outcome.home.exists()


def test_a_session_never_fails_because_of_rota(pytester, home):
    """With a home that cannot be made, the tests run as ever."""
    home.write_text("a file")
    pytester.makepyfile("def test(): pass")
    result = pytester.runpytest_subprocess("--rota", "-W", "error")
    result.assert_outcomes(passed=1)
    assert (result.ret, result.stderr.str()) == (0, "")


def test_a_session_inside_a_process_puts_everything_back(pytester, home):
    """Two sessions in one process (an editor's) are two runs, and leave environment and process as they were."""
    pytester.makepyfile(test_it="def test(): pass")
    script = pytester.makepyfile(
        twice="""
        import os, pytest, rota
        before = dict(os.environ)
        codes = [pytest.main(["-q", "--rota", "test_it.py"]) for _ in range(2)]
        assert codes == [0, 0]
        assert rota.current() is None
        changed = {k for k in {**os.environ, **before} if os.environ.get(k) != before.get(k)}
        assert not changed & {"TRACEPARENT", "BAGGAGE"}
        """
    )
    done = pytester.run(sys.executable, script)
    assert done.ret == 0
    outcome = read_back(Outcome(0, b"", b"", home))
    assert outcome.states() == ["running", "succeeded"] * 2
    assert len({event[names.RUN_ID] for event in outcome.events}) == 2
