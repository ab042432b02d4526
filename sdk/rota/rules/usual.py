"""How long a workflow usually takes: the band that a duration is held against. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Sequence

FEWEST = 5  # durations that make a band
LATEST = 30  # durations that are looked at
_SPREADS = 3 * 1.4826  # three standard deviations of a normal distribution, from its median absolute deviation
_LEAST_FACTOR = 1.15  # jobs that take the same to the millisecond may still differ by so much
_LEAST_SECONDS = 0.25  # the start of an interpreter varies by as much
_SHORTEST_SECONDS = 0.001


def usual(durations_seconds: Iterable[float]) -> tuple[float, float] | None:
    """(shortest, longest) that is usual after these durations, in seconds; None: too few to tell.

    Durations spread by factors, so it is the median times and divided by a factor: the median factor by which they differ
    from it (one wild run moves neither), to the power of ``_SPREADS``. That is median ± 3 × MAD of the logarithms.
    Source: Leys et al. 2013, "Detecting outliers: do not use standard deviation around the mean, use absolute deviation
    around the median".
    """
    ordered = sorted([max(each, _SHORTEST_SECONDS) for each in durations_seconds])
    if len(ordered) < FEWEST:
        return None
    typical = median(ordered)
    factor = median(sorted([each / typical if each > typical else typical / each for each in ordered]))
    most = max(factor**_SPREADS, _LEAST_FACTOR)
    return max(0.0, min(typical / most, typical - _LEAST_SECONDS)), max(typical * most, typical + _LEAST_SECONDS)


def median(ordered: Sequence[float]) -> float:
    """The middle of values that are in order; of an even number the mean of the two."""
    half, is_odd = divmod(len(ordered), 2)
    return ordered[half] if is_odd else (ordered[half - 1] + ordered[half]) / 2
