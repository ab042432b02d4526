"""Wrapping a function in a task or a run without anybody noticing.

The wrapper is of the same kind as the function (plain, coroutine, generator, asynchronous generator), keeps its name, its
signature (``__wrapped__``), its pickled identity, its result and its exceptions: from CPython 3.11 on it is not even in
tracebacks. ``begin()`` opens what is wrapped around a call, or returns None, and then the call is just made;
``end(opened, error)`` closes it. What failed may be tried again (see ``rota._task.Task.again``): that is asked only then, and the
next call is made outside of the ``except``, so that no error has that of an earlier attempt for its context.
"""

from __future__ import annotations

import sys

from rota._current import CURRENT, leave
from rota._guard import note, unseen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, AsyncGenerator, Callable, Generator

_GENERATOR, _COROUTINE, _ITERABLE_COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x100, 0x200  # inspect.CO_*
_CAN_HIDE = sys.version_info >= (3, 11)  # a bare `raise` takes the exception's own traceback


def wrap(function: Any, begin: Callable[[], Any], end: Callable[[Any, BaseException | None], Any]) -> Any:
    """``function`` with ``begin`` before and ``end`` after each call (or each iteration, for a generator)."""
    if issubclass(type(function), (classmethod, staticmethod)):
        return type(function)(wrap(function.__func__, begin, end))
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    if flags & _COROUTINE:
        wrapper = _coroutine(function, begin, end)
    elif flags & _ASYNC_GENERATOR:
        wrapper = _async_generator(function, begin, end)
    elif flags & _GENERATOR and not flags & _ITERABLE_COROUTINE:
        wrapper = _generator(function, begin, end)
    else:
        wrapper = _plain(function, begin, end)
    return disguised(wrapper, function)


def _plain(function: Any, begin: Callable[[], Any], end: Callable[[Any, BaseException | None], Any]) -> Any:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        opened = begin()
        if opened is None:
            return function(*args, **kwargs)
        while True:
            token = CURRENT.set(opened)
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                again = _close(opened, token, error, end)
                if again is None or not again.is_granted():
                    raise
            else:
                leave(token)
                end(opened, None)
                return result
            opened = again.begin()

    return wrapper


def _coroutine(function: Any, begin: Callable[[], Any], end: Callable[[Any, BaseException | None], Any]) -> Any:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        opened = begin()
        if opened is None:
            return await function(*args, **kwargs)
        while True:
            token = CURRENT.set(opened)
            try:
                result = await function(*args, **kwargs)
            except BaseException as error:
                again = _close(opened, token, error, end)
                if again is None or not await again.is_granted_async():
                    raise
            else:
                leave(token)
                end(opened, None)
                return result
            opened = await again.begin_async()

    return wrapper


def _generator(function: Any, begin: Callable[[], Any], end: Callable[[Any, BaseException | None], Any]) -> Any:
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        inner = function(*args, **kwargs)
        opened = begin()
        if opened is None:
            return (yield from inner)
        resume, given = inner.send, None
        while True:
            token = CURRENT.set(opened)  # only while the body runs: between two items the consumer's own task is current
            try:
                item = resume(given)
            except StopIteration as stop:
                leave(token)
                end(opened, None)
                return stop.value
            except BaseException as error:
                _close_for_good(opened, token, error, end)
                raise
            leave(token)
            try:
                given = yield item
                resume = inner.send
            except GeneratorExit as closed:
                inner.close()
                end(opened, closed)
                raise
            except BaseException as thrown:
                resume, given = inner.throw, thrown

    return wrapper


def _async_generator(function: Any, begin: Callable[[], Any], end: Callable[[Any, BaseException | None], Any]) -> Any:
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        inner = function(*args, **kwargs)
        opened = begin()
        resume, given = inner.asend, None
        while True:
            token = CURRENT.set(opened) if opened is not None else None
            try:
                item = await resume(given)
            except StopAsyncIteration:
                leave(token)
                end(opened, None)
                return
            except BaseException as error:
                _close_for_good(opened, token, error, end)
                raise
            leave(token)
            try:
                given = yield item
                resume = inner.asend
            except GeneratorExit as closed:
                await inner.aclose()
                end(opened, closed)
                raise
            except BaseException as thrown:
                resume, given = inner.athrow, thrown

    return wrapper


def _close(opened: Any, token: Any, error: BaseException, end: Callable[[Any, BaseException | None], Any]) -> Any:
    """What tries it again, or None."""
    leave(token)
    if _CAN_HIDE and error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next  # the first entry is the wrapper's own frame
    again = opened.again(error) if opened is not None else None
    end(opened, error)
    return again


def _close_for_good(opened: Any, token: Any, error: BaseException, end: Callable[[Any, BaseException | None], Any]) -> None:
    """For a generator: whoever has its first items cannot be given them once more."""
    if _close(opened, token, error, end) is not None:
        note("retry", RuntimeError("a generator failed and is not tried again, whatever the policy says"))


def disguised(wrapper: Any, function: Any) -> Any:
    """``wrapper``, which from now on goes by the name, signature and attributes of ``function``."""
    for name in ("__module__", "__name__", "__qualname__", "__doc__", "__type_params__"):
        if hasattr(function, name):  # a partial or a builtin has not all of them
            setattr(wrapper, name, getattr(function, name))
    lazily = getattr(function, "__annotate__", None)  # CPython >= 3.14 evaluates annotations on demand
    if lazily is not None:
        wrapper.__annotate__ = lazily
    elif hasattr(function, "__annotations__"):
        wrapper.__annotations__ = function.__annotations__
    wrapper.__dict__.update(getattr(function, "__dict__", {}))
    wrapper.__wrapped__ = function
    return unseen(wrapper)
