"""The policies of a host: ``$ROTA_HOME/policy/<quoted workflow>.json`` for each that asks something of a run, and in ``.version``
the number under which the collector knows that set. Kept current by the agent, and by scripts where there is none.
"""

from __future__ import annotations

import contextlib
import json
import os

from rota._guard import note
from rota._propagate import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

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


def version_of(home: str) -> int:
    """The number of the set that this home has; 0 without one."""
    try:
        with open(os.path.join(home, "policy", ".version"), encoding="ascii") as file:
            return int(file.read(32))
    except (OSError, ValueError):
        return 0


def write(home: str, version: int, items: Mapping[str, Mapping[str, Any]]) -> None:
    """Make the home's set this one: the documents first, the number last. Raises OSError."""
    folder = os.path.join(home, "policy")
    if not items and not os.path.isdir(folder):
        return
    os.makedirs(folder, mode=0o700, exist_ok=True)
    wanted = {path_of(home, workflow): document for workflow, document in items.items()}
    for path, document in wanted.items():
        _put(path, json.dumps(document))
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name.endswith(".json") and path not in wanted:
            os.unlink(path)
    _put(os.path.join(folder, ".version"), str(version))


def _put(path: str, text: str) -> None:
    """Whole, or not at all; untouched when it says so already, since a new file would be read again by everybody."""
    with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as file:
        if file.read() == text:
            return
    beside = "%s.%d.new" % (path, os.getpid())
    with open(beside, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(beside, path)
