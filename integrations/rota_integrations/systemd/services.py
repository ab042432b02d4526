"""What the manager itself says of its services now: the output of ``systemctl show`` → their runs, open or over. Pure.

The journal does not tell every end: a user's manager says nothing at its usual level when a service ends well
(``unit_log_success`` in systemd's ``unit.c``), and ``RemainAfterExit=`` keeps a service whose program is over active.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from rota_integrations.systemd import shown

_PROPERTIES = "Id,Type,InvocationID,SubState,Result,ExecMainCode,ExecMainStatus,ExecMainExitTimestampMonotonic"
_OVER = ("dead", "exited", "failed")
_CODES = {1: "exited", 2: "killed", 3: "dumped"}  # CLD_EXITED, CLD_KILLED (which Python 3.8 does not name), CLD_DUMPED


class Service(NamedTuple):
    """A service, and its last run."""

    is_oneshot: bool = False
    invocation: str = ""
    is_over: bool = False
    result: str = ""
    exit: Optional[Tuple[str, int]] = None  # how and with what the process ended
    ended_ns: int = 0  # on the monotonic clock; 0: not known


def arguments(units: Sequence[str]) -> List[str]:
    """Of ``systemctl``."""
    return ["show", "--all", "--property=" + _PROPERTIES, "--", *units]


def services(output: str) -> Dict[str, Service]:
    """By their units."""
    found = {}
    for pairs in shown.units(output):
        told = dict(pairs)
        code = _CODES.get(_number(told, "ExecMainCode"))
        found[told.get("Id", "")] = Service(
            told.get("Type") == "oneshot", told.get("InvocationID", ""), told.get("SubState") in _OVER, told.get("Result", ""),
            (code, _number(told, "ExecMainStatus")) if code else None, _number(told, "ExecMainExitTimestampMonotonic") * 1000,
        )  # fmt: skip
    return found


def _number(told: Dict[str, str], name: str) -> int:
    text = told.get(name, "")
    return int(text) if text.isdigit() else 0
