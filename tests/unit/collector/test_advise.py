"""Advice and levels: what is said of which past, and which policy leads where."""

from __future__ import annotations

import pytest

from rota.rules.level import level
from rota.rules.policy import validate
from rota_collector.domain.advise import Advice, advise
from rota_collector.domain.fleet import Fleet, Past, key_of
from rota_collector.domain.promote import NoPromotion, demoted, promoted

MINUTE, HOUR, DAY = 60 * 10**9, 3600 * 10**9, 86_400 * 10**9
MONDAY = 1_767_571_200 * 10**9


def runs(workflow, every, failures, length=MINUTE, days=28):
    """Runs at a steady pace; ``failures``: number of a run → the key of its failure."""
    return [
        Past(f"{workflow}-{n}", workflow, at, at + length, failures.get(n))
        for n, at in enumerate(range(MONDAY, MONDAY + days * DAY, every))
    ]


def only(found: list[Advice]) -> Advice:
    """The one piece of advice."""
    (advice,) = found
    return advice


def test_a_failure_that_was_gone_the_next_time_is_worth_a_retry():
    """The fewest attempts that save nearly as much as the most patient; the runs are named."""
    often = runs("a", 2 * MINUTE, dict.fromkeys((10, 50, 90, 130), "Timeout: …"), length=10**9, days=1)
    found = only(advise("a", Fleet(often), {}))
    assert (found.level, found.policy, found.saved, found.of) == (
        "retry", {"retry": {"attempts": 3, "wait": "60s", "backoff": 2}}, ("a-10", "a-50", "a-90", "a-130"), 4,
    )  # fmt: skip
    assert found.reason.startswith("retry 2×60 s would have saved 4 of 4 failures")


def test_what_was_still_broken_the_next_time_is_not():
    """A bug is no case for a retry; a row of failures in the same way is one for a breaker."""
    often = runs("a", HOUR, dict.fromkeys(range(100, 120), "KeyError: …"))
    found = only(advise("a", Fleet(often), {}))
    assert (found.kind, len(found.saved)) == ("breaker", 17)


