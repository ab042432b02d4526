"""What `rota.testing.capture()` promises to who tests code that has rota in it."""
# ruff: noqa: PT012  (what is raised by a block has to leave a block)

from __future__ import annotations

import asyncio
import datetime
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import rota
from rota import _config, _guard, _process, _run
from rota._current import current
from rota.errors import RotaError
from rota.testing import Captured, CapturedRun, CapturedTask, NotCapturedError, SwallowedError, capture


@rota.task
def load(rows: int = 3) -> None:
    rota.record(rows=rows)


@rota.task("check")
def check() -> None:
    raise ValueError("row 7 has no price")


def nightly() -> None:
    """A script as users write them."""
    rota.watch("etl.nightly", schedule="0 2 * * *", tz="Europe/Berlin", grace="15m", max_duration="2h", tags=["finance"])
    with rota.task("extract"):
        load()
    rota.record(day="2026-01-01")


def test_a_run_is_captured_with_all_that_was_said_of_it():
    """Name, state, facts, tags and the declared schedule are plain attributes."""
    with capture() as captured:
        nightly()
    run = captured.run("etl.nightly")
    assert (run.name, run.workflow, run.state, run.exit_code) == ("etl.nightly", "etl.nightly", "succeeded", 0)
    assert run.facts == {"day": "2026-01-01"}
    assert run.tags == ["finance"]
    assert (run.schedule, run.tz, run.grace, run.max_duration) == ("0 2 * * *", "Europe/Berlin", "15m", "2h")
    assert (run.scope, run.parent, run.error_type, run.error_message) == ("process", None, None, None)


def test_tasks_are_in_the_order_of_their_start_and_know_what_they_ran_in():
    """A task called in a task has it as its parent; the outer one's is the run."""
    with capture() as captured:
        nightly()
    assert [task.name for task in captured.tasks] == ["extract", "load"]
    extract, inner = captured.tasks
    assert inner.parent is extract
    assert extract.parent is inner.run is extract.run
    assert extract.run == captured.run()
    assert captured.run().tasks == captured.tasks


def test_a_task_that_fails_has_its_error():
    """Type, message and stack of what was raised are kept, and it is raised all the same."""
    with capture() as captured:
        rota.watch("etl")
        with pytest.raises(ValueError, match="row 7"):
            check()
    task = captured.task("check")
    assert (task.state, task.error_type, task.error_message) == ("failed", "ValueError", "row 7 has no price")
    assert task.error_stack is not None
    assert "in check" in task.error_stack
    assert captured.run().state == "succeeded"


@pytest.mark.parametrize(
    ("leaving", "state", "exit_code", "error_type"),
    [
        (ValueError("no rows"), "failed", 1, "ValueError"),
        (SystemExit(3), "failed", 3, None),
        (SystemExit(), "succeeded", 0, None),
        (SystemExit("no rows"), "failed", 1, "SystemExit"),
        (KeyboardInterrupt(), "cancelled", 130, None),
    ],
    ids=["error", "exit 3", "exit", "exit text", "ctrl-c"],
)
def test_the_block_ends_the_run_as_the_process_would(leaving, state, exit_code, error_type):
    """What leaves the block is what would have ended the script."""
    with pytest.raises(type(leaving)), capture() as captured:
        rota.watch("etl")
        raise leaving
    run = captured.run("etl")
    assert (run.state, run.exit_code, run.error_type) == (state, exit_code, error_type)


def test_an_open_run_can_be_looked_at():
    """Inside the block the run is running, has no end, and has the facts recorded so far."""
    with capture() as captured:
        rota.watch("etl")
        rota.record(rows=3)
        run = captured.run("etl")
        assert (run.state, run.facts, run.ended_ns, run.duration_seconds) == ("running", {"rows": 3}, None, None)
    ended = captured.run("etl")
    assert ended.duration_seconds is not None
    assert ended.duration_seconds >= 0
    assert ended.ended_ns == ended.started_ns + round(ended.duration_seconds * 1e9)


