"""`rota.testing` under every interpreter."""

from __future__ import annotations

from typing import Callable

from scripts import Outcome


def test_capture_works_everywhere_and_leaves_no_trace(run: Callable[..., Outcome]) -> None:
    """On each CPython: runs, tasks, errors, threads and asyncio are captured, all is put back, and nothing is spooled."""
    outcome = run("""
        import asyncio, os, sys, threading
        import rota, rota.testing
        from rota import _run

        @rota.task
        def load():
            rota.record(rows=3, day=None, pair=(1, 2.5))

        @rota.task
        async def fetch(page):
            await asyncio.sleep(0)
            rota.record(page=page)

        async def main():
            await asyncio.gather(fetch(1), fetch(2))

        def tools():
            return [sys.monitoring.get_tool(i) for i in range(6)] if sys.version_info >= (3, 12) else []

        before = dict(os.environ), sys.exit, tools()
        for _ in range(2):
            try:
                with rota.testing.capture() as captured:
                    rota.watch("etl", schedule="every 5m", tags=["a"])
                    load()
                    thread = threading.Thread(target=load)
                    thread.start(), thread.join()
                    asyncio.run(main())
                    with rota.testing.capture() as inner, rota.run("inner"):
                        load()
                    sys.exit(3)
            except SystemExit:
                pass
            run = captured.run("etl")
            assert (run.state, run.exit_code, run.schedule, run.tags) == ("failed", 3, "every 5m", ["a"]), run
            expected = [rota.testing.CapturedTask("load", facts={"rows": 3, "pair": [1, 2.5]})] * 2
            assert captured.tasks[:2] == expected, captured.tasks
            assert sorted(task.facts["page"] for task in captured.tasks[2:]) == [1, 2]
            assert [task.parent.name for task in captured.tasks] == ["etl"] * 4
            assert inner.run("inner").tasks == expected[:1], inner.runs
            assert (dict(os.environ), sys.exit, tools()) == before
            assert _run.process_run() is None
        try:
            with rota.testing.capture():
                rota.watch("etl", tags=5)
        except rota.testing.SwallowedError as error:
            assert type(error.__cause__) is TypeError and "_watch.py:" in str(error)
        else:
            raise AssertionError("nothing was raised")
        print("fine")
    """)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, b"fine\n", b"")
    assert (outcome.events, outcome.spans) == ([], [])
    assert not outcome.home.exists()


def test_a_script_that_is_watched_may_capture(run: Callable[..., Outcome]) -> None:
    """Captured runs are no part of the process's own, which goes on and ends as if nothing had been."""
    outcome = run("""
        import rota, rota.testing
        rota.watch("real")
        with rota.task("around"), rota.testing.capture() as captured:
            rota.watch("captured")
            rota.record(rows=1)
        rota.record(captured=len(captured.runs))
    """)
    assert outcome.states() == ["running", "succeeded"]
    assert (outcome.last["cicd.pipeline.name"], outcome.last["captured"]) == ("real", 1)
    assert [span["name"] for span in outcome.spans] == ["around", "real"]
