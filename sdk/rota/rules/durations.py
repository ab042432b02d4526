"""Durations as people write them: ``15m``, ``1h30m``, ``2 h``. Units: s, m (or min), h, d, w; a bare number is seconds."""

from __future__ import annotations

import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|min|[smhdw])\s*")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def seconds(text: str) -> float:
    """``text`` in seconds. Raises ValueError, which shows the value and an example."""
    words = str(text).strip().lower()
    if _NUMBER.fullmatch(words):
        return float(words)
    total, end = 0.0, 0
    for part in _PART.finditer(words):
        if part.start() != end:
            break
        total, end = total + float(part.group(1)) * _UNITS[part.group(2)], part.end()
    if not words or end != len(words):
        raise ValueError("%r is no duration: write it like 90s, 15m, 2h, 1h30m, 1d" % text)
    return total


def words(length: float) -> str:
    """Seconds for people, in the two largest units: ``1 h 30 min``, ``45 s``, ``2 d``."""
    if length < 1:
        return "%d ms" % round(length * 1000)
    left = round(length)
    shown: list[str] = []
    for name, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= size and len(shown) < 2:
            shown.append("%d %s" % (left // size, name))
            left %= size
        elif shown:
            break
    return " ".join(shown)