def test_what_others_tell_counts_where_a_workflow_runs_once_a_night():
    """An outage that ended a minute later, as another workflow on the same service shows."""
    nightly = runs("n", DAY, dict.fromkeys((3, 9, 15), "ConnectionError: db-1"), length=MINUTE)
    broken = [(n * DAY, n * DAY + 3 * MINUTE // 2) for n in (3, 9, 15)]
    others = [
        Past(f"o-{n}", "o", at, at + 10**9, "ConnectionError: db-1" if any(a <= at - MONDAY < b for a, b in broken) else None)
        for n, at in enumerate(range(MONDAY, MONDAY + 20 * DAY, MINUTE))
    ]
    assert only(advise("n", Fleet([*nightly, *others]), {})).kind == "retry"
    assert advise("n", Fleet(nightly), {}) == []  # alone it cannot tell


def test_too_few_tell_nothing():
    """Two cases are no evidence."""
    assert advise("a", Fleet(runs("a", 2 * MINUTE, {10: "Timeout", 50: "Timeout"}, length=10**9, days=1)), {}) == []


def test_runs_that_fail_only_beside_another_want_a_limit():
    """Concurrency."""
    past = runs("a", HOUR, {})
    long = {n: past[n]._replace(ended_ns=past[n].ended_ns + HOUR) for n in range(10, 100, 10)}
    late = {n + 1: past[n + 1]._replace(failure="OperationalError: database is locked") for n in long}
    found = advise("a", Fleet([{**dict(enumerate(past)), **long, **late}[n] for n in range(len(past))]), {})
    assert only([each for each in found if each.kind == "concurrency"]).policy == {"gates": [{"kind": "concurrency", "limit": 1}]}
    has = {"gates": [{"kind": "concurrency", "limit": 1}]}
    assert [each for each in advise("a", Fleet(past), has) if each.kind == "concurrency"] == []


def test_runs_that_fail_only_after_their_upstream_failed_want_to_wait_for_it():
    """Of a workflow that the policy says is needed."""
    upstream = runs("u", DAY, dict.fromkeys((4, 11, 18), "TypeError: …"), length=HOUR)
    downstream = [run._replace(started_ns=run.started_ns + 2 * HOUR, ended_ns=run.ended_ns + 2 * HOUR)
                  for run in runs("d", DAY, dict.fromkeys((4, 11, 18), "FileNotFoundError: …"))]  # fmt: skip
    found = only(advise("d", Fleet([*upstream, *downstream]), {"expect": {"upstream": ["u"]}}))
    assert (found.kind, found.saved) == ("upstream", ("d-4", "d-11", "d-18"))
    assert validate(found.policy)
    assert advise("d", Fleet([*upstream, *downstream]), {}) == []


def test_days_on_which_it_always_fails_want_a_window():
    """Weekdays in the zone of its schedule."""
    found = only(advise("a", Fleet(runs("a", DAY, {n: f"HTTPError: {n}" for n in range(28) if n % 7 in (5, 6)})), {}))
    assert found.policy == {"gates": [{"kind": "window", "not": ["Sat,Sun"], "otherwise": "skip"}]}
    assert validate(found.policy)


@pytest.mark.parametrize(
    ("state", "error", "message", "code", "key"),
    [
        ("succeeded", None, None, 0, None), ("cancelled", None, None, 143, None), ("failed", None, None, 3, "exit 3"),
        ("crashed", None, None, None, "crashed"),
        ("failed", "ValueError", "row 17 of '/a/b.csv' at 0x7f00", 1, "ValueError: row … of … at …"),
    ],
)  # fmt: skip
def test_a_failure_is_known_by_what_does_not_change(state, error, message, code, key):
    """Numbers, paths, addresses and quoted texts differ from run to run."""
    assert key_of(state, error, message, code) == key


def advice_of(kind, policy):
    return Advice("retry" if kind == "retry" else "gate", kind, policy, ("r",) * 3, 3, "")


LEARNED = [
    advice_of("retry", {"retry": {"attempts": 4, "wait": "120s"}}),
    advice_of("window", {"gates": [{"kind": "window", "not": ["Sun"]}]}),
]


@pytest.mark.parametrize(
    ("to", "advice", "usual", "document"),
    [
        ("expect", [], None, {"expect": {"max_duration": "3600s"}}),
        ("expect", [], (10**9, 600 * 10**9), {"expect": {"max_duration": "1800s"}}),
        ("retry", [], None, {"retry": {"attempts": 2, "wait": "60s"}}),
        ("retry", LEARNED, None, {"retry": {"attempts": 4, "wait": "120s"}}),
        ("gate", [], None, {"gates": [{"kind": "concurrency", "limit": 1}]}),
        ("gate", LEARNED, None, {"gates": [{"kind": "window", "not": ["Sun"]}]}),
        ("orchestrate", [], None, {"tasks": {"*": {"permit": True}}}),
    ],
)  # fmt: skip
def test_a_promotion_is_the_smallest_policy_that_reaches_the_level(to, advice, usual, document):
    """With what was learned, where there is something; what is stored already stays."""
    assert promoted(to, {}, {}, advice, usual) == document
    kept = {"alert": {"channels": ["ops"]}}
    stored = promoted(to, kept, kept, advice, usual)
    assert (level(validate(stored)), stored["alert"]) == (to, kept["alert"])


def test_a_demotion_takes_away_what_is_above():
    """What code declares is overridden; what is below stays."""
    stored = {"retry": {"attempts": 3}, "gates": [{"kind": "concurrency", "limit": 1}], "alert": {"remind": "1h"}}
    declared = {"expect": {"max_duration": "1h"}, "schedule": {"every": "1h"}}
    in_force = {**declared, **stored}
    assert demoted("retry", in_force, stored, declared) == {"retry": {"attempts": 3}, "alert": {"remind": "1h"}}
    gone = demoted("observe", in_force, stored, declared)
    assert gone == {"alert": {"remind": "1h"}, "schedule": None, "expect": None}


@pytest.mark.parametrize(("move", "to"), [(promoted, "observe"), (promoted, "retry"), (demoted, "retry"), (demoted, "gate")])
def test_who_is_there_is_told_so(move, to):
    """Nothing is stored."""
    policy = {"retry": {"attempts": 3}}
    with pytest.raises(NoPromotion, match="on the level retry already"):
        move(to, policy, policy, *(([], None) if move is promoted else ({},)))
