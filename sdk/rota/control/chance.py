"""The dice that ``rota.rules`` are given. Not ``random``, whose import costs 5 ms, and whose state is the program's."""

from __future__ import annotations

import os


def chance() -> float:
    """In [0, 1)."""
    return int.from_bytes(os.urandom(6), "big") / (1 << 48)
