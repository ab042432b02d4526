"""Retry budgets, decided: how many retries there may be beside so many first attempts."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from rota.control.budget import spend
from rota.rules.budget import Budget, Counted, allowed, budget_of, granted, of, said, strictest
from rota.rules.policy import PolicyError, validate

API = Budget("api", 20.0, 10, 600.0)


def test_what_is_left_out():
    """Left out, a budget is the one that all share: 20 % of the first attempts of ten minutes, and 10."""
    assert of({}) == of({"name": None, "least": None}) == Budget("default", 20.0, 10, 600.0)
    assert of({"name": "api", "percent": 0, "least": 0, "within": "1h"}) == Budget("api", 0.0, 0, 3600.0)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": " "}, "retry.budget.name: ' ' is no text"),
        ({"percent": 101}, "retry.budget.percent: 101 is no number from 0 to 100"),
        ({"percent": True}, "retry.budget.percent: True"),
        ({"least": -1}, "retry.budget.least: -1 is no whole number from 0 to 100000"),
        ({"least": 2.5}, "retry.budget.least: 2.5"),
        ({"within": "soon"}, "retry.budget.within: 'soon' is no duration"),
        ({"within": 0}, "retry.budget.within: 0 is no length of time"),
        ({"size": 3}, "retry.budget.size: there is no such key; there are name, percent, least, within"),
    ],
)
def test_what_cannot_be_used_is_named(given, words):
    """A budget that cannot be used is refused with its key, its value and what may stand there."""
    with pytest.raises(ValueError, match=words):
        of(given)
    with pytest.raises(PolicyError, match=r"retry\.budget"):
        validate({"retry": {"budget": given}})
    assert budget_of({"budget": given}) is None


@pytest.mark.parametrize(
    ("firsts", "retries", "wanted", "found"),
    [
        (0, 0, 1, 1),
        (0, 9, 1, 1),
        (0, 10, 1, 0),  # the least is spent
        (4, 10, 1, 0),  # 20 % of 4 is none
        (5, 10, 1, 1),
        (200, 49, 1, 1),
        (200, 50, 1, 0),
        (200, 60, 1, 0),  # there were more first attempts a while ago
        (200, 0, 32, 7),  # an eighth of what is left: others will ask too
        (200, 45, 32, 1),
        (10_000, 0, 100, 32),
    ],
)
def test_what_is_granted(firsts, retries, wanted, found):
    """The least and the share of first attempts, less what was granted; to who wants many a part of what is left."""
    assert granted(API, Counted(firsts, retries), wanted) == found


def test_several_policies_name_one():
    """What holds is the smallest that any of them says, over the longest time."""
    assert strictest([API, Budget("api", 5.0, 20, 60.0), Budget("api", 50.0, 3, 3600.0)]) == Budget("api", 5.0, 3, 3600.0)


def test_it_says_how_it_stands():
    """Whoever is refused reads what was spent, of how much, and how that comes about."""
    assert said(API, Counted(200, 50)) == (
        "50 of 50 retries of the last 10 min are spent in the budget api (10, and 20 % of 200 first attempts)"
    )


def test_a_host_on_its_own(tmp_path: Path):
    """Failed first attempts and retries of the host are counted over the budget's time, and a torn line counts nothing."""
    path, budget = str(tmp_path / "budget" / "api.txt"), Budget("api", 50.0, 1, 60.0)
    assert [spend(path, budget, 1, 1000.0 + second)[0] for second in range(6)] == [1, 1, 0, 1, 0, 1]
    with open(path, "a") as file:
        file.write("1005.0 4")
    assert spend(path, budget, 0, 1006.0) == (0, Counted(6, 4))
    assert spend(path, budget, 1, 1100.0) == (1, Counted(1, 0))
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_two_questions_at_once_and_a_clock_set_back(tmp_path: Path):
    """What was spent in the same instant counts, to the last digit of its time, and so does what a clock that was set back makes
    lie ahead.
    """
    path, budget = str(tmp_path / "api.txt"), Budget("api", 0.0, 2, 60.0)
    at = 1_795_000_000.0006
    assert [spend(path, budget, 0, at)[0] for _ in range(3)] == [1, 1, 0]
    assert spend(path, budget, 0, at - 30.0) == (0, Counted(0, 2))
    assert spend(path, budget, 0, at + 60.0) == (1, Counted(0, 0))


def test_a_host_never_spends_more(tmp_path: Path):
    """However many ask at once, the host's file grants what the budget has."""
    path, budget, found = str(tmp_path / "api.txt"), Budget("api", 0.0, 7, 60.0), list[int]()
    threads = [threading.Thread(target=lambda: found.append(spend(path, budget, 1, 1000.0)[0])) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [0] * 33 + [1] * 7
    assert allowed(budget, 40) == 7
