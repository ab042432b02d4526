"""What `rota.testing.capture()` tells of runs and tasks to who tests code that has rota in it."""
# ruff: noqa: PT012  (what is raised by a block has to leave a block)

from __future__ import annotations

import asyncio
import datetime
import sys
import threading

import pytest
from captures import check, load, nightly

import rota
from rota.errors import RotaError
from rota.testing import CapturedRun, CapturedTask, NotCapturedError, capture


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
