"""How long is usual: the band that a duration is held against."""

from __future__ import annotations

import random

import pytest

from rota.rules.usual import FEWEST, LATEST, median, outside, percentile, usual


def test_a_few_runs_tell_nothing():
    """Below five durations there is no band, so nothing is called unusual."""
    assert usual([10.0] * (FEWEST - 1)) is None
    assert usual([10.0] * FEWEST) == (10.0, 10.0)


def test_what_varies_as_it_always_did_is_not_outside():
    """Of a job's own durations hardly any is outside its band; three times as long and a third as long are."""
    chance = random.Random(1)
    band = usual([chance.lognormvariate(4, 0.15) for _ in range(LATEST)])
    later = [chance.lognormvariate(4, 0.15) for _ in range(2000)]
    assert sum(outside(each, band) != 0 for each in later) < 20
    typical = median(sorted(later))
    assert (outside(3 * typical, band), outside(typical / 3, band), outside(typical, band)) == (1, -1, 0)


def test_one_wild_run_does_not_move_the_band():
    """A run that hung for a day leaves the band as it was."""
    steady = [60.0 + n % 5 for n in range(20)]
    wild, band = usual([*steady, 86_400.0]), usual(steady)
    assert wild is not None
    assert band is not None
    assert wild[1] < 1.05 * band[1]


def test_a_job_that_always_takes_the_same_has_some_room():
    """A seventh more or less is no news, and neither is a quarter of a second."""
    assert [outside(each, (100.0, 100.0)) for each in (86.0, 90.0, 114.0, 116.0)] == [-1, 0, 0, 1]
    assert [outside(each, (0.02, 0.02)) for each in (0.0, 0.26, 0.28)] == [0, 0, 1]


def test_runs_of_no_length_are_no_error():
    """As a clock that was set back makes them."""
    assert usual([0.0] * 8) == (0.0, 0.0)
    assert outside(0.0, (0.0, 0.0)) == 0


def test_percentiles_lie_between_values_in_proportion():
    """As everywhere: the median of an even number is the mean of the two in the middle."""
    assert median([1.0, 2.0, 4.0]) == 2.0
    assert median([1.0, 2.0, 4.0, 9.0]) == 3.0
    assert percentile([0.0, 10.0], 0.25) == pytest.approx(2.5)
