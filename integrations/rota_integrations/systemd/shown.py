"""The output of ``systemctl show`` → the properties of each unit. Pure."""

from __future__ import annotations

import re
from typing import Iterator, List, Sequence, Tuple


def units(shown: str) -> Iterator[Sequence[Tuple[str, str]]]:
    """Of each unit, its properties as they come: a name may come more than once."""
    for block in re.split(r"\n\s*\n", shown.strip()):
        pairs: List[Tuple[str, str]] = []
        for line in block.splitlines():
            name, _, value = line.partition("=")
            pairs.append((name, value))
        yield pairs
