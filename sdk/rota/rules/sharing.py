"""What a workflow shares, and with whom: the part ``share`` of its policy, held against the patterns of a key.

A key for ``report.*`` may do with ``etl.nightly`` what its policy shares with ``report.*``, or with ``*``. It is the key as a
whole that is shared with: one for ``report.*`` is not what ``report.daily`` is shared with, as it stands for other workflows too.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Mapping

ACTS = ("read", "gate", "trigger")


def shares(policy: Mapping[str, Any], act: str, patterns: Iterable[str]) -> bool:
    """Whether a policy document shares an act with a key that is for ``patterns``."""
    offered = (policy.get("share") or {}).get(act) or ()
    return any(covers(wide, narrow) for narrow in patterns for wide in offered)


def covers(wide: str, narrow: str) -> bool:
    """Whether everything that the pattern ``narrow`` matches is matched by ``wide``. In doubt, with [brackets], it is not."""
    if not set("*?[") & set(narrow) or wide == narrow:
        return fnmatchcase(narrow, wide) or wide == narrow
    return not set("[]") & set(wide + narrow) and "?" not in wide and fnmatchcase(narrow, wide)
