"""What an exit status says of a run: one copy for the agent, which sees processes end, and ``rota exec``, whose child it was."""

from __future__ import annotations

CANCELLING = ("SIGTERM", "SIGINT")


def outcome(exit_code: int, signal_name: str) -> tuple[str, str]:
    """(state, reason) for an exit status.

    Args:
        exit_code: 0 to 255, as a shell tells it.
        signal_name: ``SIGKILL``, when a signal ended the process; else empty.
    """
    if signal_name:
        return "cancelled" if signal_name in CANCELLING else "crashed", signal_name.lower()
    return "failed" if exit_code else "succeeded", "exit"


def state_of(reason: str | None) -> str:
    """How an attempt ended that was tried again, as the reason tells: ``failed`` but for signals and timeouts."""
    said = reason or ""
    if said.endswith("timeout"):
        return "timed_out"
    return outcome(1, said.upper() if said.startswith("sig") else "")[0]


def signal_name(number: int) -> str:
    """``SIGKILL`` for 9, ``SIG35`` where the number has no name, empty for 0. Without ``signal``, whose enums cost 3 ms."""
    if not number:
        return ""
    import _signal  # type: ignore[import-not-found]

    names = [name for name in dir(_signal) if name.startswith("SIG") and name[3] != "_" and getattr(_signal, name) == number]
    return names[0] if names else "SIG%d" % number  # of two names for one number the first is that of `signal.Signals`
