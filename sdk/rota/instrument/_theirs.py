"""What the program's own OpenTelemetry instrumentations already show: then ours stand back. Loaded only beside opentelemetry."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SUPPRESSED = ("_SUPPRESS_INSTRUMENTATION_KEY", "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", "suppress_instrumentation")


def shows(library: str) -> bool:
    """Whether this call is shown by their instrumentation of ``library``, or is not to be shown: their exporters' own."""
    return _is_active(library) or _is_suppressed()


def _is_active(library: str) -> bool:
    module = sys.modules.get("opentelemetry.instrumentation." + library)
    if module is None:
        return False
    return any(_instruments(each) for name, each in list(vars(module).items()) if name.endswith("Instrumentor"))


def _instruments(instrumentor: Any) -> bool:
    the_one = getattr(instrumentor, "_instance", None)  # they are singletons
    return bool(getattr(the_one, "_is_instrumented_by_opentelemetry", False))


def _is_suppressed() -> bool:
    context = sys.modules.get("opentelemetry.context")
    if context is None:
        return False
    return any(context.get_value(getattr(context, key, key)) for key in _SUPPRESSED)
