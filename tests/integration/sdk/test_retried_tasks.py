"""Tasks that a policy has tried again: the function is called once more, and its caller sees the last attempt alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import pytest
from execs import ask_of_tasks
from scripts import EXTREMES, PYTHONS, Outcome, run_script

Run = Callable[..., Outcome]
HEAD = """
import rota
rota.watch("etl")
calls = []
"""


def spans_of(outcome: Outcome, name: str) -> list[dict[str, Any]]:
    """The spans of a task in the order of their start."""
    return sorted((span for span in outcome.spans if span["name"] == name), key=lambda span: int(span["startTimeUnixNano"]))


def test_a_function_is_called_until_it_returns(home: Path, run: Run) -> None:
    """A task that fails twice is called three times with the same arguments, and returns what the last call returns."""
    ask_of_tasks(home, {"load*": {"retry": {"attempts": 5, "wait": 0}}})
    outcome = run(HEAD + """
@rota.task
def load(day, *, rows):
    calls.append((day, rows))
    if len(calls) < 3:
        raise OSError("try %d" % len(calls))
    return day, rows

assert load("mon", rows=3) == ("mon", 3)
assert calls == [("mon", 3)] * 3
""")  # fmt: skip
    assert (outcome.code, outcome.stderr) == (0, b"")
    spans = spans_of(outcome, "load")
    assert [span["attributes"]["rota.attempt"] for span in spans] == [1, 2, 3]
    assert [span.get("status", {}).get("code") for span in spans] == [2, 2, None]
    links = [[(link["traceId"], link["spanId"]) for link in span.get("links", [])] for span in spans]
    assert links == [[], [(spans[0]["traceId"], spans[0]["spanId"])], [(spans[1]["traceId"], spans[1]["spanId"])]]
    assert len({span["parentSpanId"] for span in spans}) == 1


def test_the_last_error_is_the_callers(home: Path, run: Run) -> None:
    """The exception of the last attempt reaches the caller as it was raised: the same object, its own context and traceback."""
    ask_of_tasks(home, {"load": {"retry": {"attempts": 3, "wait": 0}}})
    outcome = run(HEAD + """
import sys, traceback
@rota.task
def load():
    calls.append(OSError("try %d" % (len(calls) + 1)))
    raise calls[-1]

try:
    load()
except OSError as error:
    assert error is calls[2] and str(error) == "try 3"
    assert error.__context__ is None and error.__cause__ is None
    frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert frames == (["<module>", "load"] if sys.version_info >= (3, 11) else ["<module>", "wrapper", "load"]), frames
assert len(calls) == 3
""")  # fmt: skip
    assert (outcome.code, outcome.stderr) == (0, b"")


def test_a_coroutine(home: Path, run: Run) -> None:
    """A coroutine is awaited once more after a wait in which the event loop goes on; a cancelled one is not."""
    ask_of_tasks(home, {"fetch": {"retry": {"attempts": 3, "wait": "50ms"}}, "hang": {"retry": {"attempts": 3, "wait": 0}}})
    outcome = run(HEAD + """
import asyncio
ticks = []
@rota.task
async def fetch(x):
    await asyncio.sleep(0)
    calls.append(len(ticks))
    if len(calls) < 3:
        raise ValueError(x)
    return x

@rota.task
async def hang():
    calls.append("hang")
    await asyncio.sleep(60)

async def tick():
    while True:
        ticks.append(1)
        await asyncio.sleep(0.005)

async def main():
    ticking = asyncio.ensure_future(tick())
    assert await fetch(7) == 7
    assert calls[0] < calls[1] < calls[2]
    hanging = asyncio.ensure_future(hang())
    await asyncio.sleep(0.02)
    hanging.cancel()
    try:
        await hanging
        raise SystemExit("not cancelled")
    except asyncio.CancelledError:
        pass
    ticking.cancel()

