"""Times calls of a decorated empty function in turn with calls of the same function undecorated; prints ns a call, as JSON."""

from __future__ import annotations

import contextlib
import json
import posix
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from time import perf_counter_ns
from typing import Any


def empty() -> None:
    """What is decorated."""


def compare(decorated: Callable[[], Any], around: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext) -> None:
    """``batches.compare(trace(batches.empty))``; each batch of calls runs inside ``around()``. Ends the process."""
    batches, calls = int(sys.argv[1]), int(sys.argv[2])
    with around():
        nanoseconds(decorated, calls)
    plain, traced = [], []
    for _ in range(batches):
        plain.append(nanoseconds(empty, calls))
        with around():
            traced.append(nanoseconds(decorated, calls))
    print(json.dumps({"plain": plain, "traced": traced}), flush=True)
    posix._exit(0)  # how long the way out takes is measured elsewhere; logfire replaces os._exit by one that waits


def nanoseconds(function: Callable[[], Any], calls: int) -> float:
    """A call's, over so many calls."""
    repeat = range(calls)
    began = perf_counter_ns()
    for _ in repeat:
        function()
    return (perf_counter_ns() - began) / calls
