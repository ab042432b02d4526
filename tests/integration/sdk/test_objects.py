"""Whatever a program hands to rota, or throws past it: objects that lie, raise, or are far too large."""

from __future__ import annotations

from typing import Callable

import pytest
from scripts import EXTREMES, Outcome

Run = Callable[..., Outcome]

HOSTILE = """
import rota
rota.watch()
class Kind(type):
    __module__ = property(lambda cls: 1 // 0)
class Refuses:
    def __refuse(self, *args): raise RuntimeError("asked")
    __repr__ = __str__ = __eq__ = __bool__ = __len__ = __iter__ = __int__ = __index__ = __format__ = __getattr__ = __refuse
    __hash__ = object.__hash__
class Nameless(metaclass=Kind):
    pass
class Liar:
    __class__ = str
class Plain:
    __module__ = "datetime"
    def __str__(self): raise RuntimeError("asked")
"""


def test_an_object_that_answers_nothing_costs_no_other_fact(same: Run) -> None:
    """Objects that raise when asked anything, or lie about their class, are named or passed over; all else is kept."""
    outcome = same(
        HOSTILE
        + """
with rota.task("t"):
    rota.record(one=Refuses(), two=Nameless(), three=Liar(), four=Plain(), many=[Refuses(), {Refuses(): Nameless()}], rows=5)
rota.record(five=Nameless(), six=Refuses(), rows=6)
"""
    )
    assert outcome.errors == ""
    (task,) = [span["attributes"] for span in outcome.spans if span["name"] == "t"]
    assert (task["one"], task["two"], task["rows"]) == ("<__main__.Refuses>", "<an object>", 5)
    assert (task["three"], task["many"]) == ("<__main__.Liar>", ["<__main__.Refuses>", {"<__main__.Refuses>": "<an object>"}])
    assert (outcome.last["rota.run.state"], outcome.last["rows"]) == ("succeeded", 6)


@pytest.mark.parametrize("python", EXTREMES, indirect=True)
@pytest.mark.parametrize("name", ["None", "5", "b'x'", "Refuses()", "Nameless()", "'n' * 10_000_000"])
def test_a_task_may_be_called_anything(same: Run, name: str) -> None:
    """A name that is no text, or no end of it, is no error in the program."""
    outcome = same(HOSTILE + f"with rota.task({name}):\n    print('work')\n")
    assert outcome.code == 0, outcome.stderr
    assert len(outcome.spans) == 2
    assert sum(path.stat().st_size for path in (outcome.home / "spool").rglob("*.jsonl")) < 1 << 20


def test_a_callable_that_cannot_be_looked_at_is_left_as_it_is(same: Run) -> None:
    """What does not let itself be wrapped is called as ever."""
    same(HOSTILE + "class Calls(Refuses):\n    def __call__(self): return 'work'\nprint(rota.task(Calls())())\n")


ENDS = {
    "an error that lies about its class": ("class E(Exception):\n    __class__ = SystemExit\nraise E('y')", "failed", 1),
    "an error whose class is a trap": ("class E(Exception):\n    __class__ = property(lambda s: 1 // 0)\nraise E", "failed", 1),
    "an error without a text": ("class E(Exception):\n    def __str__(self): raise ValueError\nraise E", "failed", 1),
    "an exit that hides its code": ("class E(SystemExit):\n    code = property(lambda s: 1 // 0)\nraise E", "failed", 1),
    "an exit that computes its code": ("class E(SystemExit):\n    code = 4\nraise E", "failed", 4),
    "an exit with a huge number": ("import sys; sys.exit(2 ** 70)", "failed", 255),
    "an exit with a long number": ("import sys; sys.exit(2 ** 40 + 3)", "failed", 3),
    "an exit with a lying number": ("import sys\nclass N(int):\n    __int__ = lambda self: 0\nsys.exit(N(6))", "failed", 6),
    "an exit with a trap": (
        "import sys\nclass T:\n    __class__ = property(lambda s: 1 // 0)\n    __str__ = lambda s: 'trap'\nsys.exit(T())",
        "failed", 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("ending", ENDS)
def test_what_is_thrown_passes_and_is_told_as_it_is(same: Run, ending: str) -> None:
    """An exception may lie or raise when asked: the interpreter sees through it, and so does rota. Before 3.12: or `ended`."""
    source, state, code = ENDS[ending]
    outcome = same("import rota\nrota.watch()\nwith rota.task('t'):\n    " + source.replace("\n", "\n    "))
    assert (outcome.code, outcome.errors) == (code, "")
    if outcome.last["rota.run.state"] != "ended":
        assert (outcome.last["rota.run.state"], outcome.last["process.exit.code"]) == (state, code)
    assert [span["name"] for span in outcome.spans if span["name"] == "t"] == ["t"]


LARGE = {
    "a text": "big='x' * 10_000_000",
    "a name": "**{'n' * 10_000_000: 1}",
    "a key": "big={'n' * 10_000_000: 1}",
    "a list": "big=['x'] * 10_000_000",
    "a tree": "big=[[['x' * 30_000] * 100] * 100] * 100",
    "a cycle": "big=(lambda a: a.append(a) or a)([])",
    "many names": "**{'k%d' % i: 'x' * 1000 for i in range(10_000)}",
}


@pytest.mark.parametrize("python", EXTREMES, indirect=True)
@pytest.mark.parametrize("fact", LARGE)
def test_a_large_fact_is_cut(same: Run, fact: str) -> None:
    """10 MB, or 30 GB of the same text again and again, in whatever form, become less than one."""
    outcome = same(f"""
        import rota
        rota.watch()
        with rota.task("t"):
            rota.record({LARGE[fact]})
        rota.record({LARGE[fact]})
    """)
    assert (outcome.errors, outcome.states()) == ("", ["running", "succeeded"])
    assert sum(path.stat().st_size for path in (outcome.home / "spool").rglob("*.jsonl")) < 1 << 20


def test_a_number_of_numpy_that_stays_one_is_named() -> None:
    """A `longdouble` gives itself when asked for a plain number."""
    numpy = pytest.importorskip("numpy")
    from rota.wire import events

    assert events.value(numpy.float32(0.5)) == '{"doubleValue":0.5}'
    assert events.value(numpy.longdouble(1)) == '{"stringValue":"<numpy.longdouble>"}'
