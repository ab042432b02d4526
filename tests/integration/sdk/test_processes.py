"""Whose run is it: forks, multiprocessing of every kind, subprocesses, and runs inside a process."""

from __future__ import annotations

from typing import Callable

import pytest
from scripts import Outcome

Run = Callable[..., Outcome]

WORKERS = """
    import multiprocessing, sys
    import rota
    rota.watch("parent")

    @rota.task
    def square(x):
        return x * x

    if __name__ == "__main__":
        context = multiprocessing.get_context({method!r})
        {body}
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize(
    "body",
    [
        "with context.Pool(2) as pool: assert pool.map(square, [1, 2, 3]) == [1, 4, 9]",
        "p = context.Process(target=square, args=(3,)); p.start(); p.join()",
    ],
    ids=["pool", "process"],
)
def test_work_in_other_processes_belongs_to_the_one_run(run: Run, method: str, body: str) -> None:
    """Tasks run in workers of any start method are spans of the parent's run, and only the parent ends it."""
    outcome = run(WORKERS.format(method=method, body=body))
    assert outcome.code == 0, outcome.stderr
    assert outcome.states() == ["running", "succeeded"]
    tasks = [s for s in outcome.spans if s["name"] == "square"]
    assert len(tasks) == (3 if "pool" in body else 1)
    root = next(s for s in outcome.spans if s["name"] == "parent")
    assert {s["traceId"] for s in tasks} == {root["traceId"]}
    assert {s["parentSpanId"] for s in tasks} == {root["spanId"]}
    assert len({s["spanId"] for s in outcome.spans}) == len(outcome.spans)


@pytest.mark.parametrize("ending", ["os._exit(5)", "sys.exit(5)", "1 / 0"])
def test_a_forked_child_never_ends_its_parents_run(run: Run, ending: str) -> None:
    """However a forked child ends, the run ends once, when its owner does."""
    outcome = run(f"""
        import os, sys
        import rota
        rota.watch()
        if os.fork() == 0:
            with rota.task("in the child"):
                pass
            {ending}
        os.wait()
    """)
    assert outcome.code == 0
    assert outcome.states() == ["running", "succeeded"]
    assert outcome.last["rota.run.state"] == "succeeded"
    assert [s["name"] for s in outcome.spans].count("in the child") == 1


def test_a_fork_waits_for_what_other_threads_import_of_ours(run: Run) -> None:
    """A child is not left with the lock of a module that another thread was about to import: it would wait for ever."""
    outcome = run(
        """
        import os, signal, sys, threading, time
        import rota
        rota.watch()
        class Slow:
            def find_spec(self, name, path=None, target=None):
                if name == "rota._task":
                    time.sleep(0.5)
        sys.meta_path.insert(0, Slow())
        threading.Thread(target=lambda: rota.task("in a thread")).start()
        time.sleep(0.1)
        child = os.fork()
        if not child:
            with rota.task("in the child"):
                pass
            os._exit(0)
        deadline = time.monotonic() + 10
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
            time.sleep(0.01)
        assert ended == (child, 0), ended
    """,
        flags=("-W", "ignore"),
    )
    assert outcome.code == 0, outcome.stderr
    assert [s["name"] for s in outcome.spans].count("in the child") == 1


def test_spans_that_wait_at_a_fork_are_written_once(run: Run) -> None:
    """A fork writes what waits first, so that a child does not write it again."""
    outcome = run("""
        import os
        import rota
        rota.watch()
        with rota.task("before"):
            pass
        if os.fork() == 0:
            os._exit(0)
        os.wait()
    """)
    assert [s["name"] for s in outcome.spans].count("before") == 1


@pytest.mark.parametrize("imported", ["os", "multiprocessing", "concurrent.futures.process"])
def test_a_script_started_by_a_run_is_a_child_run(run: Run, imported: str) -> None:
    """A watched subprocess is a run of its own, in the trace of its parent and naming it; also when it could have workers."""
    outcome = run(f"""
        import {imported}, subprocess, sys
        import rota
        if len(sys.argv) > 1:
            rota.watch("child")
        else:
            rota.watch("parent")
            subprocess.run([sys.executable, __file__, "child"], check=True)
    """)
    parent = next(e for e in outcome.events if e["cicd.pipeline.name"] == "parent")
    child = next(e for e in outcome.events if e["cicd.pipeline.name"] == "child")
    assert child["rota.run.parent.id"] == parent["cicd.pipeline.run.id"] != child["cicd.pipeline.run.id"]
    assert child["traceId"] == parent["traceId"]
    spans = {s["name"]: s for s in outcome.spans}
    assert spans["child"]["parentSpanId"] == spans["parent"]["spanId"]


