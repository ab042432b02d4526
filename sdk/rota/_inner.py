"""``rota.run``: runs inside a long-lived process or a notebook."""

from __future__ import annotations

from rota import _config, instrument
from rota._current import current, enter, leave
from rota._ending import ending_of
from rota._guard import guarded
from rota._process import process
from rota._run import Run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any


class _InnerRun:
    """``with rota.run("name"):`` and ``async with``; also a decorator."""

    def __init__(self, name: str | None) -> None:
        self._name = name
        self._open: list[tuple[Run | None, Any]] = []

    def __call__(self, function: Any) -> Any:
        from rota._wrap import wrap

        name: str = self._name or getattr(function, "__name__", None) or "run"
        return wrap(function, lambda: begin(name), end)

    def __enter__(self) -> Run | None:
        opened = begin(self._name or "run")
        self._open.append((opened, enter(opened)))
        return opened

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        opened, token = self._open.pop()
        leave(token)
        end(opened, error)

    async def __aenter__(self) -> Run | None:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.__exit__(kind, error, trace)


def run(name: Any = None) -> Any:
    """A run inside this process: ``@rota.run``, ``@rota.run("name")`` or ``with rota.run("name"):``.

    Each call, or each block, is one run. Works for functions, coroutines and generators. Never touches the environment.
    """
    return _InnerRun(None)(name) if callable(name) else _InnerRun(name)


@guarded
def begin(name: str) -> Run | None:
    """Open an inner run; None when rota is disabled."""
    if _config.disabled():
        return None
    place = current()
    inner = Run(process(name), name, "inner", parent=place.run if place is not None else None)
    inner.start()
    instrument.start()
    return inner


@guarded
def end(inner: Run | None, error: BaseException | None) -> None:
    """Close an inner run with the exception that left it, if any."""
    if inner is not None:
        inner.finish(**ending_of(error))
