"""Durations as people write them: ``15m``, ``1h30m``, ``2 h``. Units: ms, s, m (or min), h, d, w; a bare number is seconds."""

from __future__ import annotations

import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|min|[smhdw])\s*")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
LONGEST_SECONDS = 36_525 * 86_400.0  # a century: in nanoseconds it still is a number that databases keep


def seconds(text: str) -> float:
    """``text`` in seconds. Raises ValueError, which shows the value and an example."""
    written = str(text).strip().lower()
    parts = list(_PART.finditer(written))
    if _NUMBER.fullmatch(written):
        total = float(written)
    elif parts and sum(part.end() - part.start() for part in parts) == len(written):  # nothing between them
        total = sum(float(part.group(1)) * _UNITS[part.group(2)] for part in parts)
    else:
        raise ValueError("%s is no duration: write it like 90s, 15m, 2h, 1h30m, 1d" % _shown(text))
    if total > LONGEST_SECONDS:
        raise ValueError("%s is longer than a century: write it like 90s, 15m, 2h, 1h30m, 1d" % _shown(text))
    return total


def _shown(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) <= 60 else shown[:57] + "…"


def words(length: float) -> str:
    """Seconds for people, in the two largest units: ``1 h 30 min``, ``45 s``, ``2 d``."""
    if 0 < length < 0.9995:
        return "%d ms" % round(length * 1000)
    left = round(length)
    shown: list[str] = []
    for name, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= size and len(shown) < 2:
            shown.append("%d %s" % (left // size, name))
            left %= size
        elif shown:
            break
    return " ".join(shown) or "0 s"
