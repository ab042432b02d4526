"""pandas: a span each time a data set is read or written, with its rows and, for a file of this machine, its bytes.

Watched are the classes behind ``read_csv``, ``read_json``, ``read_parquet`` and ``read_sql``, so that a file that is read in
chunks is counted as the program takes them; and those behind ``to_csv``, ``to_json``, ``to_parquet`` and ``to_sql``. What
pandas does below, with a database or over HTTP, is part of it.
"""

from __future__ import annotations

from importlib import import_module

from rota.instrument import hide
from rota.instrument._dataset import Unsized, argument, observe, read, table, write
from rota.instrument._replace import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from rota.instrument._call import Call

_AT = "_rota_source"  # where a reader keeps the name of what it reads


def install(_module: ModuleType) -> None:
    """Watch the classes that read and write."""
    readers, json = import_module("pandas.io.parsers.readers"), import_module("pandas.io.json._json")
    for kind, name in ((readers.TextFileReader, "read_csv"), (json.JsonReader, "read_json")):
        replace(kind, "__init__", _remembering(vars(kind)["__init__"]))
        observe(kind, "read", read("pandas", name, _remembered), _fail)
    parquet = import_module("pandas.io.parquet")
    for kind in (parquet.PyArrowImpl, parquet.FastParquetImpl):
        observe(kind, "read", read("pandas", "read_parquet", argument("path", 0)))
        observe(kind, "write", write("pandas", "to_parquet", argument("path", 1), argument("df", 0)))
    sql = import_module("pandas.io.sql")
    for kind in (sql.SQLDatabase, sql.SQLiteDatabase):
        observe(kind, "read_query", read("pandas", "read_sql", lambda *_: None))
        observe(kind, "to_sql", write("pandas", "to_sql", table("name", 1), argument("frame", 0)))
    observe(sql.SQLDatabase, "read_table", read("pandas", "read_sql", table("table_name", 0)))
    frame = import_module("pandas.core.generic").NDFrame
    for name in ("to_csv", "to_json"):
        observe(frame, name, write("pandas", name, argument("path_or_buf", 0), lambda self, *_: self))


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
    return Unsized(source) if is_piece else source


def _fail(call: Call, error: BaseException) -> None:
    if not isinstance(error, StopIteration):  # after the last piece of a file there is nothing to tell
        call.finish(error)
