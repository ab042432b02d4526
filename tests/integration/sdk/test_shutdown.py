"""The last moments of a program, and programs that change what everybody uses: atexit, threads, gc, replaced functions."""

from __future__ import annotations

import socket
from typing import Callable

import pytest
from scripts import EXTREMES, Outcome

Run = Callable[..., Outcome]

TO_THE_END = ["running", "succeeded"]


def test_handlers_of_the_program_run_as_they_would(same: Run) -> None:
    """Handlers registered before and after `watch()` keep their order, their tasks and what they raise; the exit status stays."""
    outcome = same("""
        import atexit, sys
        import rota
        def handler(name, leave=None):
            with rota.task(name):
                print(name)
            if leave:
                raise leave
        def exits():
            raise SystemExit(9)  # until CPython 3.10, `sys.exit` would show the frame of ours around it: see test_endings
        atexit.register(handler, "older")
        atexit.register(handler, "older, and raises", ValueError("at the end"))
        rota.watch()
        atexit.register(handler, "younger")
        atexit.register(handler, "younger, and raises", ValueError("at the end"))
        atexit.register(exits)
        sys.exit(3)
    """)
    assert (outcome.code, outcome.errors, outcome.states()) == (3, "", ["running", "failed"])
    names = [span["name"] for span in outcome.spans]
    assert {"older", "older, and raises", "younger", "younger, and raises"} < set(names)
    assert len(names) == len(set(names))


def test_threads_that_outlive_the_end(same: Run) -> None:
    """Daemon threads in the middle of tasks when the interpreter goes neither print nor hang nor harm what was written."""
    outcome = same("""
        import threading, time
        import rota
        rota.watch()
        def for_ever():
            while True:
                with rota.task("daemon"):
                    rota.record(rows=1)
        for _ in range(4):
            threading.Thread(target=for_ever, daemon=True).start()
        time.sleep(0.05)
        print("work done")
    """)
    assert (outcome.code, outcome.stdout, outcome.states()) == (0, b"work done\n", TO_THE_END)


def test_objects_that_go_with_the_interpreter(same: Run) -> None:
    """Tasks in finalizers, in collector callbacks and in `__del__` of what is left at the very end are no error."""
    outcome = same("""
        import gc, sys, weakref
        import rota
        rota.watch()
        class Held:
            def __del__(self):
                with rota.task("del"):
                    rota.record(rows=1)
        def collected(phase, facts):
            with rota.task("gc"):
                pass
        gc.callbacks.append(collected)
        gc.set_threshold(10)
        held = [Held() for _ in range(3)]
        weakref.finalize(held[0], collected, "", "")
        sys.modules["kept"] = Held()
        cycle = [Held()]
        cycle.append(cycle)
        for _ in range(200):
            with rota.task("t"):
                pass
        print("work done")
    """)
    assert (outcome.code, outcome.errors, outcome.states()) == (0, "", TO_THE_END)


def test_watching_from_a_thread_sees_no_end(same: Run) -> None:
    """The end of a thread is not the end of the program: how that ends is `ended`, and not guessed."""
    outcome = same("""
        import sys, threading
        import rota
        beside = threading.Thread(target=rota.watch)
        beside.start()
        beside.join()
        sys.exit(3)
    """)
    assert (outcome.code, outcome.errors, outcome.states()) == (3, "", ["running", "ended"])


REPLACED = {
    "the standard streams": "import io, sys; sys.stdout = sys.stderr = io.StringIO()",
    "the standard streams by None": "import sys; sys.stdin = sys.stdout = sys.stderr = None",
    "a clock that stands still": """
import time
for name in ("time", "monotonic", "perf_counter"):
    setattr(time, name, lambda: 1000.0)
    setattr(time, name + "_ns", lambda: 1000 * 10**9)
time.sleep = lambda seconds: None
""",
    "sockets": "import _socket, socket; socket.socket = _socket.socket = refuse",
    "open": "import builtins, io; builtins.open = io.open = refuse",
    "os.open": "import os; os.open = refuse",
    "os.write": "import os; os.write = refuse",
    "os.fstat, os.path, os.listdir": "import os; os.fstat = os.stat = os.path.exists = os.listdir = os.scandir = refuse",
    "os.urandom by zeros": "import os; os.urandom = bytes",
    "threads": "import _thread, threading; threading.Thread.start = _thread.start_new_thread = refuse",
    "select": "import select; select.poll = select.select = refuse",
    "the environment": "import os; os.environ = dict(os.environ)",
    "sys.exit": "import sys; sys.exit = refuse",
    "sys._getframe": "import sys; sys._getframe = refuse",
    "the import": "import builtins; builtins.__import__ = refuse",
}


@pytest.mark.parametrize("python", EXTREMES, indirect=True)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("replaced", REPLACED)
def test_a_program_that_replaces_what_everybody_uses(same: Run, replaced: str, when: str) -> None:
    """Replaced before `watch()` or after it, to whatever effect on rota: the program does what it did."""
    replacing = REPLACED[replaced]
    parts = [replacing, "rota.watch()"] if when == "before" else ["rota.watch()", replacing]
    refuse = "def refuse(*args, **kwargs): raise OSError(5, 'replaced')"
    work = "with rota.task('t'):\n    rota.record(rows=1)\n    print('work done')\n1 / 0\n"
    same("\n".join(["import rota", "from rota import record, task, watch", refuse, *parts, work]))


def test_a_clock_that_stands_still_does_not_make_the_exit_wait(same: Run) -> None:
    """A program that stops the clock, as tests do, ends even when the other side says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = {"ROTA_ENDPOINT": "http://127.0.0.1:%d" % silent.getsockname()[1]}
        outcome = same("import rota\n" + REPLACED["a clock that stands still"] + "\nrota.watch()\n", environment=endpoint)
    assert (outcome.errors, outcome.states()) == ("", TO_THE_END)
