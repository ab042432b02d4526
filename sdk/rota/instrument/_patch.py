"""Replacing a method by itself with a span around.

The replacement keeps name, signature, documentation, results and exceptions, as ``rota._wrap`` does for tasks. What we do
before and after the call is behind a wall: an error of ours is noted, and the method is simply called.
"""

from __future__ import annotations

import sys

from rota._current import CURRENT
from rota._guard import note
from rota._run import process_run
from rota.instrument import hide
from rota.instrument._call import INSIDE, Call
from rota.instrument._replace import replace, standing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from rota._run import Run
    from rota._task import Task

    Start = Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], Call | None]
    Finish = Callable[[Any, Any], None]


def observe(owner: Any, name: str, start: Start, finish: Finish, fail: Finish = Call.finish) -> None:
    """Replace ``owner.name``.

    ``start(place, self, args, kwargs)`` opens a call under ``place``, or returns None when this one is not to be seen;
    ``finish(call, result)`` adds what the result tells and closes it; ``fail(call, error)`` does so when it raised.
    """
    original = standing(owner, name)
    if not hasattr(original, "__rota__"):
        mark = _coroutine if getattr(getattr(original, "__code__", None), "co_flags", 0) & 0x80 else _plain
        replace(owner, name, mark(original, start, finish, fail))


def observe_function(module: Any, name: str, start: Start, finish: Finish) -> None:
    """As ``observe``, for a function of a module; ``start`` gets None for ``self``."""
    original = standing(module, name)
    if not hasattr(original, "__rota__"):
        replace(module, name, _function(original, start, finish))
        home = sys.modules.get(original.__module__)
        if home is not None and vars(home).get(name) is original:  # where pickle looks for it, to find the same object
            setattr(home, name, vars(module)[name])


def _plain(function: Any, start: Start, finish: Finish, fail: Finish) -> Any:
    def wrapper(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        place = CURRENT.get() or process_run()
        call = started(start, place, self, args, kwargs) if place is not None else None
        token = INSIDE.set(call) if call is not None else None
        try:
            result = function(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            if call is not None:
                over(fail, call, token, error)
            raise
        if call is not None:
            over(finish, call, token, result)
        return result

    return wrapper


def _function(function: Any, start: Start, finish: Finish) -> Any:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        place = CURRENT.get() or process_run()
        call = started(start, place, None, args, kwargs) if place is not None else None
        token = INSIDE.set(call) if call is not None else None
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            hide(error)
            if call is not None:
                over(Call.finish, call, token, error)
            raise
        if call is not None:
            over(finish, call, token, result)
        return result

    return wrapper


def _coroutine(function: Any, start: Start, finish: Finish, fail: Finish) -> Any:
    async def wrapper(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        place = CURRENT.get() or process_run()
        call = started(start, place, self, args, kwargs) if place is not None else None
        token = INSIDE.set(call) if call is not None else None
        try:
            result = await function(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            if call is not None:
                over(fail, call, token, error)
            raise
        if call is not None:
            over(finish, call, token, result)
        return result

    return wrapper


def started(
    start: Start, place: Run | Task, self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Call | None:  # fmt: skip
    """The call that ``start`` opens; None after an error of ours."""
    try:
        return start(place, self, args, kwargs)
    except RecursionError:
        raise  # as in rota._task: the program is at its limit
    except Exception as error:
        note("instrument", error)
        return None


def over(finish: Finish, call: Call, token: Any, result: Any) -> None:
    """Leave a call, and have it closed with what it returned or raised."""
    try:
        INSIDE.reset(token)
        finish(call, result)
    except Exception as error:
        note("instrument", error)
