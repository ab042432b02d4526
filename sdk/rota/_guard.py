"""The wall between rota's own errors and the user's program.

What goes wrong inside rota is written to ``$ROTA_HOME/errors.jsonl``, for ``rota doctor``, and nowhere else: never raised,
printed or logged. Only ``Exception`` is caught: KeyboardInterrupt and SystemExit belong to the user.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])

_LIMIT_BYTES = 256 * 1024
_listener: Callable[[str, BaseException], object] | None = None


def guarded(function: F) -> F:
    """``function``, but an error of its own is noted and None returned. Signature and name do not matter here: internal."""

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            note(function.__name__, error)

    return call  # type: ignore[return-value]


def listen(listener: Callable[[str, BaseException], object] | None) -> Callable[[str, BaseException], object] | None:
    """Tell that one what is swallowed, instead of the file; returns the one before. For tests: see ``rota.testing``."""
    global _listener
    before, _listener = _listener, listener
    return before


def place(error: BaseException) -> str:
    """Where it was raised: ``_task.py:71``; empty for one that never was."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return "%s:%d" % (os.path.basename(frame.tb_frame.f_code.co_filename), frame.tb_lineno) if frame else ""


def note(where: str, error: BaseException) -> None:
    """Append one line about a swallowed error; says nothing when even that fails."""
    try:
        if _listener is not None:
            _listener(where, error)
            return
        from rota import _config
        from rota.wire.events import text

        line = '{"at":"%s","where":%s,"error":%s}\n' % (
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            text(where + " " + place(error)),
            text("%s: %s" % (type(error).__name__, error)),
        )
        fd = os.open(_config.home() + "/errors.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if os.fstat(fd).st_size < _LIMIT_BYTES:
                os.write(fd, line.encode("ascii"))
        finally:
            os.close(fd)
    except Exception:  # nowhere is left to say it
        return


def unseen(wrapper: Any) -> Any:
    """``wrapper``, whose frame `warnings` and `logging` look past: they name its caller, as if it were not there.

    Both pass over the import system's frames, which they know by these two words in the file's name. Without it a library's
    warning about the line that calls it would be about a line of ours, and be filtered as ours.
    """
    wrapper.__code__ = wrapper.__code__.replace(co_filename="<rota, like importlib._bootstrap>")
    return wrapper
