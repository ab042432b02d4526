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


def guarded(function: F) -> F:
    """``function``, but an error of its own is noted and None returned. Signature and name do not matter here: internal."""

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            note(function.__name__, error)

    return call  # type: ignore[return-value]


def note(where: str, error: BaseException) -> None:
    """Append one line about a swallowed error; says nothing when even that fails."""
    try:
        from rota import _config
        from rota.wire.events import text

        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        at = "%s:%d" % (os.path.basename(frame.tb_frame.f_code.co_filename), frame.tb_lineno) if frame else ""
        line = '{"at":"%s","where":%s,"error":%s}\n' % (
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            text(where + " " + at),
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
