"""A block of `rota.testing.capture()`: it leaves nothing behind, can stand in another, and says what rota swallowed in it."""
# ruff: noqa: PT012  (what is raised by a block has to leave a block)

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from captures import load, nightly

import rota
from rota import _config, _guard, _process, _run
from rota._current import current
from rota.errors import RotaError
from rota.testing import Captured, CapturedRun, CapturedTask, SwallowedError, capture


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