asyncio.run(main())
assert calls.count("hang") == 1
""")  # fmt: skip
    assert (outcome.code, outcome.stderr) == (0, b"")
    assert [span["attributes"]["rota.attempt"] for span in spans_of(outcome, "fetch")] == [1, 2, 3]


@pytest.mark.parametrize("version", EXTREMES)
@pytest.mark.parametrize(
    ("retry", "error", "times"),
    [
        ({"on": ["ConnectionError"]}, "ConnectionResetError()", 3),
        ({"on": ["ConnectionError"]}, "KeyError()", 1),
        ({"not_on": ["LookupError"]}, "KeyError()", 1),
        ({"on": ["message:row [0-9]"]}, "ValueError('row 7')", 3),
        ({"on": ["json.decoder.JSONDecodeError"]}, "json.JSONDecodeError('', '', 0)", 3),
        ({"on": ["JSONDecodeError"]}, "json.JSONDecodeError('', '', 0)", 3),
        ({"on": ["exit:1-255", "timeout", "signal:KILL"]}, "ValueError()", 1),
        ({"timeout": "1ms", "wait": "10s"}, "ValueError()", 1),
        ({}, "SystemExit(3)", 1),
        ({}, "KeyboardInterrupt()", 1),
        ({}, "GeneratorExit()", 1),
    ],
    ids=str,
)
def test_which_errors(home: Path, version: str, retry: dict[str, Any], error: str, times: int) -> None:
    """Only errors that the conditions name are tried again; an exit, an interrupt and what is no Exception never are."""
    ask_of_tasks(home, {"load": {"retry": {"attempts": 3, "wait": 0, **retry}}})
    source = (
        HEAD
        + f"""
import json
@rota.task
def load():
    calls.append(1)
    raise {error}
try:
    load()
except BaseException:
    pass
print(len(calls))
"""
    )
    outcome = run_script(source, home, PYTHONS[version])
    assert (outcome.code, outcome.stdout, outcome.errors) == (0, b"%d\n" % times, "")


def test_the_first_pattern_that_matches_holds(home: Path) -> None:
    """A task goes by the first pattern that matches its name; without a match, or without retries there, it is called once."""
    ask_of_tasks(home, {"load_a": {}, "load_*": {"retry": {"attempts": 2, "wait": 0}}, "*": {"permit": False}})
    outcome = run_script(HEAD + """
def failing(name):
    @rota.task(name)
    def inner():
        calls.append(name)
        raise ValueError
    try:
        inner()
    except ValueError:
        pass
for name in ("load_a", "load_b", "send"):
    failing(name)
print(*calls)
""", home)  # fmt: skip
    assert (outcome.stdout, outcome.errors) == (b"load_a load_b load_b send\n", "")


def test_generators_and_blocks(home: Path) -> None:
    """A generator and a `with` block are not tried again; of a generator it is noted, since the policy asked for it."""
    ask_of_tasks(home, {"*": {"retry": {"attempts": 3, "wait": 0}}})
    outcome = run_script(HEAD + """
@rota.task
def rows():
    calls.append("rows")
    yield 1
    raise ValueError
for attempt in range(1):
    try:
        list(rows())
    except ValueError:
        pass
try:
    with rota.task("block"):
        calls.append("block")
        raise ValueError
except ValueError:
    pass
print(*calls)
""", home)  # fmt: skip
    assert outcome.stdout == b"rows block\n"
    assert outcome.errors.count("\n") == 1
    assert "a generator failed and is not tried again" in outcome.errors


def test_a_loop_that_is_not_asyncios(home: Path) -> None:
    """A coroutine that something else than asyncio drives is not tried again, as nobody could wait in there; it is noted."""
    ask_of_tasks(home, {"*": {"retry": {"attempts": 3, "wait": 0}}})
    outcome = run_script(HEAD + """
@rota.task
async def fetch():
    calls.append(1)
    raise ValueError("once")
try:
    fetch().send(None)
except ValueError as error:
    print(error, len(calls))
""", home)  # fmt: skip
    assert outcome.stdout == b"once 1\n"
    assert "only asyncio's loop can be waited in" in outcome.errors


def test_methods_runs_and_decorated_before(home: Path, run: Run) -> None:
    """Methods, tasks that were decorated before `watch()`, and tasks of `rota.run` go by the policy of the run they are in."""
    ask_of_tasks(home, {"Loader.*": {"retry": {"attempts": 2, "wait": 0}}})
    ask_of_tasks(home, {"early": {"retry": {"attempts": 4, "wait": 0}}}, "inner")
    outcome = run("""
