"""A workflow's policy as this host has it: ``$ROTA_HOME/policy/<quoted workflow>.json``, kept current by the agent."""

from __future__ import annotations

import json
import os

from rota._guard import note
from rota._propagate import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_BYTES = 1 << 20


def path_of(home: str, workflow: str) -> str:
    """Where the document is, if this workflow's policy asks something."""
    return os.path.join(home, "policy", quoted(workflow) + ".json")


def read(path: str) -> dict[str, Any] | None:
    """The document; None when there is none, or none that can be read, which is noted."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.loads(file.read(MAX_BYTES))
        if isinstance(found, dict):
            return found
        note("policy", TypeError("%s holds no policy: %.80r" % (path, found)))
    except FileNotFoundError:
        pass
    except (OSError, ValueError, RecursionError) as error:
        note("policy", error)
    return None
