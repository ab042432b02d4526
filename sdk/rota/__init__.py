"""rota: two lines make a script an observed run.

    import rota
    rota.watch()

Names are loaded on first use, so that ``import rota`` costs a script next to nothing.

PYTEST_DONT_REWRITE: else pytest, for which we have a plugin, warns a program that imports rota before it runs its tests.
"""

from __future__ import annotations

import _thread
import os
import sys

__version__ = "0.1.0"
__all__ = ["GateDenied", "current", "record", "run", "task", "traceparent", "watch"]

_HOME_OF = {
    "watch": "rota._watch",
    "run": "rota._inner",
    "current": "rota._current",
    "record": "rota._current",
    "traceparent": "rota._current",
    "task": "rota._task",
    "GateDenied": "rota.errors",
}

# By functions, in any thread.
_LOADED_LATE = ("_detach", "_ending", "_failure", "_http", "_inner", "_surroundings", "_task", "_wrap", "wire.shapes")

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rota._current import current, record, traceparent
    from rota._inner import run
    from rota._task import task
    from rota._watch import watch
    from rota.errors import GateDenied


def __getattr__(name: str) -> object:
    module = _HOME_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'rota' has no attribute {name!r}")
    try:
        value = getattr(__import__(module, fromlist=(name,)), name)
    except Exception:
        return _absent(name)
    globals()[name] = value
    return value


def _absent(name: str) -> object:
    """What does nothing in the place of a name that cannot be loaded now: no descriptor is left, or our files are gone."""

    class Nothing:
        def __new__(cls, given: object = None) -> object:  # type: ignore[misc]
            return given if callable(given) else super().__new__(cls)

        def __call__(self, function: object) -> object:
            return function

        def __enter__(self) -> None:
            return

        async def __aenter__(self) -> None:
            return

        def __exit__(self, *_: object) -> None:
            return

        async def __aexit__(self, *_: object) -> None:
            return

    if name == "GateDenied":
        return type(name, (Exception,), {})
    return Nothing if name in ("run", "task") else lambda *_, **__: None


def _load_all() -> None:
    """Before a fork with threads about: the lock of a module that one of them imports would be held in the child for ever."""
    try:
        if _thread._count() and any(module in sys.modules for module in _HOME_OF.values()):
            for name in _LOADED_LATE:
                __import__("rota." + name)
            if "rota.instrument" in sys.modules:
                sys.modules["rota.instrument"].load_awaited()
            if "rota.control.client" in sys.modules:
                __import__("rota.control.collector")
    except Exception:  # whoever needs it finds out
        return


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_load_all)


def __dir__() -> list[str]:
    return sorted(__all__)
