"""Where a run ran and what code: what costs too much at its start. Loaded at the end of a run that was long enough."""

from __future__ import annotations

import os

from rota import _code, _config, _host


def surroundings(script: str | None, at_start: os.stat_result | None, since_ns: int) -> dict[str, object]:
    """Attributes of host, container and code; what the environment says of itself comes before, and is left out.

    Args:
        script: the path of the script, if there is one.
        at_start: its file's status when the run began; None when it could not be told.
        since_ns: when the run began, Unix time.
    """
    found = _host.attributes()
    if script and at_start is not None:
        found.update(_code.attributes(script, at_start, since_ns))
    told = _config.parse_pairs(os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    return {name: value for name, value in found.items() if name not in told}
