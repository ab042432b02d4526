"""What can be said of an exception: type, message, stack with its causes. Loaded only when something failed."""

from __future__ import annotations

import traceback

from rota.wire import names
from rota.wire.redact import shortened

MAX_STACK = 16 * 1024  # characters: the first lines and, more of them, the last


def describe(error: BaseException, with_stack: bool = True) -> dict[str, object]:
    """The exception attributes of the semantic conventions. Chained causes are part of the stack, as Python prints them."""
    found: dict[str, object] = {names.EXCEPTION_TYPE: type_name(error), names.EXCEPTION_MESSAGE: message(error)}
    if with_stack:
        found[names.EXCEPTION_STACK] = stack(error)
    return found


def type_name(error: BaseException) -> str:
    """``ValueError``, or ``package.module.Name`` for what is not built in."""
    return _name(type(error))


def classes(error: BaseException) -> tuple[str, ...]:
    """The names of its class and of that one's bases, the nearest first."""
    return tuple(_name(kind) for kind in type(error).__mro__ if kind is not object)


def _name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else kind.__module__ + "." + kind.__qualname__


def message(error: BaseException) -> str:
    """``str(error)``; when that fails too, says so."""
    try:
        return shortened(str(error), MAX_STACK, 0)
    except Exception as second:
        return "<its text cannot be made: %s>" % type(second).__name__


def stack(error: BaseException) -> str:
    """The traceback as Python prints it, its middle left out when it is very long."""
    try:
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except Exception as second:
        return "<the stack cannot be made: %s>" % type(second).__name__
    return shortened(text, MAX_STACK // 4, MAX_STACK * 3 // 4)
