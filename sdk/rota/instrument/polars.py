"""polars: a span each time a data set is read or written, with its rows and, for a file of this machine, its bytes.

Watched are ``polars.read_*``, the methods ``write_*`` of a frame, and of a lazy frame ``collect`` and ``sink_*``. A lazy frame
names no source, and what sinks into a file is never a frame: the first has rows only, the second bytes only. A function that
was imported by name before the run began (``from polars import read_csv``) is not seen.
"""

from __future__ import annotations

import os

from rota.instrument._dataset import argument, observe, observe_function, read, table, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_READ = ("read_avro", "read_csv", "read_excel", "read_ipc", "read_json", "read_ndjson", "read_ods", "read_parquet")
_READ_SQL = ("read_database", "read_database_uri")
_WRITTEN = ("write_avro", "write_csv", "write_excel", "write_ipc", "write_json", "write_ndjson", "write_parquet")
_SUNK = ("sink_csv", "sink_ipc", "sink_ndjson", "sink_parquet")


def install(module: ModuleType) -> None:
    """Watch functions and methods that read and write."""
    functions, frame, lazy = vars(module), module.DataFrame, module.LazyFrame
    for name in functions.keys() & set(_READ):
        observe_function(module, name, read("polars", name, argument("source", 0)))
    for name in functions.keys() & set(_READ_SQL):
        observe_function(module, name, read("polars", name, lambda *_: None))
    for name in vars(frame).keys() & set(_WRITTEN):
        observe(frame, name, write("polars", name, _target, lambda self, *_: self))
    observe(frame, "write_database", write("polars", "write_database", table("table_name", 0), lambda self, *_: self))
    observe(lazy, "collect", read("polars", "collect", lambda *_: None))
    for name in vars(lazy).keys() & set(_SUNK):
        observe(lazy, name, write("polars", name, _path, lambda *_: None))


def _target(_self: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The file: the first argument, however the method calls it."""
    return args[0] if args else kwargs.get("file", kwargs.get("workbook"))


def _path(_self: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Where a plan sinks into; None for a buffer: that is how polars makes a text out of a frame."""
    given = args[0] if args else kwargs.get("path")
    return given if isinstance(given, (str, os.PathLike)) else None
