"""What a script under ``rota exec`` tells it of the error that ended an attempt: whether to try again may depend on it.

One small file an attempt, ``$ROTA_HOME/spool/told/<stem>``: the exception's class and bases on the first line, then its text.
"""

from __future__ import annotations

import os
import sys
import time

from rota._failure import MAX_STACK, classes, type_name
from rota._guard import guarded
from rota.wire import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping

_STALE_SECONDS = 3600.0  # exec takes what it is told at once; an older one is of an exec that was killed


@guarded
def tell(path: str, described: Mapping[str, object]) -> None:
    """Write the error that the interpreter prints now. ``described`` as of ``rota._failure``."""
    kind, text = str(described.get(names.EXCEPTION_TYPE)), str(described.get(names.EXCEPTION_MESSAGE))
    error = getattr(sys, "last_value", None)
    told = classes(error) if error is not None and type_name(error) == kind else (kind,)
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(fd, ("%s\n%s" % (" ".join(told), text)).encode("utf-8", "replace"))
    finally:
        os.close(fd)


def take(path: str) -> tuple[tuple[str, ...], str]:
    """(classes, text) of what was told, which is forgotten now; nothing of either when nothing was."""
    try:
        with open(path, "rb") as file:
            first, _, text = file.read(MAX_STACK).decode("utf-8", "replace").partition("\n")
        os.unlink(path)
    except OSError:
        return (), ""
    return tuple(first.split()), text


@guarded
def sweep(folder: str) -> None:
    """Remove what was told to those who were killed before they took it."""
    for entry in os.scandir(folder) if os.path.isdir(folder) else ():
        if time.time() - entry.stat().st_mtime > _STALE_SECONDS:
            os.unlink(entry.path)
