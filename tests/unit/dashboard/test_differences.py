"""What differs between a run and the last good one before it."""

from __future__ import annotations

from typing import Any

import pytest
from dashboard_items import HOSTILE, a_run, said_of_run, some_work

from rota_dashboard.shape.differences import MOST, differences


def compared(then: dict[str, Any] | None = None, now: dict[str, Any] | None = None) -> list[tuple[str, str, str]]:
    """``attributes``, ``work`` and ``run`` of each."""
    then, now = ({"attributes": {}, "work": [], "run": a_run(), **(given or {})} for given in (then, now))
    known = said_of_run(now["run"], attributes=now["attributes"], work=now["work"], good=then)
    return [(each["what"], each["then"], each["now"]) for each in differences(known)]


def of_work(then: list[Any], now: list[Any]) -> list[tuple[str, str, str]]:
    return compared({"work": then}, {"work": now})


def test_without_a_good_run_there_is_nothing_to_compare():
    """A first run, or one after failures only."""
    assert differences(said_of_run(a_run(), attributes={"rows": 1}, work=[some_work()])) == []


def test_two_runs_alike_have_no_differences():
    """Nothing is said where nothing differs."""
    alike = {"attributes": {"host.name": "a", "rows": 3}, "work": [some_work(count=3, facts={"rows": 1})]}
    assert compared(alike, alike) == []


@pytest.mark.parametrize(
    ("attribute", "word"),
    [
        ("host.name", "host"),
        ("service.version", "version"),
        ("vcs.ref.head.revision", "revision"),
        ("code.file.path", "script"),
        ("process.runtime.version", "runtime"),
        ("telemetry.sdk.version", "rota"),
        ("process.command", "command"),
    ],
)
def test_where_and_what_ran_has_a_word_each(attribute, word):
    """Rather than the name of an attribute."""
    assert compared({"attributes": {attribute: "a"}}, {"attributes": {attribute: "b"}}) == [(word, "a", "b")]


def test_where_and_what_ran_is_compared():
    """What both told, and what differs; and how often it was tried."""
    then = {"host.name": "a", "service.version": "1", "code.file.path": "/x", "process.pid": 1}
    now = {"host.name": "b", "service.version": "1", "vcs.ref.head.revision": "abc", "code.file.path": HOSTILE, "process.pid": 2}
    assert compared({"attributes": then}, {"attributes": now, "run": a_run(attempt=3)}) == [
        ("host", "a", "b"), ("script", "/x", HOSTILE), ("attempts", "1", "3")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("then", "now", "difference"),
    [
        ({"rows": 1000}, {"rows": 1090}, []),
        ({"rows": 1000}, {"rows": 2000}, [("rows", "1,000", "2,000 (+100 %)")]),
        ({"rows": 1000}, {"rows": 0}, [("rows", "1,000", "0 (-100 %)")]),
        ({"rows": 0}, {"rows": 5}, [("rows", "0", "5")]),
        ({"rows": 0}, {"rows": 0}, []),
        ({"rows": -10}, {"rows": 10}, [("rows", "-10", "10 (+200 %)")]),
        ({"rows_read": 7}, {"a": 1}, [("a", "–", "1"), ("rows read", "7", "–")]),
        ({"full": True, "rows": 1}, {"full": False, "rows": 1}, []),
    ],
)
def test_what_it_recorded_is_compared_when_it_changed_by_a_tenth(then, now, difference):
    """And what only one of them recorded; what is true or false is no number."""
    assert compared({"attributes": then}, {"attributes": now}) == difference


def test_numbers_of_tasks_are_compared_where_the_run_has_none():
    """Added up, on both sides."""
    then, now = ([some_work(facts={"rows": rows}), some_work("b", facts={"rows": rows})] for rows in (5, 50))
    assert of_work(then, now) == [("rows", "10", "100 (+900 %)")]


def test_tasks_that_failed_come_first():
    """Then new ones, then those that did not run; a task that fails as it did before is no news."""
    then = [some_work("load", count=10), some_work("mail", failed=1), some_work("gone", duration_seconds=2.0)]
    now = [some_work("new", count=2000, duration_seconds=0.5), some_work("mail", failed=1), some_work("load", count=10, failed=3),
           some_work("broken", failed=1)]  # fmt: skip
    assert of_work(then, now) == [
        ("load", "none failed", "3 of 10 failed"), ("broken", "not there", "1 of 1 failed"),
        ("new", "not there", "2,000 × in 0.5 s"), ("gone", "1 × in 2 s", "did not run"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("then", "now", "difference"),
    [
        ({"duration_seconds": 10.0}, {"duration_seconds": 14.0}, []),
        ({"duration_seconds": 10.0}, {"duration_seconds": 16.0}, [("load, time", "10 s", "16 s")]),
        ({"duration_seconds": 0.1}, {"duration_seconds": 0.9}, []),  # not by a second
        ({"duration_seconds": 9.0}, {"duration_seconds": 1.0}, [("load, time", "9 s", "1 s")]),
        ({"duration_seconds": None}, {"duration_seconds": 5.0}, []),  # how long it took then nobody knows
        ({"count": 1}, {"count": 1}, []),
        ({"count": 1}, {"count": 2}, [("load, times", "1", "2")]),
        ({"count": 12}, {"count": 1}, [("load, times", "12", "1")]),
    ],
)
def test_a_task_that_took_much_longer_or_ran_more_often_is_named(then, now, difference):
    """By half and by a second at least; small changes are how things are."""
    assert of_work([some_work(**then)], [some_work(**now)]) == difference


def test_only_the_most_telling_are_shown():
    """Context before numbers before tasks, and no more than people read."""
    then = {"attributes": {"host.name": "a", **{f"n{i:02}": 1 for i in range(20)}}, "work": []}
    now = {"attributes": {"host.name": "b", **{f"n{i:02}": 9 for i in range(20)}}, "work": [some_work()]}
    found = compared(then, now)
    assert len(found) == MOST
    assert [what for what, _, _ in found[:2]] == ["host", "n00"]
