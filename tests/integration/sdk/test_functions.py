"""Functions that nobody touched become tasks that ask, by the patterns of a policy: scripts as users write and run them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest
from permissions import write_policy
from scripts import PYTHONS, Outcome, run_script, version_of

Run = Callable[..., Outcome]
PERMIT = {"permit": True}


def since(minor: int) -> pytest.MarkDecorator:
    """Every CPython found here from 3.``minor`` on."""
    found = {version: path for version, path in PYTHONS.items() if version_of(path) >= (3, minor)}
    return pytest.mark.parametrize("python", found.values(), ids=["py" + version for version in found])


def tasks(outcome: Outcome) -> list[str]:
    """Names of the tasks that ran, in the order of their end."""
    return [span["name"] for span in outcome.spans if span["kind"] == 1]


def asked(outcome: Outcome) -> set[str]:
    """Names of those that asked: nobody answers here, which is told once for each."""
    return {e["cicd.pipeline.task.name"] for e in outcome.events if e["event"] == "rota.gate.decision"}


def ran(run: Run, home: Path, patterns: dict[str, Any], source: str, **options: Any) -> Outcome:
    """Run a script under a policy with these patterns."""
    write_policy(home, "job", patterns)
    outcome = run(source, **options)
    assert outcome.code == 0, outcome.stderr.decode()
    return outcome


def test_functions_before_and_after_watch_ask(run: Run, home: Path) -> None:
    """A pattern covers what the script has defined by then and what it defines later, before it can be called."""
    outcome = ran(run, home, {"load_*": PERMIT}, """
        import rota
        def load_before(): return 1
        def other(): return 2
        rota.watch()
        def load_after(a, *, b=2): return a + b
        assert load_after(1) == 3
        if True:
            try:
                def load_inside(): return 4
            finally:
                pass
        assert (load_before(), other(), load_inside()) == (1, 2, 4)
    """)  # fmt: skip
    assert tasks(outcome) == ["load_after", "load_before", "load_inside"]
    assert asked(outcome) == set(tasks(outcome))
    assert outcome.last["rota.permission.ran"] == outcome.last["rota.permission.asked"] == 3
    assert "rota.permission.unmatched" not in outcome.last


def test_every_kind_of_function_stays_what_it_is(run: Run, home: Path) -> None:
    """Methods, coroutines, generators keep kind, signature, pickled identity, documentation, and what `super()` finds."""
    outcome = ran(run, home, {"*": PERMIT}, """
        import asyncio, dataclasses, doctest, functools, inspect, pickle, sys
        import rota
        rota.watch()
        def plain(a, b: int = 2, *, c=3):
            '''Doc.

            >>> plain(1)
            6
            '''
            return a + b + c
        async def coroutine(x):
            await asyncio.sleep(0)
            return x
        def generator(n):
            got = yield n
            return got
        async def stream(n):
            for i in range(n):
                yield i
        class Base:
            def run(self, x): return x
        @dataclasses.dataclass
        class Loader(Base):
            size: int = 1
            def run(self, x): return super().run(x) + self.size
            @classmethod
            def of(cls): return cls(2)
            @staticmethod
            def twice(x): return 2 * x
            @property
            def half(self): return self.size / 2
            class Inner:
                def deep(self): return "deep"
        def fact(n): return n * fact(n - 1) if n else 1
        partial = functools.partial(plain, 1)

        assert str(inspect.signature(plain)).startswith("(a, b: ") and str(inspect.signature(Loader.run)) == "(self, x)"
        assert (plain.__name__, plain.__module__, Loader.run.__qualname__) == ("plain", "__main__", "Loader.run")
        assert pickle.loads(pickle.dumps(plain)) is plain and plain.__wrapped__.__code__.co_name == "plain"
        assert inspect.iscoroutinefunction(coroutine) and inspect.isgeneratorfunction(generator)
        assert inspect.isasyncgenfunction(stream)
        assert doctest.testmod(sys.modules["__main__"]).attempted == 1
        async def all_of_it(): return await coroutine(5), [i async for i in stream(3)]
        assert asyncio.run(all_of_it()) == (5, [0, 1, 2])
        g = generator(2)
        assert next(g) == 2
        try:
            g.send("x")
        except StopIteration as stop:
            assert stop.value == "x"
        loader = Loader.of()
        assert loader == Loader(2) and repr(loader) == "Loader(size=2)"
        assert (loader.run(1), Loader.twice(4), loader.half, Loader.Inner().deep()) == (3, 8, 1.0, "deep")
        assert fact(3) == 6 and partial() == 6
    """)  # fmt: skip
    kinds = {"plain", "coroutine", "generator", "stream", "Base.run", "Loader.run", "Loader.of", "Loader.twice"}
    assert set(tasks(outcome)) == {*kinds, "Loader.Inner.deep", "fact", "all_of_it"} == asked(outcome)
    assert tasks(outcome).count("fact") == 4


def test_decorated_functions_ask_once_under_their_own_name(run: Run, home: Path) -> None:
    """With `functools.wraps` or without, by a decorator of the script or of a library, and when it is a task already."""
    outcome = ran(run, home, {"load_*": PERMIT, "named": PERMIT}, """
        import contextlib, functools
        import rota
        @rota.task
        def load_early(): return 0
        rota.watch()
        def bare(function):
            def wrapper(*args): return function(*args)
            return wrapper
        def wrapping(function):
            @functools.wraps(function)
            def wrapper(*args): return function(*args)
            return wrapper
        @bare
        def load_bare(): return 1
        @wrapping
        def load_wrapping(): return 2
        @contextlib.contextmanager
        def load_open(): yield 3
        @rota.task
        def load_task(): return 4
        @rota.task("named")
        def of_another_name(): return 5
        with load_open() as opened, rota.task("load_block"):
            assert [load_early(), load_bare(), load_wrapping(), opened, load_task(), of_another_name()] == [0, 1, 2, 3, 4, 5]
    """)  # fmt: skip
    everything = ["load_bare", "load_block", "load_early", "load_open", "load_task", "load_wrapping", "named"]
    assert sorted(tasks(outcome)) == everything
    assert asked(outcome) == set(everything)


def test_modules_that_a_pattern_names_are_covered_whenever_they_are_imported(run: Run, home: Path) -> None:
    """Before `watch()` or after it, also for `from … import`; a pattern without the module's name does not reach into it."""
    for name in ("sooner", "later", "unnamed"):
        (home.parent / f"{name}.py").write_text("def load(): return __name__\nclass Loader:\n    def run(self): return 1\n")
    outcome = ran(run, home, {"sooner.load": PERMIT, "later.*": PERMIT, "load*": PERMIT, "Loader.*": PERMIT}, """
        import pickle, sooner
        import rota
        rota.watch()
        from later import Loader, load
        import unnamed
        def load_mine(): return "mine"
        assert [sooner.load(), load(), unnamed.load(), load_mine()] == ["sooner", "later", "unnamed", "mine"]
        assert Loader().run() == sooner.Loader().run() == unnamed.Loader().run() == 1
        assert pickle.loads(pickle.dumps(load)) is load
    """)  # fmt: skip
    assert tasks(outcome) == ["sooner.load", "later.load", "load_mine", "later.Loader.run"]
    assert asked(outcome) == set(tasks(outcome))


