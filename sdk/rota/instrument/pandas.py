"""pandas: a span each time a data set is read or written, with its rows and, for a file of this machine, its bytes.

Watched are the classes behind ``read_csv``, ``read_json``, ``read_parquet`` and ``read_sql``, so that a file that is read in
chunks is counted as the program takes them; and those behind ``to_csv``, ``to_json``, ``to_parquet`` and ``to_sql``. What
pandas does below, with a database or over HTTP, is part of it.
"""

from __future__ import annotations

import os
from importlib import import_module

from rota.instrument import _patch, hide
from rota.instrument._call import Call, Label, begin
from rota.instrument._replace import replace
from rota.wire import events, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Callable

    from rota._run import Run
    from rota._task import Task

    Pick = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]  # one thing out of self, args and kwargs

_AT = "_rota_source"  # where a reader keeps the name of what it reads
_MOST_NAME = 1024  # characters


class Transfer(Call):
    """A data set that moves between pandas and somewhere else."""

    __slots__ = ("frame", "path")

    def __init__(self, label: Label, place: Run | Task) -> None:
        super().__init__(label, place)
        self.frame: Any = None
        self.path: Any = None


def install(_module: ModuleType) -> None:
    """Watch the classes that read and write."""
    readers, json = import_module("pandas.io.parsers.readers"), import_module("pandas.io.json._json")
    for kind, name in ((readers.TextFileReader, "read_csv"), (json.JsonReader, "read_json")):
        replace(kind, "__init__", _remembering(vars(kind)["__init__"]))
        _patch.observe(kind, "read", _read(name, _remembered), _finish, _fail)
    parquet = import_module("pandas.io.parquet")
    for kind in (parquet.PyArrowImpl, parquet.FastParquetImpl):
        _patch.observe(kind, "read", _read("read_parquet", _argument("path", 0)), _finish)
        _patch.observe(kind, "write", _write("to_parquet", _argument("path", 1), _argument("df", 0)), _finish)
    sql = import_module("pandas.io.sql")
    for kind in (sql.SQLDatabase, sql.SQLiteDatabase):
        _patch.observe(kind, "read_query", _read("read_sql", lambda *_: None), _finish)
        _patch.observe(kind, "to_sql", _write("to_sql", _table("name", 1), _argument("frame", 0)), _finish)
    _patch.observe(sql.SQLDatabase, "read_table", _read("read_sql", _table("table_name", 0)), _finish)
    frame = import_module("pandas.core.generic").NDFrame
    for name in ("to_csv", "to_json"):
        _patch.observe(frame, name, _write(name, _argument("path_or_buf", 0), lambda self, *_: self), _finish)


def _argument(name: str, place: int) -> Pick:
    return lambda _self, args, kwargs: kwargs[name] if name in kwargs else args[place] if len(args) > place else None


def _remembering(method: Any) -> Any:
    def __init__(self: Any, /, *args: Any, **kwargs: Any) -> None:  # noqa: N807 (it takes that one's place)
        self.__dict__[_AT] = args[0] if args else kwargs.get("f", kwargs.get("filepath_or_buffer"))
        try:
            method(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise

    return __init__


def _remembered(self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What the reader reads; without a path, and so without a size, when it is asked for a piece."""
    is_piece = (args[0] if args else kwargs.get("nrows")) is not None
    source = self.__dict__.get(_AT)
    return _Unsized(source) if is_piece else source


class _Unsized:
    """What has a name and no size: part of a file, a table."""

    def __init__(self, name: Any) -> None:
        self.name = name


def _table(name: str, place: int) -> Pick:
    return lambda *call: _Unsized(_argument(name, place)(*call))


def _read(name: str, source: Pick) -> Any:
    label = Label("pandas", "pandas " + name, {names.DATASET_ACCESS: "read"}, events.KIND_INTERNAL)

    def start(place: Run | Task, self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Transfer | None:
        return _begun(label, place, source(self, args, kwargs), None)

    return start


def _write(name: str, target: Pick, frame: Pick) -> Any:
    label = Label("pandas", "pandas " + name, {names.DATASET_ACCESS: "write"}, events.KIND_INTERNAL)

    def start(place: Run | Task, self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Transfer | None:
        to = target(self, args, kwargs)
        return None if to is None else _begun(label, place, to, frame(self, args, kwargs))  # None: it becomes a str

    return start


def _begun(label: Label, place: Run | Task, what: Any, frame: Any) -> Transfer | None:
    call = begin(label, place, Transfer)
    if call is not None:
        name = what.name if type(what) is _Unsized else what
        call.path = what if isinstance(what, (str, os.PathLike)) else None
        call.facts = {names.DATASET_NAME: _name(name)}
        call.frame = frame
    return call


def _finish(call: Any, result: Any) -> None:
    frame, call.frame = (result if call.frame is None else call.frame), None
    rows = len(frame) if hasattr(frame, "iloc") else None  # a frame or a series, and no iterator over pieces
    call.facts = {**call.facts, names.DATASET_ROWS: rows, names.DATASET_BYTES: _size(call.path)}
    call.finish()


def _fail(call: Call, error: BaseException) -> None:
    if not isinstance(error, StopIteration):  # after the last piece of a file there is nothing to tell
        call.finish(error)


def _name(given: object) -> str | None:
    path = os.fspath(given) if isinstance(given, (str, os.PathLike)) else None
    if not isinstance(path, str):
        return None
    if "://" in path:
        from rota.instrument._http import plain_url

        path = plain_url(path)
    return path[:_MOST_NAME]


def _size(path: Any) -> int | None:
    try:
        return os.stat(path).st_size if path is not None and os.path.isfile(path) else None
    except OSError:
        return None
