"""Functions that a script defines after ``rota.watch()``: noticed line by line in its body, until the last one exists.

The code of the script's body names what it will define. On CPython >= 3.12 ``sys.monitoring`` tells of the lines of that code
alone; before, a trace function does, which costs every call a little until it is switched off. A tracer that is there already
(a debugger, coverage) is not replaced: then nothing is noticed, and ``Coming.watch`` says so.
"""

from __future__ import annotations

import dis
import sys
from types import CodeType

from rota._guard import note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, Callable, Iterator

_TOOLS = (4, 3, 5, 2)  # sys.monitoring tool ids, those first that no debugger or coverage tool claims
_FUNCTION = 0x1  # inspect.CO_OPTIMIZED: the code of a function, not of a class or a module
_MISSING = object()


def definitions(code: CodeType) -> Iterator[CodeType]:
    """The code of the functions and classes that a body defines, also inside ``if`` and ``try``; in order."""
    for found in code.co_consts:
        if isinstance(found, CodeType):
            if found.co_name.startswith("<generic parameters of "):
                yield from definitions(found)
            elif not found.co_name.startswith("<"):
                yield found


def is_class(code: CodeType) -> bool:
    """Whether it is the body of a class."""
    return not code.co_flags & _FUNCTION


class Coming:
    """Waits for definitions.

    Args:
        frame: in which the script's body runs now.
        wanted: the definitions to wait for, some of what ``definitions`` finds in its code.
        arrived: told the name of each as soon as it is bound; returns what is bound to it then.
    """

    def __init__(self, frame: FrameType, wanted: list[CodeType], arrived: Callable[[str], Any]) -> None:
        self._frame: FrameType | None = frame
        self._code, self._names, self._arrived = frame.f_code, frame.f_globals, arrived
        self._wanted = list(wanted)
        self._last_line = max(_last_line(code) for code in wanted)
        self._before = {code.co_name: self._names.get(code.co_name, _MISSING) for code in wanted}
        self._stop: Callable[[], object] = lambda: None

    def watch(self) -> bool:
        """Begin; False when somebody else traces this program and we have no other way."""
        return self._monitor() or self._trace()

    def _monitor(self) -> bool:
        monitoring: Any = getattr(sys, "monitoring", None)
        free = [tool for tool in _TOOLS if monitoring.get_tool(tool) is None] if monitoring is not None else []
        if not free:
            return False
        tool, line_event, code = free[0], monitoring.events.LINE, self._code

        def stop() -> None:
            monitoring.set_local_events(tool, code, 0)
            monitoring.register_callback(tool, line_event, None)
            monitoring.free_tool_id(tool)

        monitoring.use_tool_id(tool, "rota functions")
        monitoring.register_callback(tool, line_event, lambda _code, line: self._reached(line))
        monitoring.set_local_events(tool, code, line_event)
        self._stop = stop
        return True

    def _trace(self) -> bool:
        frame = self._frame
        if frame is None or sys.gettrace() is not None or frame.f_trace is not None:
            return False

        def stop() -> None:
            frame.f_trace = None
            if sys.gettrace() is no_call:
                sys.settrace(None)

        def no_call(*_: Any) -> None:
            """Called functions are not traced."""

        def on_line(_frame: FrameType, event: str, _argument: Any) -> Any:
            if event == "return":  # or it was left by an exception
                self._end()
                return None
            return None if event == "line" and self._reached(_frame.f_lineno) else on_line

        frame.f_trace = on_line
        sys.settrace(no_call)
        self._stop = stop
        return True

    def _reached(self, line: int) -> bool:
        """A line of the body is about to run; whether it was the last one of interest. Never raises: the script would see it."""
        try:
            for code in list(self._wanted):
                if self._is_there(code):  # a second one of that name is not, yet
                    self._wanted.remove(code)
                    self._before[code.co_name] = self._arrived(code.co_name)
            if self._wanted and line <= self._last_line:
                return False
        except Exception as error:
            note("functions", error)
        self._end()
        return True

    def _is_there(self, code: CodeType) -> bool:
        found = self._names.get(code.co_name, _MISSING)
        return found is not _MISSING and found is not self._before[code.co_name]

    def _end(self) -> None:
        try:
            self._stop()
        except Exception as error:
            note("functions", error)
        self._frame = None


def _last_line(code: CodeType) -> int:
    """Of a definition. The next line of its body is past it."""
    own = [line or 0 for _, line in dis.findlinestarts(code)]  # from CPython 3.13 on some are None
    return max([code.co_firstlineno, *own, *map(_last_line, definitions(code))])
