"""Every error that rota raises, in one tree. Inside an observed script none of them is ever raised.

RotaError
├── ConfigError        a setting has a value that cannot be used
├── CollectorError     the collector cannot be reached, or answered with an error
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


class UsageError(RotaError):
    """A call that cannot work."""


class NotCapturedError(RotaError, AssertionError):
    """There is no such run or task, or there are several."""


class SwallowedError(RotaError, AssertionError):
    """Something went wrong inside rota; ``__cause__`` is the first of it."""