import rota
calls = []
@rota.task
def early():
    calls.append("early")
    raise ValueError
class Loader:
    @rota.task
    def plain(self):
        calls.append("plain")
        raise ValueError
    @rota.task
    @classmethod
    def of(cls):
        calls.append("of")
        raise ValueError
def call(function):
    try:
        function()
    except ValueError:
        pass
rota.watch("etl")
for function in (early, Loader().plain, Loader.of):
    call(function)
with rota.run("inner"):
    call(early)
print(*calls)
""")
    assert outcome.stdout == b"early plain plain of of early early early early\n"


def test_no_policy_that_asks(home: Path, run: Run) -> None:
    """Without a policy a failing task is called once and nothing of `control` is loaded; one without tasks changes nothing."""
    source = (
        HEAD
        + """
import sys
@rota.task
def load():
    calls.append(1)
    raise ValueError
try:
    load()
except ValueError:
    pass
print(len(calls), "rota.control" in sys.modules, "rota.rules.retry" in sys.modules)
"""
    )
    assert run(source).stdout == b"1 False False\n"
    (home / "policy").mkdir()
    (home / "policy" / "etl.json").write_text(json.dumps({"version": 1, "retry": {"attempts": 3}}))
    assert run(source).stdout.startswith(b"1 ")


def test_a_policy_that_cannot_be_used(home: Path) -> None:
    """A document, or a part of it, that cannot be used is noted, and the task is called once."""
    source = (
        HEAD
        + """
@rota.task
def load():
    calls.append(1)
    1 / 0
try:
    load()
except ZeroDivisionError:
    print(len(calls))
"""
    )
    for text in ("{", json.dumps({"tasks": {"load": {"retry": {"attempts": 0}}}}), json.dumps({"tasks": {"load": {"retry": 3}}})):
        ask_of_tasks(home, {})
        (home / "policy" / "etl.json").write_text(text)
        outcome = run_script(source, home)
        assert (outcome.code, outcome.stdout) == (0, b"1\n")
    assert "JSONDecodeError" in outcome.errors
    assert "retry.attempts: 0" in outcome.errors


def test_an_interrupt_while_waiting(home: Path, run: Run) -> None:
    """Ctrl-C between two attempts ends the program as it does anywhere else."""
    ask_of_tasks(home, {"load": {"retry": {"attempts": 2, "wait": "1h"}}})
    outcome = run(HEAD + """
import os, signal, threading
@rota.task
def load():
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    raise ValueError
try:
    load()
except KeyboardInterrupt:
    print("interrupted")
""")  # fmt: skip
    assert outcome.stdout == b"interrupted\n"
    (span,) = spans_of(outcome, "load")
    assert span["attributes"]["rota.attempt"] == 1


def test_functions_that_nobody_touched(home: Path, run: Run) -> None:
    """A plain function of the script that a pattern names is tried again, whether it comes before `watch()` or after it."""
    ask_of_tasks(home, {"load_*": {"retry": {"attempts": 3, "wait": 0}}})
    outcome = run("""
import rota
calls = []
def load_early():
    calls.append("early")
    raise ValueError
rota.watch("etl")
def load_late():
    calls.append("late")
    raise ValueError
for function in (load_early, load_late):
    try:
        function()
    except ValueError:
        pass
print(*calls)
""")
    assert outcome.stdout == b"early early early late late late\n"
    assert [span["attributes"]["rota.attempt"] for span in spans_of(outcome, "load_late")] == [1, 2, 3]


@pytest.mark.parametrize(("answer", "times"), [("go", 3), ("deny", 0)])
def test_permission_and_retries(home: Path, run: Run, answer: str, times: int) -> None:
    """Each attempt asks for permission; a denial is no failure, and is not tried again."""
    ask_of_tasks(home, {"load": {"permit": True, "on_unreachable": answer, "retry": {"attempts": 3, "wait": 0}}})
    outcome = run(HEAD + """
@rota.task
def load():
    calls.append(1)
    raise ValueError
try:
    load()
except (ValueError, rota.GateDenied):
    print(len(calls))
""")  # fmt: skip
    assert outcome.stdout == b"%d\n" % times
    assert len(spans_of(outcome, "load")) == max(times, 1)
