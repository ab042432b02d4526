"""Tasks: what they keep, and that nobody notices them."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest
from scripts import Outcome, run_script, version_of

Run = Callable[..., Outcome]


def test_every_kind_of_function_keeps_its_kind_name_and_signature(run: Run) -> None:
    """Functions, methods, coroutines, generators and asynchronous generators stay what they are for `inspect` and `pickle`."""
    outcome = run("""
        import asyncio, inspect, pickle
        import rota
        rota.watch()

        @rota.task
        def plain(a, b: int = 2, *, c=3):
            "Doc."
            return a + b + c

        @rota.task
        async def coroutine(x):
            await asyncio.sleep(0)
            return x

        @rota.task
        def generator(n):
            got = []
            for i in range(n):
                got.append((yield i))
            return got

        @rota.task
        async def stream(n):
            for i in range(n):
                yield i

        class Loader:
            @rota.task
            def method(self, x): return x
            @rota.task
            @classmethod
            def of(cls, x): return cls, x
            @rota.task
            @staticmethod
            def static(x): return x

        assert str(inspect.signature(plain)) == "(a, b: int = 2, *, c=3)"
        assert (plain.__name__, plain.__doc__, plain.__module__) == ("plain", "Doc.", "__main__")
        assert pickle.loads(pickle.dumps(plain)) is plain
        assert inspect.iscoroutinefunction(coroutine)
        assert inspect.isgeneratorfunction(generator) and inspect.isasyncgenfunction(stream)
        assert plain(1) == 6
        assert asyncio.run(coroutine(5)) == 5
        g = generator(2)
        assert (next(g), g.send("x")) == (0, 1)
        try:
            g.send("y")
        except StopIteration as stop:
            assert stop.value == ["x", "y"]
        async def collect(): return [i async for i in stream(3)]
        assert asyncio.run(collect()) == [0, 1, 2]
        assert Loader().method(1) == 1 and Loader.of(2) == (Loader, 2) and Loader.static(3) == 3
    """)
    assert outcome.code == 0, outcome.stderr.decode()
    names = [s["name"] for s in outcome.spans if s["kind"] == 1]
    assert names == ["plain", "coroutine", "generator", "stream", "Loader.method", "Loader.of", "Loader.static"]


def test_tasks_nest_as_they_call_each_other(run: Run) -> None:
    """A task called inside a task is its child; across threads and asyncio tasks each finds its own parent."""
    outcome = run("""
        import asyncio
        import rota
        rota.watch()
        async def leaf(n):
            with rota.task("leaf%d" % n):
                await asyncio.sleep(0.01)
        async def branch(n):
            async with rota.task("branch%d" % n):
                await leaf(n)
        async def main():
            with rota.task("main"):
                await asyncio.gather(branch(1), branch(2))
        asyncio.run(main())
    """)
    spans = {s["name"]: s for s in outcome.spans}
    parent = {name: next((n for n, p in spans.items() if p["spanId"] == s["parentSpanId"]), None) for name, s in spans.items()}
    assert parent == {"job": None, "main": "job", "branch1": "main", "branch2": "main", "leaf1": "branch1", "leaf2": "branch2"}


def test_between_two_items_of_a_generator_its_consumer_is_current(run: Run) -> None:
    """A generator task does not become the parent of what its consumer does."""
    outcome = run("""
        import rota
        rota.watch()
        @rota.task
        def rows():
            for i in range(2):
                with rota.task("inside"):
                    pass
                yield i
        for row in rows():
            with rota.task("outside"):
                pass
    """)
    spans = {s["spanId"]: s["name"] for s in outcome.spans}
    parents = {(s["name"], spans.get(s["parentSpanId"])) for s in outcome.spans}
    assert parents == {("job", None), ("rows", "job"), ("inside", "rows"), ("outside", "job")}


def test_a_failed_task_keeps_its_error_and_lets_it_through(run: Run) -> None:
    """An exception passes unchanged; the span has its type, message and stack."""
    outcome = run("""
        import rota
        rota.watch()
        @rota.task
        def load():
            raise ValueError("row 7")
        try:
            load()
        except ValueError as error:
            assert error.args == ("row 7",) and error.__context__ is None
    """)
    assert outcome.code == 0, outcome.stderr
    span = outcome.spans[0]
    assert span["status"] == {"code": 2, "message": "row 7"}
    assert span["attributes"]["error.type"] == "ValueError"
    assert "raise ValueError" in str(span["events"])
    assert outcome.states() == ["running", "succeeded"]


def test_a_traceback_through_tasks_is_the_traceback_without_them(home, python: str) -> None:  # type: ignore[no-untyped-def]
    """From CPython 3.11 on, an uncaught error's traceback does not even show the wrapper."""
    body = "def load():\n    int('x')\n{wrap}\ndef main():\n    load()\n{wrap2}\nmain()\n"
    with_rota = run_script(
        "import rota; rota.watch()\n" + body.format(wrap="load = rota.task(load)", wrap2="main = rota.task(main)"), home, python
    )
    without = run_script(
        "import os; os.getpid()\n" + body.format(wrap="load = load", wrap2="main = main"), home.parent / "other", python
    )
    assert with_rota.code == without.code == 1
    if version_of(python) >= (3, 11):
        assert with_rota.stderr == without.stderr
    else:
        assert b"ValueError: invalid literal" in with_rota.stderr