def test_inner_runs_have_the_run_that_they_are_in_as_their_parent():
    """`rota.run` inside `watch()`, and alone."""
    with capture() as captured:
        with rota.run("alone"):
            rota.record(pages=1)
        rota.watch("service")
        with pytest.raises(OSError, match="gone"), rota.run("sync"):
            raise OSError("gone")
    assert captured.runs == [
        CapturedRun("alone", facts={"pages": 1}),
        CapturedRun("service"),
        CapturedRun("sync", "failed", error_type="OSError", error_message="gone"),
    ]
    assert captured.run("sync").parent == captured.run("service")
    assert captured.run("alone").parent is None


def test_equal_are_those_that_say_the_same():
    """Two executions are equal unless name, state, facts or error differ: ids and times are left out."""
    with capture() as first:
        nightly()
    with capture() as second:
        nightly()
    assert first.runs == second.runs
    assert first.tasks == second.tasks == [CapturedTask("extract"), CapturedTask("load", facts={"rows": 3})]
    assert CapturedTask("load", facts={"rows": 3}) != CapturedTask("load", facts={"rows": 4})
    assert CapturedTask("load") != CapturedTask("load", "failed")


def test_a_repr_is_one_short_line():
    """What pytest shows of a failed comparison tells name, state, error, facts and parent."""
    with capture() as captured:
        rota.watch("etl")
        load(rows=4)
        with pytest.raises(ValueError, match="row 7"):
            check()
    assert repr(captured.tasks) == (
        "[<load succeeded rows=4 in etl>, <check failed ValueError('row 7 has no price') in etl>]"
    )  # fmt: skip
    assert repr(captured.run()) == "<etl succeeded>"


def test_asking_for_what_is_not_there_tells_what_is():
    """The error is a failed assertion that names what was wanted and shows what was captured."""
    with capture() as captured:
        with pytest.raises(NotCapturedError, match="wanted one run, found 0. Captured: nothing"):
            captured.run()
        nightly()
        with pytest.raises(NotCapturedError, match=r"(?s)wanted one task 'lode', found 0.*<load succeeded rows=3 in extract>"):
            captured.task("lode")
        load()
        with pytest.raises(NotCapturedError, match="wanted one task 'load', found 2"):
            captured.task("load")
    assert issubclass(NotCapturedError, AssertionError)
    assert issubclass(NotCapturedError, RotaError)


def test_facts_are_what_a_collector_would_get():
    """Values are captured as they travel: dates as text, tuples as lists, other objects by their type, which is never asked."""

    class Secret:
        def __repr__(self) -> str:
            raise AssertionError("asked")

    with capture() as captured, rota.run("facts"):
        rota.record(n=1, x=1.5, ok=True, none=None, day=datetime.date(2026, 1, 2), pair=(1, "a"), of={"a": [1]}, thing=Secret())
    assert captured.run().facts == {
        "n": 1, "x": 1.5, "ok": True, "day": "2026-01-02", "pair": [1, "a"], "of": {"a": [1]},
        "thing": f"<{__name__}.{Secret.__qualname__}>",
    }  # fmt: skip


def test_a_task_that_is_cancelled_or_left_by_exit_did_not_succeed():
    """A task's state says what its result does."""

    async def main() -> None:
        with rota.task("waits"):
            await asyncio.wait_for(asyncio.sleep(60), timeout=0.001)

    with capture() as captured:
        rota.watch("etl")
        with pytest.raises(asyncio.TimeoutError):
            asyncio.run(main())
        with pytest.raises(KeyboardInterrupt), rota.task("interrupted"):
            raise KeyboardInterrupt
        with pytest.raises(SystemExit), rota.task("exits"):
            sys.exit(2)
    assert [task.state for task in captured.tasks] == ["failed", "cancelled", "failed"]