def test_it_joins_an_inherited_trace(run: Run) -> None:
    """TRACEPARENT from outside gives the run its trace and its root span a parent."""
    outcome = run("import rota\nrota.watch()", environment={"TRACEPARENT": "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"})
    assert outcome.spans[0]["traceId"] == "ab" * 16
    assert outcome.spans[0]["parentSpanId"] == "cd" * 8


@pytest.mark.parametrize(
    "bad", ["", "nonsense", "00-" + "0" * 32 + "-" + "cd" * 8 + "-01", "ff-" + "ab" * 16 + "-" + "cd" * 8 + "-01"]
)
def test_a_malformed_traceparent_is_ignored(run: Run, bad: str) -> None:
    """A trace context that the W3C forbids starts a trace of our own, whose id is the run's."""
    outcome = run("import rota\nrota.watch()", environment={"TRACEPARENT": bad})
    assert outcome.spans[0]["traceId"] == outcome.last["cicd.pipeline.run.id"].replace("-", "")


def test_runs_inside_a_process_are_runs_of_their_own(run: Run) -> None:
    """`rota.run` makes runs inside a long-lived process, as block and as decorator, and leaves the environment alone."""
    outcome = run("""
        import os
        import rota
        before = dict(os.environ)

        @rota.run("poll")
        def poll(n):
            rota.record(polled=n)
            with rota.task("read"):
                return n

        assert [poll(1), poll(2)] == [1, 2]
        try:
            with rota.run("sync"):
                raise KeyError("x")
        except KeyError:
            pass
        assert dict(os.environ) == before
    """)
    assert outcome.code == 0, outcome.stderr
    ends = [
        (e["cicd.pipeline.name"], e["rota.run.state"])
        for e in outcome.events
        if e["event"] == "rota.run.state" and e["rota.run.state"] != "running"
    ]
    assert ends == [("poll", "succeeded"), ("poll", "succeeded"), ("sync", "failed")]
    assert len({e["cicd.pipeline.run.id"] for e in outcome.events}) == 3
    assert [e["polled"] for e in outcome.events if "polled" in e] == [1, 2]


def test_a_second_watch_is_the_same_run(run: Run) -> None:
    """`watch()` called again, as by a library, returns the run there is."""
    outcome = run("import rota\na = rota.watch('one')\nb = rota.watch('two')\nassert a is b")
    assert outcome.code == 0
    assert outcome.states() == ["running", "succeeded"]


def test_the_name_comes_from_argument_environment_or_script(run: Run, python: str) -> None:
    """Argument beats ROTA_WORKFLOW beats the script's file name."""
    assert run("import rota\nrota.watch()", name="backup.py").last["cicd.pipeline.name"] == "backup"


def test_the_environment_names_a_workflow(run: Run) -> None:
    """ROTA_WORKFLOW names the workflow when the code does not."""
    assert (
        run("import rota\nrota.watch()", environment={"ROTA_WORKFLOW": "etl.nightly"}).last["cicd.pipeline.name"] == "etl.nightly"
    )


@pytest.mark.parametrize("variable", ["ROTA_DISABLED=1", "OTEL_SDK_DISABLED=true"])
def test_disabled_it_does_nothing_at_all(run: Run, variable: str) -> None:
    """Turned off, every call is a no-op and no file is made."""
    name, _, value = variable.partition("=")
    outcome = run(
        "import rota\nrota.watch()\nwith rota.task('x'): rota.record(a=1)\nwith rota.run('y'): pass\n"
        "print(rota.current(), rota.traceparent())",
        environment={name: value},
    )
    assert outcome.stdout == b"None None\n"
    assert not outcome.home.exists()