def test_what_cannot_be_reached_is_told(run: Run, home: Path) -> None:
    """Copies imported by name before, functions inside functions, objects that are no functions, patterns of nothing."""
    (home.parent / "orders.py").write_text("def load(): return 1\n")
    outcome = ran(run, home, {"orders.load": PERMIT, "load_*": PERMIT, "renamed_*": PERMIT}, """
        import functools
        from orders import load
        import rota
        rota.watch()
        @functools.lru_cache(maxsize=None)
        def load_cached(): return 2
        def outer():
            def load_inner(): return 3
            return load_inner()
        assert (load(), load_cached(), outer(), load_cached.cache_info().misses) == (1, 2, 3, 1)
    """)  # fmt: skip
    assert tasks(outcome) == []
    assert outcome.last["rota.permission.unmatched"] == ["load_*", "renamed_*"]
    told = dict(each.split(": ", 1) for each in outcome.last["rota.permission.unreached"])
    assert set(told) == {"__main__.load", "load_cached", "outer.<locals>.load_inner"}


def test_a_function_that_is_never_defined_costs_no_more_than_the_lines_before_it(run: Run, home: Path) -> None:
    """The script's lines are watched no longer than a definition could still come."""
    outcome = ran(run, home, {"load_*": PERMIT}, """
        import sys
        import rota
        rota.watch()
        if len(sys.argv) > 9:
            def load_never(): return 1
        monitoring = getattr(sys, "monitoring", None)
        assert sys.gettrace() is None and sys._getframe().f_trace is None
        assert monitoring is None or [t for t in range(6) if monitoring.get_tool(t) == "rota functions"] == []
    """)  # fmt: skip
    assert outcome.last["rota.permission.unmatched"] == ["load_*"]


