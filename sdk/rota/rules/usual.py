"""How long a workflow usually takes: the band that a duration is held against. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Sequence, Tuple

    Band = Tuple[float, float]

FEWEST = 5  # durations that make a band
LATEST = 30  # durations that are looked at
_LOW, _HIGH = 0.1, 0.9
_LEAST_FACTOR = 1.15  # jobs that take the same to the millisecond may still differ by so much
_LEAST_SECONDS = 0.25  # the start of an interpreter varies by as much
_SHORTEST_SECONDS = 0.001


def usual(durations_seconds: Iterable[float]) -> Band | None:
    """(shortest, longest) that is usual after these durations, in seconds: their 10th and 90th percentile. None: too few to tell.

    Three wild runs of thirty on either side do not move it.
    """
    ordered = sorted(durations_seconds)
    if len(ordered) < FEWEST:
        return None
    return percentile(ordered, _LOW), percentile(ordered, _HIGH)


def outside(seconds: float, band: Band) -> int:
    """-1, 1: shorter, longer than the band by more than the band is wide; 0: neither.

    Durations spread by factors, so it is wide by a factor too; where they spread as a bell curve does, one in ten thousand is
    outside. (Tukey's fences, from the outer deciles.)
    """
    low, high = max(band[0], _SHORTEST_SECONDS), max(band[1], _SHORTEST_SECONDS)
    factor = max(high / low, _LEAST_FACTOR)
    if seconds > max(high * factor, high + _LEAST_SECONDS):
        return 1
    return -1 if seconds < min(low / factor, low - _LEAST_SECONDS) else 0


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which ``share`` (0 to 1) of values lie that are in order; between two of them in proportion."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def median(ordered: Sequence[float]) -> float:
    """The middle of values that are in order."""
    return percentile(ordered, 0.5)
