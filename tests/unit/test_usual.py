"""How long is usual: the band that a duration is held against."""

from __future__ import annotations

import random

import pytest

from rota.rules.usual import FEWEST, LATEST, median, usual


def test_a_few_runs_tell_nothing():
    """Below five durations there is no band, so nothing is called unusual."""
    assert usual([10.0] * (FEWEST - 1)) is None
    assert usual([10.0] * FEWEST) is not None


def test_durations_of_a_steady_job_are_usual_and_twice_as_long_is_not():
    """The band holds what varies as it always did, on both sides."""
    chance = random.Random(1)
    durations = [chance.lognormvariate(4, 0.1) for _ in range(LATEST)]
    low, high = usual(durations)
    outside = [each for each in durations if not low <= each <= high]
    assert len(outside) <= 1
    assert not low <= 2 * median(sorted(durations)) <= high
    assert not low <= 0.5 * median(sorted(durations)) <= high


def test_one_wild_run_does_not_move_the_band():
    """A run that hung for a day leaves the band as it was."""
    steady = [60.0 + n % 5 for n in range(20)]
    assert usual([*steady, 86_400.0])[1] < 1.05 * usual(steady)[1]


def test_a_job_that_always_takes_the_same_has_some_room():
    """Equal durations make a band of a seventh around them, and never less than a quarter of a second."""
    assert usual([100.0] * 10) == (pytest.approx(100 / 1.15), pytest.approx(115))
    assert usual([0.02] * 10) == (0.0, pytest.approx(0.27))


def test_a_band_never_reaches_below_zero():
    """Runs of no length, as a clock that was set back makes them, are no error."""
    low, high = usual([0.0] * 8)
    assert low == 0.0
    assert high > 0.0


def test_the_median_of_an_even_number_is_the_mean_of_the_two_in_the_middle():
    """As everywhere."""
    assert median([1.0, 2.0, 4.0]) == 2.0
    assert median([1.0, 2.0, 4.0, 9.0]) == 3.0
