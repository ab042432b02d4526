"""Retries, decided: after an attempt failed, is there another one, and when?

One copy for a process (``rota exec``) and for a function (``rota.control``). Pure: the clock and the dice are the caller's.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from rota.rules import budget
from rota.rules.durations import seconds
from rota.rules.status import CANCELLING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

MOST_ATTEMPTS = 1000
ATTEMPTS, WAIT_SECONDS = 3, 30.0  # when nothing is said
MAX_WAIT_SECONDS = 86_400.0  # when no `max_wait` says less: a doubled wait is soon longer than anybody means
_KEYS = ("attempts", "wait", "backoff", "jitter", "max_wait", "on", "not_on", "attempt_timeout", "timeout", "budget")
_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_CODES = re.compile(r"([0-9]{1,3})(?:-([0-9]{1,3}))?")


class Failure(NamedTuple):
    """How an attempt failed, as far as it is known."""

    exit_code: int | None = None  # 0 to 255, as a shell tells it
    signal: str = ""  # SIGKILL, when a signal ended it
    error_types: tuple[str, ...] = ()  # the exception's class and its bases, qualified but for builtins
    message: str = ""
    timed_out: bool = False  # it was ended by us, because its time was over


class Retry(NamedTuple):
    """When to try again. ``on`` None: after every failure but a cancelled one. ``attempts`` counts the first one too."""

    attempts: int = ATTEMPTS
    wait_seconds: float = WAIT_SECONDS
    backoff: float = 1.0
    jitter: float = 0.0
    max_wait_seconds: float = MAX_WAIT_SECONDS
    on: tuple[str, ...] | None = None
    not_on: tuple[str, ...] = ()
    attempt_timeout_seconds: float | None = None
    timeout_seconds: float | None = None  # of all attempts together, the waits included
    budget: budget.Budget | None = None  # shared with others: who retries asks for it


class Again(NamedTuple):
    """Wait so long, then make the attempt of that number."""

    wait_seconds: float
    attempt: int


class Enough(NamedTuple):
    """No further attempt."""

    reason: str


def of(given: Mapping[str, Any]) -> Retry:
    """The part ``retry`` of a policy. Raises ValueError, which names the key, its value, and what may stand there."""
    for key in given:
        if key not in _KEYS:
            raise ValueError("retry.%s: there is no such key; there are %s" % (key, ", ".join(_KEYS)))
    attempts = ATTEMPTS if given.get("attempts") is None else given["attempts"]
    if type(attempts) is not int or not 1 <= attempts <= MOST_ATTEMPTS:
        raise ValueError("retry.attempts: %r is no number from 1 to %d" % (attempts, MOST_ATTEMPTS))
    return Retry(
        attempts,
        _seconds(given, "wait", WAIT_SECONDS),
        _number(given, "backoff", 1.0, 1.0, 1000.0),
        _number(given, "jitter", 0.0, 0.0, 1.0),
        _seconds(given, "max_wait", MAX_WAIT_SECONDS),
        _conditions(given, "on"),
        _conditions(given, "not_on") or (),
        _length(given, "attempt_timeout"),
        _length(given, "timeout"),
        _budget(given.get("budget")),
    )


def decide(retry: Retry, attempt: int, failure: Failure, elapsed_seconds: float, chance: float) -> Again | Enough:
    """What follows the failure of attempt number ``attempt`` (the first is 1).

    ``elapsed_seconds`` since the first attempt began; ``chance`` in [0, 1) is the dice. The wait is

        min(max_wait, wait * backoff ** (attempt - 1)) * (1 - jitter * chance)

    which is exponential backoff with jitter as "Exponential Backoff and Jitter" of AWS's architecture blog names it: jitter 1 is
    its "full jitter", 0.5 its "equal jitter". A wait that would reach ``timeout`` is not begun.
    """
    if attempt >= retry.attempts:
        return Enough("attempt %d of %d" % (attempt, retry.attempts))
    if not is_retried(retry, failure):
        return Enough("%s is not retried" % _shown(failure))
    wait_seconds = _longest_wait(retry, attempt) * (1.0 - retry.jitter * chance)
    if retry.timeout_seconds is not None and elapsed_seconds + wait_seconds >= retry.timeout_seconds:
        return Enough("no time is left for another attempt")
    return Again(wait_seconds, attempt + 1)


def is_retried(retry: Retry, failure: Failure) -> bool:
    """Whether this kind of failure is retried; ``not_on`` has the last word."""
    if any(_fits(condition, failure) for condition in retry.not_on):
        return False
    if retry.on is not None:
        return any(_fits(condition, failure) for condition in retry.on)
    return failure.timed_out or failure.signal not in CANCELLING


def attempt_limit_seconds(retry: Retry, elapsed_seconds: float) -> tuple[float | None, str]:
    """(how long an attempt may take that begins now, the limit's name): its own, or what is left of all. None: for ever."""
    left = None if retry.timeout_seconds is None else max(0.0, retry.timeout_seconds - elapsed_seconds)
    own = retry.attempt_timeout_seconds
    if own is not None and (left is None or own <= left):
        return own, "attempt_timeout"
    return left, "timeout"


def _longest_wait(retry: Retry, attempt: int) -> float:
    try:
        wait_seconds = retry.wait_seconds * retry.backoff ** (attempt - 1)
    except OverflowError:
        return retry.max_wait_seconds
    return min(retry.max_wait_seconds, wait_seconds)


def _fits(condition: str, failure: Failure) -> bool:
    kind, colon, text = condition.partition(":")
    if condition == "timeout":
        return failure.timed_out
    if not colon:
        name = condition[9:] if condition.startswith("builtins.") else condition
        return any(name in (each, each.rpartition(".")[2]) for each in failure.error_types)
    if kind == "exit":
        return failure.exit_code is not None and not failure.signal and failure.exit_code in _codes(text)
    if kind == "signal":
        return bool(failure.signal) and not failure.timed_out and failure.signal == _signal_name(text)
    return re.search(text, failure.message) is not None


def _codes(text: str) -> range:
    """``75`` or ``1-9``. Raises ValueError."""
    found = _CODES.fullmatch(text)
    if found is None:
        raise ValueError("it is no exit status: write exit:75 or exit:1-9")
    return range(int(found[1]), int(found[2] or found[1]) + 1)


def _signal_name(text: str) -> str:
    """``SIGKILL`` for ``KILL`` and ``sigkill``. Raises ValueError."""
    name = text.upper()
    if not name.replace("+", "").isalnum() or name.isdigit():
        raise ValueError("it is no signal: write signal:KILL")
    return name if name.startswith("SIG") else "SIG" + name


def _conditions(given: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    value = given.get(key)
    if value is None:
        return None
    many = [value] if isinstance(value, str) else value
    if not isinstance(many, (list, tuple)):
        raise ValueError("retry.%s: %r is no list of texts" % (key, value))  # noqa: TRY004
    for condition in many:
        try:
            check(condition)
        except (ValueError, re.error) as error:
            raise ValueError("retry.%s: %r: %s" % (key, condition, error)) from None
    return tuple(many)


def check(condition: object) -> None:
    """Raises ValueError and re.error for what is no condition of `on` and `not_on`."""
    if not isinstance(condition, str):
        raise ValueError("it is no text")  # noqa: TRY004  one error for all that is wrong in a document
    kind, colon, text = condition.partition(":")
    if not colon and not _NAME.fullmatch(condition):
        raise ValueError("it is no exception's name, and none of exit:N, signal:NAME, timeout, message:REGEX")
    if colon and kind not in _CHECKS:
        raise ValueError("it is none of exit:N, signal:NAME, timeout, message:REGEX")
    if colon:
        _CHECKS[kind](text)


_CHECKS: dict[str, Any] = {"exit": _codes, "signal": _signal_name, "message": re.compile}


def _seconds(given: Mapping[str, Any], key: str, left_out: float) -> float:
    value = given.get(key)
    if value is None:
        return left_out
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("retry.%s: %r is no duration: write it like 90s, 15m, 2h" % (key, value))  # noqa: TRY004
    try:
        return seconds(str(value))
    except ValueError as error:
        raise ValueError("retry.%s: %s" % (key, error)) from None


def _length(given: Mapping[str, Any], key: str) -> float | None:
    found = _seconds(given, key, -1.0)
    if found == 0:
        raise ValueError("retry.%s: %r is no length of time: it must be above 0" % (key, given[key]))
    return None if found < 0 else found


def _budget(given: object) -> budget.Budget | None:
    if given is None:
        return None
    if not isinstance(given, dict):
        raise ValueError("retry.budget: %r is no mapping; write {name: api, percent: 20}" % (given,))  # noqa: TRY004
    return budget.of(given)


def _number(given: Mapping[str, Any], key: str, left_out: float, least: float, most: float) -> float:
    value = given.get(key)
    if value is None:
        return left_out
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise ValueError("retry.%s: %r is no number from %g to %g" % (key, value, least, most))
    return float(value)


def _shown(failure: Failure) -> str:
    if failure.timed_out:
        return "timeout"
    if failure.error_types:
        return failure.error_types[0]
    return failure.signal or "exit %s" % failure.exit_code
