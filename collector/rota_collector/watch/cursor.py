"""A position in the journal, in a file of its own: whole or not there, and on disk before anybody relies on it."""

from __future__ import annotations

import os
from pathlib import Path

from rota_collector import _files


class CursorFile:
    """The file ``path``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> int | None:
        """The offset; None when there is no file, or nothing in it that one could go by."""
        try:
            text = self._path.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
        return int(text) if text.isdigit() else None

    def write(self, offset: int) -> None:
        """Return when it is on disk. Raises OSError."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self._path.with_name(self._path.name + ".new")
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, b"%d\n" % offset)
            _files.sync(fd)
        finally:
            os.close(fd)
        beside.replace(self._path)
        _files.sync_directory(self._path.parent)
