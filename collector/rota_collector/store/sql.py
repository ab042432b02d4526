"""SQL lives in .sql files beside this one: queries with a name and a comment each."""

from __future__ import annotations

import re
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def queries(file: str) -> dict[str, str]:
    """The queries of a file of this package, by the name in the ``-- name:`` line above each."""
    parts = _NAME.split(files(__package__).joinpath(file).read_text(encoding="utf-8"))
    return {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}
