"""Every error that rota raises, in one tree. Inside an observed script only ``GateDenied`` is, and only where a policy says so.

RotaError
├── ConfigError        a setting has a value that cannot be used
├── CollectorError     the collector cannot be reached, or answered with an error
├── GateDenied         a policy does not permit a task to run
├── UsageError         the public API was called in a way that cannot work (raised at decoration, never while running)
├── NotCapturedError   a test looks for a run or a task that the code under test has not told of (raised by rota.testing only)
└── SwallowedError     rota went wrong inside the code under test, which did not notice (raised by rota.testing only)
"""

from __future__ import annotations


class RotaError(Exception):
    """The base of all. Its text says what failed, the offending value, and what to do next."""


class ConfigError(RotaError):
    """A setting cannot be used."""


class CollectorError(RotaError):
    """The collector cannot be reached, or said no."""


class GateDenied(RotaError):
    """A task may not run. ``task`` is its name, ``reason`` what was decided on, ``answer`` ``deny`` or ``skip``."""

    def __init__(self, task: str, workflow: str, answer: str, reason: str) -> None:
        text = "%s may not run: %s (%s). `rota policy show %s` shows the policy that says so"
        super().__init__(text % (task, reason, answer, workflow))
        self.task, self.workflow, self.answer, self.reason = task, workflow, answer, reason

    def __reduce__(self) -> tuple[type[GateDenied], tuple[str, str, str, str]]:
        return GateDenied, (self.task, self.workflow, self.answer, self.reason)  # it may come out of a worker process


class UsageError(RotaError):
    """A call that cannot work."""


class NotCapturedError(RotaError, AssertionError):
    """There is no such run or task, or there are several."""


class SwallowedError(RotaError, AssertionError):
    """Something went wrong inside rota; ``__cause__`` is the first of it."""
