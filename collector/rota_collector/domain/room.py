"""Whether there is room for more. Pure."""

from __future__ import annotations


def why_no_room(free: int, reserve: int, lag: int, most_lag: int) -> str | None:
    """Why nothing more can be kept; None: it can. All in bytes.

    The reserve is what the stores need to take over what the journal has already, and to go on by themselves.
    """
    if free < reserve:
        return f"{free} bytes are free on its disk, and {reserve} are reserved (ROTA_DISK_RESERVE); free some space"
    if lag > most_lag:
        return f"the stores are {lag} bytes behind, more than {most_lag} (ROTA_MOST_LAG); they catch up by themselves"
    return None
