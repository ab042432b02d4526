"""Retry budgets: so many retries beside so many first attempts, that an outage does not become a storm of them.

As gRPC, Finagle and the SDKs of AWS have it: a share of the first attempts of late, and a few in any case. One copy for the
collector, which counts for all hosts, and for a host on its own. Pure: who counts, and the time, are the caller's.
"""

from __future__ import annotations

from typing import NamedTuple

from rota.rules.durations import seconds, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Mapping

NAME, PERCENT, LEAST, WITHIN_SECONDS = "default", 20.0, 10, 600.0  # when nothing is said
MOST_LEAST = 100_000
MOST_PORTION = 32
KIND = "retry_budget"  # of the decision that says no, and the reason of the run that ends by it
NUMBER = -2  # of a budget among the gates of a decision, as -1 is the pause
_SHARES = 8  # who asks for many gets a part of what is left: others will ask too
_KEYS = ("name", "percent", "least", "within")


class Budget(NamedTuple):
    """At most ``least`` retries and ``percent`` of the first attempts, both counted over the last ``within_seconds``."""

    name: str = NAME
    percent: float = PERCENT
    least: int = LEAST
    within_seconds: float = WITHIN_SECONDS


class Counted(NamedTuple):
    """What there was of it within that time."""

    firsts: int
    retries: int


def of(given: Mapping[str, Any]) -> Budget:
    """The part ``budget`` of a policy's ``retry``. Raises ValueError with the key, its value, and what may stand there."""
    for key in given:
        if key not in _KEYS:
            raise ValueError("retry.budget.%s: there is no such key; there are %s" % (key, ", ".join(_KEYS)))
    name, percent, least, within = (given.get(key) for key in _KEYS)
    if name is not None and not (isinstance(name, str) and name.strip()):
        raise ValueError("retry.budget.name: %r is no text" % (name,))
    if percent is not None and (type(percent) not in (int, float) or not 0 <= percent <= 100):
        raise ValueError("retry.budget.percent: %r is no number from 0 to 100" % (percent,))
    if least is not None and (type(least) is not int or not 0 <= least <= MOST_LEAST):
        raise ValueError("retry.budget.least: %r is no whole number from 0 to %d" % (least, MOST_LEAST))
    return Budget(
        name or NAME,
        PERCENT if percent is None else float(percent),
        LEAST if least is None else least,
        WITHIN_SECONDS if within is None else _length(within),
    )


def strictest(budgets: Iterable[Budget]) -> Budget:
    """What holds where several policies name one budget: the smallest that any of them says, over the longest time."""
    found = list(budgets)
    return Budget(
        found[0].name,
        min(each.percent for each in found),
        min(each.least for each in found),
        max(each.within_seconds for each in found),
    )


def allowed(budget: Budget, firsts: int) -> int:
    """How many retries there may be beside so many first attempts."""
    return budget.least + int(firsts * budget.percent / 100)


def granted(budget: Budget, counted: Counted, wanted: int) -> int:
    """How many of the retries ``wanted`` may be made now: of what is left a part, so that others find some too; 0: none."""
    left = allowed(budget, counted.firsts) - counted.retries
    return max(0, min(wanted, MOST_PORTION, -(-left // _SHARES)))


def said(budget: Budget, counted: Counted) -> str:
    """How it stands, for people."""
    text = "%d of %d retries of the last %s are spent in the budget %s (%d, and %g %% of %d first attempt%s)"
    most, within = allowed(budget, counted.firsts), words(budget.within_seconds)
    return text % (
        counted.retries,
        most,
        within,
        budget.name,
        budget.least,
        budget.percent,
        counted.firsts,
        "s" * (counted.firsts != 1),
    )


def budget_of(retry: object) -> Budget | None:
    """The budget that a policy's part ``retry`` names; None: none, or none that can be read."""
    given = retry.get("budget") if isinstance(retry, dict) else None
    try:
        return of(given) if isinstance(given, dict) else None
    except ValueError:
        return None


def _length(given: object) -> float:
    if isinstance(given, bool) or not isinstance(given, (str, int, float)):
        raise ValueError("retry.budget.within: %r is no duration: write it like 90s, 15m, 2h" % (given,))  # noqa: TRY004
    try:
        found = seconds(str(given))
    except ValueError as error:
        raise ValueError("retry.budget.within: %s" % error) from None
    if found == 0:
        raise ValueError("retry.budget.within: %r is no length of time: it must be above 0" % (given,))
    return found