def test_facts_are_kept_by_value_and_objects_by_type(run: Run) -> None:
    """`record` keeps plain data exactly, and never calls `repr` or `str` of the user's objects."""
    outcome = run("""
        import datetime, decimal, enum, pathlib
        import rota
        rota.watch()
        class Trap:
            def __repr__(self): raise SystemError("repr was called")
            __str__ = __repr__
            @property
            def __class__(self): raise SystemError("__class__ was read")
        class Level(enum.IntEnum):
            HIGH = 3
        with rota.task("t"):
            rota.record(rows=12, big=2**70, share=0.5, nan=float("nan"), none=None, flag=True)
            rota.record(text="zw\\u00f6lf \\U0001f680", bad="\\ud800x", many=[1, "a", [2]], tree={"a": {"b": 1}})
            rota.record(trap=Trap(), level=Level.HIGH, day=datetime.date(2026, 1, 2), path=pathlib.PurePosixPath("/x"))
            rota.record(**{"huge": "y" * 10_000_000})
    """)
    assert outcome.code == 0, outcome.stderr
    facts = outcome.spans[0]["attributes"]
    assert facts.pop("huge").startswith("yyy")
    assert facts.pop("trap") == "<__main__.Trap>"
    del facts["cicd.pipeline.task.name"]
    assert facts == {
        "rows": 12, "big": float(2**70), "share": 0.5, "nan": "NaN", "text": "zwölf 🚀", "bad": "\ufffdx", "flag": True,
        "level": 3, "day": "2026-01-02", "many": [1, "a", [2]], "tree": {"a": {"b": 1}}, "path": "/x",
    }  # fmt: skip


def test_facts_of_the_run_are_on_its_last_event(run: Run) -> None:
    """Outside a task, `record` belongs to the run."""
    assert run("import rota\nrota.watch()\nrota.record(rows=5)").last["rows"] == 5


def test_watch_observes_named_functions_of_the_script(run: Run) -> None:
    """`watch(tasks=[…])` makes tasks of functions that nobody decorated, by name or pattern."""
    outcome = run("""
        import rota
        def extract(): return 1
        def load_a(): return extract()
        def load_b(): return 2
        def other(): return 3
        if __name__ == "__main__":
            rota.watch(tasks=["extract", "load_*"])
            load_a(), load_b(), other()
    """)
    assert [s["name"] for s in outcome.spans if s["kind"] == 1] == ["extract", "load_a", "load_b"]


def test_a_running_task_is_visible_before_it_ends(run: Run) -> None:
    """The start of a task is an event of its own, and after kill -9 the start is still there."""
    outcome = run("import os\nimport rota\nrota.watch()\nwith rota.task('load'):\n    os._exit(1)")
    (start,) = [e for e in outcome.events if e["event"] == "rota.task.state"]
    assert (start["cicd.pipeline.task.name"], start["rota.task.state"]) == ("load", "running")


