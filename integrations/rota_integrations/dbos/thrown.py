"""What an exception said that DBOS keeps, pickled mostly.

It is read without making, or even importing, what was pickled: a database is no place to take code from.
"""

from __future__ import annotations

import base64
import io
import json
import pickle
from typing import Any

from rota.wire import names


class _Thing:
    """Stands for an object of whatever class was pickled."""

    def __new__(cls, *_args: Any, **_named: Any) -> _Thing:
        return object.__new__(cls)

    def __init__(self, *args: Any, **_named: Any) -> None:
        self.args = args

    def __setstate__(self, _state: Any) -> None:
        pass

    def __repr__(self) -> str:
        return "%s(%s)" % (type(self).__name__, ", ".join(map(repr, self.args)))


class _Reader(pickle.Unpickler):
    def find_class(self, _module: str, name: str) -> Any:
        return type(name, (_Thing,), {})


def error(text: str, serialization: str | None) -> dict[str, str]:
    """Attributes of what went wrong.

    Args:
        text: the column ``error``.
        serialization: how it was written, as the column of that name says; None is DBOS's default, ``py_pickle``.
    """
    try:
        if serialization == "portable_json":
            told = json.loads(text)
            return _said(str(told["name"]), str(told["message"]))
        if serialization in (None, "py_pickle"):
            thing = _Reader(io.BytesIO(base64.b64decode(text))).load()
            args = thing.args
            return _said(type(thing).__name__, str(args[0]) if len(args) == 1 else str(args) if args else "")
    except Exception:  # noqa: BLE001  a pickle may be broken in any way; then what it says is not known
        pass
    return {names.EXCEPTION_MESSAGE: "written as %s, which is not read here" % (serialization or "py_pickle")}


def _said(kind: str, message: str) -> dict[str, str]:
    return {names.ERROR_TYPE: kind, names.EXCEPTION_TYPE: kind, names.EXCEPTION_MESSAGE: message}
