"""What was raised in another system's code, as attributes of a run or a task."""

from __future__ import annotations

import traceback
from typing import Any

from rota.wire import names


def attributes(problem: Any, kind: str | None = None, message: str | None = None) -> dict[str, str]:
    """Of an exception: its type, what it says, and the stack. Of anything else, which a system gives instead: what it says.

    Args:
        problem: the exception.
        kind: its type, where the system knows a better word than its class.
        message: what it says, where that is not its text.
    """
    if not isinstance(problem, BaseException):
        return {names.EXCEPTION_MESSAGE: str(problem or "")}
    kind, said = kind or type(problem).__name__, str(problem) if message is None else message
    stack = "".join(traceback.format_exception(type(problem), problem, problem.__traceback__))
    return {
        names.ERROR_TYPE: kind, names.EXCEPTION_TYPE: kind, names.EXCEPTION_MESSAGE: said, names.EXCEPTION_STACK: stack,
    }  # fmt: skip
