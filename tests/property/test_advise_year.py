"""What ``advise`` says it would have saved, against a simulated year whose truth is known.

A part of a year of some workflows in `make test` (`ROTA_SEED` chooses another); whole years of 500 workflows in `make soak`. The
thresholds were chosen on seeds 1 to 4 and on the first two thirds of a year; counted is the last third.
"""

from __future__ import annotations

import os

import pytest
from simulated_year import BEGIN, DAY, Score, score, simulate

SEED = int(os.environ.get("ROTA_SEED", "41"))


def of_last_third(seed: int, count: int, days: int) -> Score:
    """The score of months that nobody looked at."""
    return score(simulate(seed, count, days), BEGIN + days * 2 // 3 * DAY)


def test_most_of_what_is_said_is_true_and_most_of_what_is_true_is_said():
    """At least nine of ten pieces of advice hold, and at least seven of ten failures that could have been saved are named."""
    found = of_last_third(SEED, 100, 270)
    assert found.precision >= 0.9, found
    assert found.recall >= 0.7, found
    assert found.right.total() > 200


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 105))
def test_the_same_of_whole_years(seed):
    """500 workflows, 364 days."""
    found = of_last_third(seed, 500, 364)
    assert found.precision >= 0.9, found
    assert found.recall >= 0.7, found


def test_nothing_is_advised_where_nothing_happens():
    """A workflow that never fails needs nothing more."""
    year = simulate(SEED, 30, 60)
    calm = year._replace(past=[run._replace(failure=None, message="") for run in year.past], truth={})
    found = score(calm, BEGIN)
    assert found.right.total() + found.wrong.total() == 0
