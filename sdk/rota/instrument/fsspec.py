"""fsspec: a span a file, from its opening to its closing, and one a ``cat``, ``pipe``, ``get`` or ``put``; the bytes that moved.

What reads or writes moves the position of a file by just as many bytes; only ``seek`` moves it without. So a file is asked for
its position when it is sought in and when it is closed, and a read or a write costs nothing. Bytes are not known of a file that
is opened for appending, or is compressed or cached by a class that is not fsspec's own. Of filesystems that are asynchronous
below (s3fs, gcsfs, http) the files are seen, and the four methods are not.
"""

from __future__ import annotations

from io import BytesIO
from time import monotonic_ns
from weakref import ref

from rota._failure import type_name
from rota._guard import guarded
from rota.instrument import hide
from rota.instrument._call import Call, Label, OpenCall, begin
from rota.instrument._dataset import argument, plain_name, size
from rota.instrument._patch import observe
from rota.instrument._replace import replace
from rota.wire import events, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from rota._run import Run
    from rota._task import Task
    from rota.instrument._dataset import Pick

_AT = "_rota_stream"  # where a file keeps its call
_OWN = (
    ("fsspec.spec", "AbstractBufferedFile"),
    ("fsspec.implementations.local", "LocalFileOpener"),
    ("fsspec.implementations.memory", "MemoryFile"),
)
_path, _mode = argument("path", 0), argument("mode", 1)
_followed: dict[type, Stream] = {}  # classes of files that are watched, with the first call that met them
_OPENED = {
    access: Label("fsspec", "fsspec open", {names.DATASET_ACCESS: access}, events.KIND_INTERNAL) for access in ("read", "write")
}


class Stream(OpenCall):
    """An open file. It is told when it is closed, or with the run."""

    __slots__ = ("file", "moved", "position")
    file: ref[Any]  # never what keeps it open
    moved: int
    position: int

    def begin_at(self, file: Any) -> None:
        """Count from where the file is now."""
        self.file, self.moved, self.position = ref(file), 0, file.tell()

    def move(self, until: int, then: int) -> None:
        """The file was read or written until one position, and is at another now."""
        self.moved += until - self.position
        self.position = then

    def settle(self) -> None:
        """With the bytes by then."""
        file = self.file()
        if file is not None and not file.closed:
            self.move(file.tell(), 0)
        self.ended_ns = monotonic_ns()
        self.facts = {**(self.facts or {}), names.DATASET_BYTES: self.moved}
        self.finish()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return dict, ()  # a file that is pickled leaves its call behind


class Move(Call):
    """A method that moves whole files. ``given``: the bytes, or the file of this machine; None when its result is the bytes."""

    __slots__ = ("given",)
    given: Any


def install(module: ModuleType) -> None:
    """Watch the methods that filesystems inherit. The classes of files are watched when the first of them is opened."""
    base = module.AbstractFileSystem
    path, rpath, lpath = argument("path", 0), argument("rpath", 0), argument("lpath", 1)
    observe(base, "open", _opening, _opened)
    observe(base, "cat", _moving("cat", "read", path, lambda *_: None), _moved)
    observe(base, "pipe", _moving("pipe", "write", path, _piped), _moved)
    observe(base, "get", _moving("get", "read", rpath, lpath), _moved)
    observe(base, "put", _moving("put", "write", argument("rpath", 1), argument("lpath", 0)), _moved)


def _opening(place: Run | Task, filesystem: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    mode = _mode(None, args, kwargs) or "rb"
    if "b" not in mode:  # opened by another call of this method, with a text layer around
        return None
    call = begin(_OPENED["read" if mode == "rb" else "write"], place, Call if "a" in mode else Stream)
    if call is not None:
        call.facts = {names.DATASET_NAME: _name(filesystem, _path(None, args, kwargs))}
    return call


def _opened(call: Any, file: Any) -> None:
    kind = next((each for each in type(file).__mro__ if (each.__module__, each.__name__) in _OWN), None)
    if kind is None or type(call) is not Stream:
        call.finish()
        return
    if _followed.setdefault(kind, call) is call:  # by one thread
        _follow(kind)
    _let_go(file.__dict__.pop(_AT, None))  # a file in memory is opened again without having been made anew
    call.begin_at(file)
    call.stay_open()
    file.__dict__[_AT] = call


def _follow(kind: Any) -> None:
    if "seek" not in vars(kind):
        kind.seek = kind.seek  # what is inherited from C
    for name, around in (("seek", _seeking), ("readuntil", _at_once), ("close", _closing), ("__exit__", _closing)):
        if name in vars(kind):
            replace(kind, name, around(vars(kind)[name]))


def _seeking(method: Any) -> Any:
    def seek(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        before = _position(self)
        try:
            found = method(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise
        if before is not None:
            _sought(self, before, found)
        return found

    return seek


@guarded
def _sought(file: Any, before: int, found: int) -> None:
    file.__dict__[_AT].move(before, found)


@guarded
def _position(file: Any) -> int | None:
    return file.tell() if type(file.__dict__.get(_AT)) is Stream else None


def _at_once(method: Any) -> Any:
    """For what reads ahead and seeks back: only the bytes between its beginning and its end are read."""

    def readuntil(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        call = self.__dict__.pop(_AT, None)
        try:
            return method(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise
        finally:
            if call is not None:
                self.__dict__[_AT] = call

    return readuntil


def _closing(method: Any) -> Any:
    def close(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        call = _counted(self)
        try:
            result = method(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            _let_go(call, error)
            raise
        _let_go(call)
        return result

    return close


@guarded
def _counted(file: Any) -> Stream | None:
    """The call of a file that is about to close; afterwards nobody knows its position."""
    call = file.__dict__.get(_AT)
    if type(call) is not Stream or file.closed:
        return None
    call.move(file.tell(), file.tell())
    if not call.moved and isinstance(file, BytesIO):
        return None  # one object in memory for all openings: this may be the end of an earlier one, let go of by its text layer
    del file.__dict__[_AT]
    return call


@guarded
def _let_go(call: Stream | None, error: BaseException | None = None) -> None:
    if type(call) is Stream:
        if error is not None:
            call.error = type_name(error)
        call.let_go()


def _moving(name: str, access: str, path: Pick, given: Pick) -> Any:
    label = Label("fsspec", "fsspec " + name, {names.DATASET_ACCESS: access}, events.KIND_INTERNAL)

    def start(place: Run | Task, filesystem: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Move | None:
        call = begin(label, place, Move)
        if call is not None:
            call.facts = {names.DATASET_NAME: _name(filesystem, path(filesystem, args, kwargs))}
            call.given = given(filesystem, args, kwargs)
        return call

    return start


def _piped(*call: Any) -> Any:
    """What is written: a value, or a dict of them in the place of the path."""
    value = argument("value", 1)(*call)
    return value if value is not None else argument("path", 0)(*call)


def _moved(call: Any, result: Any) -> None:
    given, call.given = call.given, None
    call.facts = {**call.facts, names.DATASET_BYTES: _bytes(given if given is not None else result)}
    call.finish()


def _bytes(moved: Any) -> int | None:
    """Those of a value, of a dict of values, or of a file of this machine."""
    if isinstance(moved, dict):
        return sum(len(value) for value in moved.values() if isinstance(value, bytes))
    return len(moved) if isinstance(moved, (bytes, bytearray)) else size(moved)


def _name(filesystem: Any, path: object) -> str | None:
    is_bare = isinstance(path, str) and "://" not in path and "file" not in filesystem.protocol
    return plain_name(filesystem.unstrip_protocol(path) if is_bare else path)
