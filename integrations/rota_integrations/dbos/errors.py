"""What a workflow or a step of DBOS's raised, out of its database: what is pickled there is read and never run."""

from __future__ import annotations

import base64
import io
import json
import pickle
from typing import Any

from rota.wire import names


def error_of(kept: str | None) -> dict[str, str]:
    """The attributes of an error as DBOS keeps it; what cannot be read is told as it is.

    Args:
        kept: a pickle in base64, or JSON.
    """
    if not kept:
        return {}
    kind, message = _read(kept)
    return {names.ERROR_TYPE: kind, names.EXCEPTION_TYPE: kind, names.EXCEPTION_MESSAGE: message}


def _read(kept: str) -> tuple[str, str]:
    try:
        found = json.loads(kept)
        if isinstance(found, dict):
            return str(found.get("name") or "Error"), str(found.get("message") or kept[:1000])
    except ValueError:
        pass
    try:
        error = _Reader(io.BytesIO(base64.b64decode(kept))).load()
        return type(error).__name__, str(error)
    except Exception:  # noqa: BLE001  whatever it is, it is somebody else's
        return "Error", kept[:1000]


class _Reader(pickle.Unpickler):
    """Makes no object of a class that the data names, only one that is called the same."""

    def find_class(self, module: str, name: str) -> Any:
        """A class of that name that does nothing."""
        return type(name.rpartition(".")[2], (_Said,), {"__module__": module})


class _Said:
    """What an exception was made of."""

    def __init__(self, *args: Any, **_: Any) -> None:
        self.args = args

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.args = state.get("args", self.args)

    def __str__(self) -> str:
        return " ".join(map(str, self.args))

    def __repr__(self) -> str:
        return "%s(%s)" % (type(self).__name__, ", ".join(map(repr, self.args)))
