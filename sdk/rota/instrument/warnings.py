"""warnings: each that Python shows is kept with the run once, and shown as ever.

One that the program catches, filters, or shows in its own way (``warnings.showwarning``) is not shown by Python, and not kept.
"""

from __future__ import annotations

from rota import _config
from rota._guard import note
from rota.instrument import hide
from rota.instrument._replace import replace, standing
from rota.wire import events, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from rota._run import Run

_WARNING = 30  # as logging counts
_MOST_TOLD = 1000
_told: set[tuple[str, object]] = set()  # (run, what was warned of)


def install(module: ModuleType) -> None:
    """Watch the function by which Python shows a warning: ``catch_warnings`` puts another into its place."""
    lowest = _config.logs_level()
    if lowest is None or lowest > _WARNING:
        return
    original = standing(module, "_showwarnmsg_impl")

    def _showwarnmsg_impl(message: Any) -> Any:
        try:
            return original(message)
        except BaseException as error:
            hide(error)
            raise
        finally:
            if not _is_caught(module):
                _keep(message)

    replace(module, "_showwarnmsg_impl", _showwarnmsg_impl)


def _is_caught(module: Any) -> bool:
    """Whether ``catch_warnings(record=True)`` takes it, as CPython >= 3.14 does it."""
    context = getattr(module, "_get_context", None)
    return context is not None and getattr(context(), "log", None) is not None


def _keep(shown: Any) -> None:
    try:
        from rota._current import current
        from rota.instrument import _kept

        place = current()
        if place is None:
            return
        category, text = shown.category.__name__, str(shown.message)
        if _is_first(place.run, (category, text, shown.filename, shown.lineno)):
            facts: dict[str, object] = {
                names.WARNING_CATEGORY: category, names.CODE_FILE: shown.filename, names.CODE_LINE: shown.lineno,
            }  # fmt: skip
            _kept.keep(place, events.SEVERITY_WARN, "WARNING", text, place.run.owner.clock.now_ns(), facts)
    except Exception as error:
        note("instrument warnings", error)


def _is_first(run: Run, warned: object) -> bool:
    mark = (run.run_id, warned)
    if mark in _told or len(_told) > _MOST_TOLD:
        return False
    _told.add(mark)
    return True
