"""``rota agent status``: whether an agent answers, and how it does."""

from __future__ import annotations

import json
import os
import socket
import time

from rota import _config
from rota.agent.door import STATUS_WORD
from rota.agent.spool import Spool
from rota.cli import _text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable

_WAIT_SECONDS = 2.0
_LONGEST_ANSWER = 1 << 20


def show(is_json: bool) -> int:
    """Print the status of the agent that this user's scripts find; exit status 0 when one answers, else 1."""
    paths = _config.agent_sockets(_config.home())
    found = first_status(paths)
    if is_json:
        _text.json_item(found or {"answers": False, "looked_at": list(paths)})
    elif found is None:
        print("no agent answers at %s: start one with `rota agent`, or for good with `rota agent install`" % _listed(paths))
    else:
        for name, value in _rows(found):
            print("%-10s %s" % (name, _text.clean(value)))
    return 0 if found else 1


def first_status(paths: Iterable[str]) -> dict[str, Any] | None:
    """The status of the first agent that answers, with what waits in its spools; None when none does."""
    for path in paths:
        found = ask(path)
        if found is not None:
            files, size = waiting(found.get("spools") or ())
            return {"answers": True, "door": path, **found, "waiting_files": files, "waiting_bytes": size}
    return None


def ask(path: str) -> dict[str, Any] | None:
    """The status that the agent at ``path`` tells; None when nobody does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_WAIT_SECONDS)
        try:
            connection.connect(path)
            connection.sendall(json.dumps(STATUS_WORD).encode("ascii") + b"\n")
            with connection.makefile("rb") as answer:
                found = json.loads(answer.readline(_LONGEST_ANSWER))
        except (OSError, ValueError):
            return None
    return found if isinstance(found, dict) else None


def waiting(spools: Iterable[str]) -> tuple[int, int]:
    """Files and bytes of ended processes, in ``left/``, as far as this user may see them."""
    files = size = 0
    for spool in map(Spool, spools):
        for name in spool.names(spool.left):
            try:
                size += os.stat(os.path.join(spool.left, name)).st_size
            except OSError:  # shipped meanwhile
                continue
            files += 1
    return files, size


def _rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    delivered = "%s, %d lines since the start" % (_ago(found["delivered_at"]), found["delivered_lines"])
    rows = [
        ("door", found["door"]),
        ("since", "%s, process %d" % (_ago(found["started_at"]), found["pid"])),
        ("version", found["version"]),
        ("processes", "%d running" % found["watched"]),
        ("ships to", found["ships_to"]),
        ("delivered", delivered),
        ("waiting", "%d files, %d bytes" % (found["waiting_files"], found["waiting_bytes"])),
    ]
    return rows + ([("failing", found["failure"])] if found["failure"] else [])


def _ago(unix_seconds: float) -> str:
    return _text.age(max(0.0, time.time() - unix_seconds)) if unix_seconds else "never"


def _listed(paths: Iterable[str]) -> str:
    return " or ".join(paths) or "any socket (ROTA_AGENT is off)"
