"""A wrapper in the place of a method. Apart from ``_patch``, which not everybody needs: a script's start pays for each file."""

from __future__ import annotations

from rota._guard import unseen
from rota._wrap import disguised
from rota.instrument import STUBS, hide

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable


def standing(owner: Any, name: str) -> Any:
    """What stands in the place of ``owner.name``, or stood there before our stub."""
    found = vars(owner)[name]
    return STUBS.get(id(found), (found, found))[1]


def followed(method: Any, then: Callable[[Any, Any], object]) -> Any:
    """``method`` as it is, with ``then(self, result)`` once it has returned."""

    def wrapper(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        try:
            result = method(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise
        then(self, result)
        return result

    return unseen(wrapper)


def replace(owner: Any, name: str, wrapper: Any) -> None:
    """Put a wrapper into the place of ``owner.name``, in its disguise."""
    original = standing(owner, name)
    if not hasattr(original, "__rota__"):
        wrapper = disguised(wrapper, original)
        wrapper.__rota__ = True
        setattr(owner, name, wrapper)
