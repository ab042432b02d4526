"""A question before each call of a function, which stays of its kind: plain, coroutine, generator, asynchronous generator.

``admit()`` (for what is awaited, ``admit_async()``) returns None when the call may be made, or an object whose ``value`` is
returned instead. A generator asks when it is first resumed; when it may not run it yields nothing.
"""

from __future__ import annotations

from rota._wrap import disguised
from rota.instrument import hide

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, AsyncGenerator, Awaitable, Callable, Generator

_GENERATOR, _COROUTINE, _ITERABLE_COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x100, 0x200  # inspect.CO_*


def asking(function: Any, admit: Callable[[], Any], admit_async: Callable[[], Awaitable[Any]]) -> Any:
    """``function`` with the question before it."""
    if issubclass(type(function), (classmethod, staticmethod)):
        return type(function)(asking(function.__func__, admit, admit_async))
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    if flags & _COROUTINE:
        return disguised(_coroutine(function, admit_async), function)
    if flags & _ASYNC_GENERATOR:
        return disguised(_async_generator(function, admit_async), function)
    if flags & _GENERATOR and not flags & _ITERABLE_COROUTINE:
        return disguised(_generator(function, admit), function)
    return disguised(_plain(function, admit), function)


def _plain(function: Any, admit: Callable[[], Any]) -> Any:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        withheld = admit()
        if withheld is not None:
            return withheld.value
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            hide(error)
            raise

    return wrapper


def _coroutine(function: Any, admit: Callable[[], Awaitable[Any]]) -> Any:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        withheld = await admit()
        if withheld is not None:
            return withheld.value
        try:
            return await function(*args, **kwargs)
        except BaseException as error:
            hide(error)
            raise

    return wrapper


def _generator(function: Any, admit: Callable[[], Any]) -> Any:
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        withheld = admit()
        if withheld is not None:
            return withheld.value
        try:
            return (yield from function(*args, **kwargs))
        except BaseException as error:
            hide(error)
            raise

    return wrapper


def _async_generator(function: Any, admit: Callable[[], Awaitable[Any]]) -> Any:
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        if await admit() is not None:
            return
        inner = function(*args, **kwargs)
        resume, given = inner.asend, None
        while True:
            try:
                item = await resume(given)
            except StopAsyncIteration:
                return
            except BaseException as error:
                hide(error)
                raise
            try:
                given = yield item
                resume = inner.asend
            except GeneratorExit:
                await inner.aclose()
                raise
            except BaseException as thrown:
                resume, given = inner.athrow, thrown

    return wrapper