def test_starts_of_many_small_tasks_are_not_written_each(run: Run) -> None:
    """Ten thousand small tasks announce a handful of starts."""
    outcome = run("import rota\nrota.watch()\nfor i in range(10_000):\n    with rota.task('small'):\n        pass")
    assert len([e for e in outcome.events if e["event"] == "rota.task.state"]) < 50
    assert len(outcome.spans) == 10_001


@pytest.mark.parametrize("threads", [8])
def test_no_span_is_lost_or_doubled_among_threads(run: Run, threads: int) -> None:
    """Threads that end tasks at the same time lose none and write none twice."""
    outcome = run(f"""
        import threading
        import rota
        rota.watch()
        @rota.task
        def work(): pass
        def many():
            for _ in range(500): work()
        ts = [threading.Thread(target=many) for _ in range({threads})]
        [t.start() for t in ts]; [t.join() for t in ts]
    """)
    assert len({s["spanId"] for s in outcome.spans}) == len(outcome.spans) == threads * 500 + 1


def test_without_a_run_tasks_are_just_calls(run: Run) -> None:
    """Outside a run a task calls its function, and nothing is written."""
    outcome = run("import rota\n@rota.task\ndef f(x): return x\nassert f(3) == 3\nwith rota.task('t'): rota.record(a=1)")
    assert outcome.code == 0
    assert not outcome.home.exists()


def test_a_warning_about_the_caller_names_the_caller(run: Run, python: str) -> None:
    """`warnings` and `logging` with a stacklevel look past the wrapper, as if the task were not there."""
    outcome = run("""
        import logging, sys, warnings
        logging.basicConfig(stream=sys.stdout, format="%(lineno)d %(funcName)s")
        def old():
            warnings.warn("use new", DeprecationWarning, stacklevel=2)
            logging.warning("called", stacklevel=2)
        import rota
        rota.watch(tasks=["old"])
        def caller():
            old()
        caller()
    """)
    line = Path(outcome.home.parent, "job.py").read_text().splitlines().index("def caller():") + 2
    if version_of(python) >= (3, 11):  # before, logging itself did not look past anybody
        assert outcome.stdout == b"%d caller\n" % line
    assert b"job.py:%d: DeprecationWarning: use new\n  old()" % line in outcome.stderr


@pytest.mark.parametrize("last", ["pass", "import os; rota._process.existing().end(); os._exit(0)"], ids=["exit", "_exit"])
def test_what_another_thread_kept_from_the_disk_is_written_later(run: Run, last: str) -> None:
    """Nobody waits for long for a thread that is in the middle of a write; what it had to say is not lost for that."""
    outcome = run(f"""
        import threading
        import rota, rota._process, rota._spool
        rota._spool.BUSY_SECONDS, rota._spool.FLUSH_SPANS = 0.01, 1
        rota.watch()
        traces = rota._process.existing().spool.traces
        is_held, may_go = threading.Event(), threading.Event()
        def hold():
            with traces._busy:
                is_held.set()
                may_go.wait()
        holding = threading.Thread(target=hold)
        holding.start()
        is_held.wait()
        with rota.task("kept waiting"):
            pass
        may_go.set()
        holding.join()
        {last}
    """)
    assert outcome.code == 0, outcome.stderr
    assert sorted(span["name"] for span in outcome.spans) == ["job", "kept waiting"]


def test_threads_that_fill_files_at_the_same_time(run: Run) -> None:
    """While one thread goes on in a new file, no other writes to a descriptor that is closed, or somebody else's by then."""
    outcome = run("""
        import sys, threading
        import rota, rota._spool as spool
        sys.setswitchinterval(1e-6)
        spool.ROTATE_BYTES, spool.KEEP_SPAN_FILES, spool.FLUSH_SPANS = 1_000, 10_000, 1
        rota.watch()
        def work():
            for i in range(200):
                with rota.task("t"):
                    pass
        threads = [threading.Thread(target=work) for _ in range(4)]
        [t.start() for t in threads]
        [t.join() for t in threads]
    """)
    assert outcome.code == 0, outcome.stderr
    assert len(outcome.spans) == len({span["spanId"] for span in outcome.spans}) == 801
