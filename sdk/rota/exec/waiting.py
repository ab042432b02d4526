"""The time between two attempts. No command is there to take a signal: one that would have ended it ends the run."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
from time import monotonic

from rota.exec import child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

_HARMLESS = ("SIGCHLD", "SIGCONT", "SIGURG", "SIGWINCH", "SIGINFO")  # what ends nobody who does not ask for it
_LEAST_SECONDS = 0.001  # a timer of 0 would never ring


def pause(signals: child.Signals, seconds: float, idle: Callable[[], None]) -> int:
    """Wait so long; the number of the signal that ended the wait, 0 when the time is over. ``idle`` as in ``Child.wait``."""
    over_at, look_seconds = monotonic() + seconds, 1.0
    harmless, stops = child.numbers(_HARMLESS), child.numbers(child.STOPS)
    while True:
        left = over_at - monotonic()
        if left <= 0:
            return 0
        number = _next(signals, min(left, look_seconds))
        if number == 0:
            idle()
            look_seconds = min(look_seconds * 2, child.LONGEST_PAUSE_SECONDS)
        elif number in stops:
            child.stop_too()
        elif number in harmless:
            child.bury_orphans()
        elif _signal.getsignal(number) != _signal.SIG_IGN:
            return number


def _next(signals: child.Signals, seconds: float) -> int:
    """The next signal within that time, or 0."""
    if not hasattr(_signal, "sigtimedwait"):
        return _next_by_timer(signals, seconds)
    told = _signal.sigtimedwait(signals.held, seconds)
    if told is None:
        return 0
    if told.si_code == child.SI_KERNEL and told.si_signo in child.numbers(child.OF_TERMINALS):
        signals.typed.add(told.si_signo)
    return int(told.si_signo)


def _next_by_timer(signals: child.Signals, seconds: float) -> int:
    """Elsewhere: a timer's signal ends the wait, and who sent another is taken to be as in ``Child``."""
    _signal.setitimer(_signal.ITIMER_REAL, max(seconds, _LEAST_SECONDS))
    number = _signal.sigwait(signals.held)
    _signal.setitimer(_signal.ITIMER_REAL, 0)
    if number == _signal.SIGALRM:
        return 0
    if number in child.numbers(child.OF_TERMINALS) and child.is_in_foreground():
        signals.typed.add(number)
    return int(number)
