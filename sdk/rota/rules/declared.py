"""What code says about its workflow when a run begins: the arguments of ``watch()`` and of ``rota exec``, as they were given."""

from __future__ import annotations

from typing import NamedTuple, Optional


class Declared(NamedTuple):
    """Each as text, or None when it was not given. ``named_by``: ``given``, or ``script`` for a name taken from a file."""

    schedule: Optional[str] = None
    tz: Optional[str] = None
    grace: Optional[str] = None
    max_duration: Optional[str] = None
    named_by: Optional[str] = None
