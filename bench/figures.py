"""What a measurement gives: values of one contestant and of what it is compared with, taken in turn, pair by pair."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from bench.budgets import BUDGETS

How = Literal["difference", "ratio"]


class Spread(NamedTuple):
    """Median, lowest and highest of some values."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(statistics.median(values), min(values), max(values))

    def shown(self, sign: str = "") -> str:
        """``2.9 (2.7–3.4)``."""
        return f"{number(self.median, sign)} ({number(self.low, sign)}–{number(self.high, sign)})"


@dataclass(frozen=True)
class Figure:
    """One row of the results.

    Args:
        name: what was measured.
        who: rota or a peer.
        unit: of values and base.
        values: one a round.
        versus: what ``base`` is.
        base: the same rounds of that.
        how: whether the comparison is values - base or values / base.
        budget: a key of ``BUDGETS``, when it is a goal.
        is_goal_compared: whether the goal is for the comparison and not for the plain values.
        note: whatever a reader has to know.
    """

    name: str
    who: str
    unit: str
    values: tuple[float, ...]
    versus: str
    base: tuple[float, ...]
    how: How = "difference"
    budget: str | None = None
    is_goal_compared: bool = True
    note: str = ""

    @property
    def spread(self) -> Spread:
        """Of the plain values."""
        return Spread.of(self.values)

    @property
    def compared(self) -> Spread:
        """Of what each round's pair says."""
        pairs = list(zip(self.values, self.base, strict=True))
        return Spread.of([value / base for value, base in pairs] if self.how == "ratio" else [v - b for v, b in pairs])

    @property
    def judged(self) -> float:
        """The number that the goal is held against."""
        return (self.compared if self.is_goal_compared else self.spread).median

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is met; None without a goal."""
        return BUDGETS[self.budget].is_met(self.judged) if self.budget else None

    def comparison(self) -> str:
        """``+2.9 (+2.7–+3.4) ms`` or ``0.62 (0.60–0.64) ×``."""
        return f"{self.compared.shown('+')} {self.unit}" if self.how == "difference" else f"{self.compared.shown()} ×"

    def as_json(self) -> dict[str, Any]:
        """Everything, with what follows from it."""
        return {
            **asdict(self),
            "median": self.spread.median,
            "compared": self.compared._asdict(),
            "goal": BUDGETS[self.budget].goal if self.budget else None,
            "judged": self.judged if self.budget else None,
            "is_met": self.is_met,
        }


def number(value: float, sign: str = "") -> str:
    """Three significant digits, thousands separated, never 1e+05."""
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2
    return f"{value:{sign},.{digits}f}"


def in_turn(rounds: int, *contestants: Callable[[], float], is_warm: bool = False) -> list[tuple[float, ...]]:
    """Let all of them run once a round: A B A B …, so that a slow moment of the machine meets all. One list of values each.

    Unless all is warm, each runs once before, unmeasured: the first call finds cold files.
    """
    for contestant in () if is_warm else contestants:
        contestant()
    taken = [[contestant() for contestant in contestants] for _ in range(rounds)]
    return [tuple(values) for values in zip(*taken, strict=True)]


def share(full: int, effort: float, least: int = 2) -> int:
    """How many rounds or requests to spend: ``full`` in a whole pass, fewer in a short one."""
    return max(least, round(full * effort))
