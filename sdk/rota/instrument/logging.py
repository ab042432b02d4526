"""logging: what a program logs at WARNING and above is kept with the run; ``ROTA_LOGS`` sets another level.

Loggers, levels and handlers stay as they are: with a handler of ours, ``logging.basicConfig()`` would do nothing, and a program
without any would lose what Python prints for it as a last resort.
"""

from __future__ import annotations

from _thread import get_ident

from rota import _config
from rota._guard import note
from rota.instrument import hide
from rota.instrument._replace import replace, standing
from rota.wire import events, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from logging import Logger, LogRecord
    from types import ModuleType
    from typing import Any

    from rota._run import Run

_busy: set[int] = set()  # threads that are in here: a text that is made of a record may log in its turn


def install(module: ModuleType) -> None:
    """Watch ``Logger.callHandlers``: what passed the program's own levels and filters."""
    lowest = _config.logs_level()
    if lowest is None:
        return
    original = standing(module.Logger, "callHandlers")

    def callHandlers(self: Any, /, *args: Any, **kwargs: Any) -> Any:  # noqa: N802 (as it is called)
        try:
            return original(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise
        finally:
            _keep(self, args[0] if args else kwargs.get("record"), lowest)

    replace(module.Logger, "callHandlers", callHandlers)


def _keep(logger: Logger, record: LogRecord | None, lowest: int) -> None:
    level, thread = getattr(record, "levelno", None), get_ident()
    if not isinstance(level, int) or level < lowest or record is None or thread in _busy:
        return
    _busy.add(thread)
    try:
        _tell(logger, record)
    except Exception as error:
        note("instrument logging", error)
    finally:
        _busy.discard(thread)


def _tell(logger: Logger, record: LogRecord) -> None:
    from rota._current import current
    from rota.instrument import _kept

    place = current()
    if place is None or record.name == "py.warnings" or _is_theirs(logger):  # warnings are told by their own file
        return
    severity = events.severity(record.levelno)
    _kept.keep(place, severity, record.levelname, _message(record), int(record.created * 1e9), _facts(record, place.run))


def _message(record: LogRecord) -> str:
    """The text that a handler made, if one did: nobody's ``__str__`` is then called a second time."""
    made = record.__dict__.get("message")
    return made if isinstance(made, str) else record.getMessage()


def _facts(record: LogRecord, run: Run) -> dict[str, object]:
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    facts: dict[str, object] = {
        names.LOGGER: record.name, names.CODE_FILE: record.pathname, names.CODE_LINE: record.lineno,
        names.CODE_FUNCTION: record.funcName,
    }  # fmt: skip
    if error is not None:
        from rota import _failure
        from rota._task import STACKS_A_RUN

        run.stacks += 1
        facts.update(_failure.describe(error, with_stack=run.stacks <= STACKS_A_RUN))
    return facts


def _is_theirs(logger: Any) -> bool:
    """Whether OpenTelemetry's own handler has it: then it is theirs to tell."""
    while logger is not None:
        if any(type(handler).__module__.startswith("opentelemetry.") for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False
