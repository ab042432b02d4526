"""What went wrong, where all that is told of it is a line of text. Pure."""

from __future__ import annotations

import re

UNNAMED = "error"
_TYPED = re.compile(r"(?:[^\n]{0,80}?[: ])?([A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt)): (.*)", re.DOTALL)


def of_message(text: str) -> tuple[str, str]:
    """(type, message): ``ValueError`` of ``Run failed: ValueError: no such table``; without a type it is ``error``."""
    found = re.match(_TYPED, text[:4096])
    return (found[1], found[2] + text[4096:]) if found else (UNNAMED, text)