def test_threads_and_asyncio_tasks_are_captured():
    """Each finds the run of the block, and its own parent."""

    async def both() -> None:
        with rota.task("gather"):
            await asyncio.gather(work("a"), work("b"))

    @rota.task
    async def work(name: str) -> None:
        await asyncio.sleep(0)
        rota.record(name=name)

    with capture() as captured:
        rota.watch("etl")
        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        asyncio.run(both())
    assert [task.parent for task in captured.tasks if task.name == "load"] == [captured.run()] * 4
    inner = [task for task in captured.tasks if task.name.endswith("work")]
    assert sorted(task.facts["name"] for task in inner) == ["a", "b"]
    assert [task.parent.name for task in inner] == ["gather", "gather"]


def test_everything_is_put_back(monkeypatch):
    """Environment, process, run, current place and `sys.exit` are after the block what they were before."""
    monkeypatch.setenv("TRACEPARENT", "00-" + "1" * 32 + "-" + "2" * 16 + "-01")
    monkeypatch.setenv("BAGGAGE", "a=1")
    monkeypatch.setenv("ROTA_WORKFLOW", "outer")

    def state() -> tuple[object, ...]:
        here = (_process.existing(), _run.process_run(), current(), _guard._listener, _config.is_captured)
        return (dict(os.environ), sys.exit, *here)

    before = state()
    with capture() as captured:
        nightly()
        assert os.environ["TRACEPARENT"] == rota.traceparent()
    with pytest.raises(OSError, match="gone"), capture():
        rota.watch("other")
        raise OSError("gone")
    assert state() == before
    assert captured.run().trace_id != "1" * 32


def test_who_runs_the_tests_changes_nothing(monkeypatch):
    """Neither an inherited trace, nor a name, nor that rota is turned off in the environment reaches the block."""
    monkeypatch.setenv("TRACEPARENT", "00-" + "1" * 32 + "-" + "2" * 16 + "-01")
    monkeypatch.setenv("BAGGAGE", "rota.run.id=0198c0de-0000-7000-8000-000000000000,rota.workflow=outer")
    monkeypatch.setenv("ROTA_WORKFLOW", "outer")
    monkeypatch.setenv("ROTA_DISABLED", "1")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setattr(sys, "argv", ["/opt/backup.py"])
    with capture() as captured:
        rota.watch()
    assert (captured.run().name, captured.run().parent_run_id) == ("backup", None)
    assert captured.run().trace_id == captured.run().run_id.replace("-", "")


def test_rota_can_be_turned_off_inside(monkeypatch):
    """How code behaves without rota is tested with the setting, as ever."""
    with capture() as captured:
        monkeypatch.setenv("ROTA_DISABLED", "1")
        assert rota.watch("etl") is None
        load()
    assert captured.runs == captured.tasks == []


def test_no_file_and_no_connection_is_made(monkeypatch, tmp_path):
    """All that is told stays in memory, errors too."""
    monkeypatch.setenv("ROTA_HOME", str(tmp_path / "home"))
    touched: list[tuple[str, tuple[object, ...]]] = []
    is_on = [True]

    def hear(event: str, args: tuple[object, ...]) -> None:
        if is_on and (event.startswith("socket.") or (event in ("open", "os.mkdir") and "home" in str(args[0]))):
            touched.append((event, args))

    sys.addaudithook(hear)
    with pytest.raises(SwallowedError), capture():
        nightly()
        _guard.note("here", OSError("gone"))
    is_on.clear()
    assert touched == []
    assert not (tmp_path / "home").exists()