def test_a_function_that_is_defined_twice_asks_both_times(run: Run, home: Path) -> None:
    """The second definition takes the first one's place, and is a task too."""
    outcome = ran(run, home, {"load": PERMIT}, """
        import rota
        rota.watch()
        def load(): return 1
        assert load() == 1
        def load(): return 2
        assert load() == 2
    """)  # fmt: skip
    assert tasks(outcome) == ["load", "load"]


def test_watch_inside_a_function_covers_the_script_all_the_same(run: Run, home: Path) -> None:
    """`main()` calls it, at the end of the script or above definitions."""
    outcome = ran(run, home, {"load_*": PERMIT}, """
        import rota
        def load_before(): return 1
        def start():
            rota.watch()
            assert load_before() == 1
        start()
        def load_after(): return 2
        assert load_after() == 2
    """)  # fmt: skip
    assert tasks(outcome) == ["load_before", "load_after"]


TRACED = """
    import sys
    seen = []
    def tracer(frame, event, argument):
        seen.append(frame.f_code.co_name)
        return tracer
    sys.settrace(tracer)
    import rota
    rota.watch()
    def load_after(): return 2
    assert load_after() == 2
    assert sys.gettrace() is tracer and "load_after" in seen
"""


def test_a_tracer_that_is_there_stays(home: Path, python: str) -> None:
    """A debugger or coverage is not replaced. From CPython 3.12 on nothing is lost by that; before, what is lost is told."""
    write_policy(home, "job", {"load_*": PERMIT})
    outcome = run_script(TRACED, home, python)
    assert outcome.code == 0, outcome.stderr.decode()
    if version_of(python) >= (3, 12):
        assert tasks(outcome) == ["load_after"]
        assert outcome.errors == ""
    else:
        assert tasks(outcome) == []
        assert "a tracer is there already" in outcome.errors
        assert outcome.last["rota.permission.unreached"] == ["load_after: defined after watch(), under a tracer"]


@since(12)
def test_every_tool_id_taken_leaves_the_trace_function(run: Run, home: Path, python: str) -> None:
    """Where profilers hold all ids of `sys.monitoring`, the older way is taken."""
    outcome = ran(run, home, {"load_*": PERMIT}, """
        import sys
        for tool in range(6):
            sys.monitoring.use_tool_id(tool, "another")
        import rota
        rota.watch()
        def load_after(): return 2
        assert load_after() == 2 and sys.gettrace() is None
    """)  # fmt: skip
    assert tasks(outcome) == ["load_after"]


@since(11)  # before, a wrapper cannot be taken out of tracebacks
def test_a_script_looks_the_same_with_and_without_a_policy(same: Callable[..., Outcome], home: Path, python: str) -> None:
    """An uncaught exception out of a covered function prints what it printed before."""
    write_policy(home, "job", {"*": PERMIT})
    outcome = same("""
        import rota
        rota.watch()
        def load(): int("x")
        class Loader:
            def run(self): load()
        Loader().run()
    """)
    assert outcome.code == 1
    assert tasks(outcome) == ["load", "Loader.run"]


def test_without_a_policy_nothing_of_control_is_imported(run: Run, home: Path) -> None:
    """Another workflow's policy asks nothing of this one."""
    write_policy(home, "another", {"*": PERMIT})
    script = """
        import sys
        import rota
        rota.watch()
        @rota.task
        def load(): return 1
        load()
        print([name for name in sys.modules if name.startswith("rota.control")], "fnmatch" in sys.modules)
    """
    assert run(script).stdout == b"[] False\n"


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"tasks": 7}', '{"tasks": {"load": 7}}', '{"tasks": null}'])
def test_a_damaged_policy_does_no_harm(home: Path, text: str) -> None:
    """A file that is no document, or a strange one, leaves the script as it was."""
    write_policy(home, "job", {}).write_text(text)
    outcome = run_script("import rota\nrota.watch()\ndef load(): return 1\nassert load() == 1\n", home)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, b"", b"")
    assert asked(outcome) == set()
