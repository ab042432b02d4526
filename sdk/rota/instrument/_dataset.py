"""A data set that is read or written: its name, its rows and, for a file of this machine, its bytes."""

from __future__ import annotations

import os

from rota.instrument import _patch
from rota.instrument._call import Call, Label, begin
from rota.wire import events, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from rota._run import Run
    from rota._task import Task

    Pick = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]  # one thing out of self, args and kwargs
    Start = Callable[[Run | Task, Any, tuple[Any, ...], dict[str, Any]], "Transfer | None"]

_MOST_NAME = 1024  # characters


class Unsized:
    """What has a name and no size: part of a file, a table."""

    def __init__(self, name: Any) -> None:
        self.name = name


class Transfer(Call):
    """A data set that moves between the program and somewhere else."""

    __slots__ = ("frame", "path")

    def __init__(self, label: Label, place: Run | Task) -> None:
        super().__init__(label, place)
        self.frame: Any = None
        self.path: Any = None


def observe(owner: Any, name: str, start: Start, fail: Any = Call.finish) -> None:
    """Replace the method ``owner.name`` by itself with a transfer around."""
    _patch.observe(owner, name, start, finish, fail)
    _stand_in_file(vars(owner)[name])


def observe_function(module: Any, name: str, start: Start) -> None:
    """As ``observe``, for a function of a module."""
    _patch.observe_function(module, name, start, finish)
    _stand_in_file(vars(module)[name])


def _stand_in_file(wrapper: Any) -> None:
    """pandas and polars warn the first frame that is in none of their files, and count the frames to it: ours is as theirs."""
    code = getattr(getattr(wrapper, "__wrapped__", None), "__code__", None)
    if code is not None:
        wrapper.__code__ = wrapper.__code__.replace(co_filename=code.co_filename)


def argument(name: str, place: int) -> Pick:
    """Picks the argument of that name, or at that place (``self`` not counted); None when it was not given."""
    return lambda _self, args, kwargs: kwargs[name] if name in kwargs else args[place] if len(args) > place else None


def table(name: str, place: int) -> Pick:
    """As ``argument``, for the name of a table."""
    return lambda *call: Unsized(argument(name, place)(*call))


def read(library: str, name: str, source: Pick) -> Start:
    """What starts a call that reads ``source``; the frame is its result."""
    label = Label(library, library + " " + name, {names.DATASET_ACCESS: "read"}, events.KIND_INTERNAL)

    def start(place: Run | Task, self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Transfer | None:
        return _begun(label, place, source(self, args, kwargs), None)

    return start


def write(library: str, name: str, target: Pick, frame: Pick) -> Start:
    """What starts a call that writes ``frame`` to ``target``; without a target it only makes a text, and is none."""
    label = Label(library, library + " " + name, {names.DATASET_ACCESS: "write"}, events.KIND_INTERNAL)

    def start(place: Run | Task, self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Transfer | None:
        to = target(self, args, kwargs)
        return None if to is None else _begun(label, place, to, frame(self, args, kwargs))

    return start


def finish(call: Any, result: Any) -> None:
    """Close it with the rows of the frame and the bytes of the file."""
    frame, call.frame = (result if call.frame is None else call.frame), None
    call.facts = {**call.facts, names.DATASET_ROWS: _rows(frame), names.DATASET_BYTES: size(call.path)}
    call.finish()


def _begun(label: Label, place: Run | Task, what: Any, frame: Any) -> Transfer | None:
    call = begin(label, place, Transfer)
    if call is not None:
        call.path = what if isinstance(what, (str, os.PathLike)) else None
        call.facts = {names.DATASET_NAME: plain_name(what.name if type(what) is Unsized else what)}
        call.frame = frame
    return call


def _rows(frame: Any) -> int | None:
    """Those of a frame or a series, and of no iterator over pieces, dict of sheets or plan."""
    return len(frame) if isinstance(getattr(frame, "shape", None), tuple) else None


def plain_name(given: object) -> str | None:
    """A path, a table, or a URL without its secrets; None for what has no name."""
    path = os.fspath(given) if isinstance(given, (str, os.PathLike)) else None
    if not isinstance(path, str):
        return None
    if "://" in path:
        from rota.instrument._http import plain_url

        path = plain_url(path)
    return path[:_MOST_NAME]


def size(path: Any) -> int | None:
    """Bytes of a file of this machine; None for anything else."""
    try:
        return os.stat(path).st_size if path is not None and os.path.isfile(path) else None
    except OSError:
        return None