def test_child_processes_report_nowhere(tmp_path):
    """A script that the code under test starts is told that rota is off."""
    source = "import rota; print(rota.watch('child'))"
    with capture() as captured:
        rota.watch("parent")
        environment = {**os.environ, "ROTA_HOME": str(tmp_path / "home"), "PYTHONPATH": str(Path(rota.__file__).parents[1])}
        done = subprocess.run([sys.executable, "-c", source], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"
    assert not (tmp_path / "home").exists()
    assert [run.name for run in captured.runs] == ["parent"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_writes_nothing(tmp_path, monkeypatch):
    """What a forked child tells is lost with it: no file, and no line of the parent's told twice."""
    monkeypatch.setenv("ROTA_HOME", str(tmp_path / "home"))
    with capture() as captured:
        rota.watch("etl")
        load()
        pid = os.fork()
        if pid == 0:
            load()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    assert [task.name for task in captured.tasks] == ["load"]
    assert not (tmp_path / "home").exists()


def test_blocks_nest():
    """The innermost block captures; then the outer one goes on where it was, inside its task."""
    with capture() as outer:
        rota.watch("outer")
        with rota.task("around"):
            with capture() as inner:
                rota.watch("inner")
                load(rows=1)
            load(rows=2)
    assert (inner.runs, inner.tasks) == ([CapturedRun("inner")], [CapturedTask("load", facts={"rows": 1})])
    assert inner.run().parent_run_id is None
    assert (outer.run(), outer.tasks[1]) == (CapturedRun("outer"), CapturedTask("load", facts={"rows": 2}))
    assert outer.tasks[1].parent == outer.task("around")


def test_a_process_block_is_one_more_start_of_the_script():
    """Each block is a run of its own, ended as it is left; what is told outside it is of the first process."""
    with capture() as captured:
        with captured.process():
            nightly()
        with pytest.raises(SystemExit), captured.process():
            nightly()
            sys.exit(4)
        rota.watch("after")
    assert [(run.name, run.state, run.exit_code) for run in captured.runs] == [
        ("etl.nightly", "succeeded", 0),
        ("etl.nightly", "failed", 4),
        ("after", "succeeded", 0),
    ]


def test_a_second_watch_returns_the_run_there_is():
    """`watch()` in a block behaves as in a process."""
    with capture() as captured:
        assert rota.watch("etl") is rota.watch("etl")
    assert len(captured.runs) == 1


def test_a_task_that_outlives_the_block_harms_nobody():
    """A thread that ends later tells the block that it began in."""
    go, done = threading.Event(), threading.Event()

    def work() -> None:
        with rota.task("late"):
            done.set()
            go.wait()

    with capture() as captured:
        rota.watch("etl")
        thread = threading.Thread(target=work)
        thread.start()
        done.wait()
    assert captured.tasks == []
    go.set()
    thread.join()
    assert captured.task("late").run == captured.run("etl")


def test_what_rota_swallows_is_raised_at_the_end_of_the_block():
    """A call that rota survived in silence fails the test: the error names where and what, and has the error as its cause."""
    with pytest.raises(SwallowedError) as raised, capture() as captured:
        assert rota.watch("etl", tags=5) is None  # type: ignore[arg-type]
    assert isinstance(raised.value.__cause__, TypeError)
    assert "watch: TypeError: 'int' object is not iterable (_watch.py:" in str(raised.value)
    assert isinstance(raised.value, (AssertionError, RotaError))
    assert [where for where, _ in captured.swallowed] == ["watch"]


def test_what_rota_swallows_in_a_thread_is_raised_too():
    """The block answers for all threads."""
    with pytest.raises(SwallowedError, match="thread"), capture():
        thread = threading.Thread(target=_guard.note, args=("thread", OSError("gone")))
        thread.start()
        thread.join()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="needs notes of exceptions")
def test_an_error_of_the_block_itself_comes_first():
    """What leaves the block is not replaced; what was swallowed is a note on it."""
    with pytest.raises(OSError, match="gone") as raised, capture():
        _guard.note("here", ValueError("swallowed"))
        raise OSError("gone")
    assert "here: ValueError: swallowed" in "".join(raised.value.__notes__)


def test_check_looks_for_swallowed_errors_at_once():
    """A test may ask before its end."""
    captured = Captured()
    captured.check()
    captured.swallowed.append(("here", ValueError("row 7")))
    with pytest.raises(SwallowedError, match="here: ValueError: row 7"):
        captured.check()


def test_importing_rota_does_not_import_its_testing():
    """A script pays nothing for it."""
    source = "import sys, rota; rota.watch, rota.task, rota.run; print(sys.modules.keys() & {'rota.testing', 'rota._captured'})"
    environment = {**os.environ, "PYTHONPATH": str(Path(rota.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-S", "-c", source], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
