"""What went wrong, where all that is told of it is a line of text. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

UNNAMED = "error"
_TYPED = re.compile(r"(?:[^\n]{0,80}?[: ])?([A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt)): (.*)", re.DOTALL)


def of_message(text: str) -> tuple[str, str]:
    """(type, message): ``ValueError`` of ``Run failed: ValueError: no such table``; without a type it is ``error``."""
    found = re.match(_TYPED, text[:4096])
    return (found[1], found[2] + text[4096:]) if found else (UNNAMED, text)


def is_one_of(conditions: Sequence[str] | None, error_type: str | None, message: str | None) -> bool:
    """Whether a failure is one of those that a policy names: an error by its name (with or without its module), or
    ``message:REGEX``. Without conditions every one is.
    """
    if not conditions:
        return True
    return any(
        re.search(each[8:], message or "") is not None
        if each.startswith("message:")
        else error_type is not None and each in (error_type, error_type.rpartition(".")[2])
        for each in conditions
    )
