"""The policy of a workflow as this host has it: ``{"version": 3, "retry": {…}, "gates": […], "tasks": {…}, "rules": […]}``."""

from __future__ import annotations

import json

from rota import _config
from rota._guard import note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def read(home: str, workflow: str) -> dict[str, Any]:
    """The document; empty when there is none. One that cannot be read is noted, and is as if it were not there."""
    path = _config.policy_path(home, workflow)
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
        if not isinstance(found, dict):
            raise ValueError("%s holds no mapping but %s" % (path, type(found).__name__))  # noqa: TRY004
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        note("policy", error)
        return {}
    return found
