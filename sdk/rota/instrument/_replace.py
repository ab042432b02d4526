"""A wrapper in the place of a method. Apart from ``_patch``, which not everybody needs: a script's start pays for each file."""

from __future__ import annotations

from rota._wrap import disguised

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def replace(owner: Any, name: str, wrapper: Any) -> None:
    """Put a wrapper into the place of ``owner.name``, in its disguise."""
    original = vars(owner)[name]
    if not hasattr(original, "__rota__"):
        wrapper = disguised(wrapper, original)
        wrapper.__rota__ = True
        setattr(owner, name, wrapper)
