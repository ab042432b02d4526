"""How did this process end? Found out at exit, without a signal handler and without an excepthook.

What is known by then (tried on CPython 3.8 to 3.13):

- the outermost frame of the main thread, kept since ``watch()``: its last instruction tells whether it returned or unwound;
- ``sys.last_value``: the uncaught exception, set before any excepthook runs, even a replaced one;
- the code of a ``SystemExit``: on CPython >= 3.12 ``sys.monitoring`` reports the exception that unwinds the outermost frame;
  before, ``sys.exit`` is wrapped (``raise SystemExit(3)`` and ``exit()`` then stay unknown: ``ended``, not guessed).
"""

from __future__ import annotations

import sys
from _thread import get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any

_RETURNS = {(3, 12): (83, 121), (3, 13): (36, 103)}  # RETURN_VALUE, RETURN_CONST; until 3.11 only 83
_TOOLS = (3, 4, 2, 5)  # sys.monitoring tool ids that no debugger or coverage tool claims come first
_PROGRAMS = ("<module>", "_run_module_as_main")  # what the outermost frame of a program runs; a thread's or greenlet's is another
_UNSEEN = {"state": "ended", "reason": "unseen"}


class Ending:
    """Watches for the end from the moment it is made. Made in a thread of the program, it cannot see it, and says so."""

    def __init__(self) -> None:
        self._frame = outermost_frame()
        self._code: CodeType = self._frame.f_code
        self._main = get_ident()
        self._before = getattr(sys, "last_value", None)
        self._exit: tuple[int, object, object] | None = None  # (the frame's instruction, SystemExit.code, sys.last_value) then
        self._is_program = self._code.co_name in _PROGRAMS
        if self._is_program and not self._monitor():
            self._wrap_sys_exit()

    def outcome(self) -> dict[str, Any]:
        """The arguments of ``Run.finish``, for the end that is happening now."""
        if not self._is_program:
            return _UNSEEN
        if self._returned():
            return {"state": "succeeded", "exit_code": 0}
        error = getattr(sys, "last_value", None)
        if self._exit is not None and self._exit[0] in (-1, self._frame.f_lasti) and self._exit[2] is error:
            return _exited(self._exit[1])  # an error set later than this exit would have replaced it
        if error is not None and error is not self._before and self._left_by(error):
            return _uncaught(error)
        return _UNSEEN

    def _returned(self) -> bool:
        """Whether the outermost frame's last instruction is a return."""
        last = self._frame.f_lasti
        if last < 0:
            return False
        return self._code.co_code[last] in _return_opcodes()

    def _left_by(self, error: BaseException) -> bool:
        """Whether ``error`` went all the way up (a GUI toolkit may set ``sys.last_value`` for one it survived)."""
        trace = error.__traceback__
        return trace is not None and trace.tb_frame.f_code is self._code

    def _monitor(self) -> bool:
        monitoring = getattr(sys, "monitoring", None)
        if monitoring is None:
            return False
        free = [tool for tool in _TOOLS if monitoring.get_tool(tool) is None]
        if not free:
            return False
        code = self._code

        def on_unwind(unwound: CodeType, _offset: int, error: BaseException) -> None:
            if unwound is code and issubclass(type(error), SystemExit):
                self._exit = (-1, _code_of(error), getattr(sys, "last_value", None))

        monitoring.use_tool_id(free[0], "rota")
        monitoring.register_callback(free[0], monitoring.events.PY_UNWIND, on_unwind)
        monitoring.set_events(free[0], monitoring.events.PY_UNWIND)
        return True

    def _wrap_sys_exit(self) -> None:
        real = sys.exit

        def exit(status: object = None, /) -> Any:  # noqa: A001
            if get_ident() == self._main:
                self._exit = (self._frame.f_lasti, status, getattr(sys, "last_value", None))
            try:
                return real(status)  # type: ignore[arg-type]
            except SystemExit as leaving:
                leaving.__traceback__ = None  # not even this frame shows, should somebody print it (from CPython 3.11 on)
                raise

        exit.__doc__, exit.__module__ = real.__doc__, "sys"
        sys.exit = exit


def ending_of(error: BaseException | None) -> dict[str, Any]:
    """How an exception (or none) that leaves a block ends what the block is: the arguments of ``Run.finish``."""
    kind = type(error)  # and never `isinstance`, which asks the object: it may answer anything, or raise
    if error is None or issubclass(kind, GeneratorExit):
        return {"state": "succeeded"}
    if issubclass(kind, SystemExit):
        code = exit_code_of(_code_of(error))
        return {"state": "failed" if code else "succeeded", "exit_code": code, "reason": "exit"}
    if issubclass(kind, KeyboardInterrupt) or kind.__name__ == "CancelledError":
        return {"state": "cancelled", "reason": "interrupt" if issubclass(kind, KeyboardInterrupt) else "cancelled"}
    from rota._failure import describe

    return {"state": "failed", "reason": "exception", "error": describe(error)}


def exit_of(error: BaseException | None) -> dict[str, Any]:
    """How an exception (or none) that leaves the program ends its process: the arguments of ``Run.finish``."""
    if error is None:
        return {"state": "succeeded", "exit_code": 0}
    return _exited(_code_of(error)) if issubclass(type(error), SystemExit) else _uncaught(error)


def exit_code_of(code: object) -> int:
    """The exit status that CPython makes of ``SystemExit.code``: None is 0, an int its low byte, anything else 1."""
    if code is None:
        return 0
    if not issubclass(type(code), int):
        return 1
    number = int.__int__(code)  # type: ignore[arg-type]
    return number & 0xFF if -(1 << 63) <= number < 1 << 63 else 255  # one that no C long holds is -1


def outermost_frame() -> FrameType:
    """The frame at the bottom of this thread's stack: the script, or what runs it."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
    return frame


def _return_opcodes() -> tuple[int, ...]:
    version = sys.version_info[:2]
    if version < (3, 12):
        return (83,)
    if version in _RETURNS:
        return _RETURNS[version]
    import opcode

    return tuple(opcode.opmap[name] for name in ("RETURN_VALUE", "RETURN_CONST") if name in opcode.opmap)


def _code_of(error: BaseException) -> object:
    """``SystemExit.code``; the exit itself when its class makes that fail: CPython prints it then, as any other object."""
    try:
        return error.code  # type: ignore[attr-defined]
    except Exception:
        return error


def _exited(code: object) -> dict[str, Any]:
    status = exit_code_of(code)
    if not status:
        return {"state": "succeeded", "exit_code": 0, "reason": "exit"}
    error = None
    if not issubclass(type(code), int):
        from rota.wire import names

        # sys.exit("text") prints the text; other objects are printed too, but by the user's own __str__: not called again.
        error = {names.EXCEPTION_TYPE: "SystemExit", names.EXCEPTION_MESSAGE: code if type(code) is str else type(code).__name__}
    return {"state": "failed", "exit_code": status, "reason": "exit", "error": error}


def _uncaught(error: BaseException) -> dict[str, Any]:
    if issubclass(type(error), KeyboardInterrupt):
        return {"state": "cancelled", "exit_code": 130, "reason": "sigint"}
    from rota._failure import describe

    return {"state": "failed", "exit_code": 1, "reason": "exception", "error": describe(error)}
