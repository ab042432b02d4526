"""The calendar of a workflow: a cell a day, its worst outcome."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest

from rota_dashboard.shape.calendar import SHOWN_DAYS, calendar

TODAY = date(2026, 11, 23)
DAY = timedelta(days=1)


def a_day(back: int = 0, slots: dict[str, int] | None = None, **ran: int) -> dict[str, Any]:
    return {"day": (TODAY - back * DAY).isoformat(), "runs": ran, "slots": slots or {}}


def cell(*days: dict[str, Any], back: int = 0) -> list[str]:
    found: list[str] = calendar(days, TODAY)["cells"][-1 - back]
    return found


@pytest.mark.parametrize(
    ("runs", "slots", "letter", "says"),
    [
        ({"succeeded": 3}, {}, "s", "Mon 23 Nov 2026: 3 succeeded"),
        ({"succeeded": 3, "failed": 1}, {}, "f", "Mon 23 Nov 2026: 3 succeeded, 1 failed"),
        ({"failed": 1}, {"missed": 2}, "m", "Mon 23 Nov 2026: 2 missed, 1 failed"),
        ({"crashed": 1, "timed_out": 2}, {}, "c", "Mon 23 Nov 2026: 2 timed out, 1 crashed"),
        ({"succeeded": 2}, {"late": 1, "on_time": 1}, "l", "Mon 23 Nov 2026: 1 succeeded, 1 late"),
        ({"failed": 1}, {"late": 1}, "f", "Mon 23 Nov 2026: 1 failed"),
        ({}, {"unknown": 2}, "?", "Mon 23 Nov 2026: 2 unknown"),
        ({"skipped": 1}, {"skipped": 1}, "k", "Mon 23 Nov 2026: 1 skipped"),
        ({}, {"skipped": 2}, "k", "Mon 23 Nov 2026: 2 skipped"),
        ({"succeeded": 1500, "running": 1}, {"on_time": 1500}, "r", "Mon 23 Nov 2026: 1,500 succeeded, 1 running"),
        ({"retry_wait": 1}, {}, "w", "Mon 23 Nov 2026: 1 retry wait"),
    ],
)
def test_a_day_is_its_worst_outcome(runs, slots, letter, says):
    """Everything that there was is in its words; each run and each empty slot once."""
    assert cell(a_day(slots=slots, **runs)) == [letter, says]


def test_a_day_without_anything_is_empty():
    """Not good, not bad."""
    assert cell(a_day(1, succeeded=1)) == ["", "Mon 23 Nov 2026: nothing"]
    assert cell(a_day(1, succeeded=1), back=1) == ["s", "Sun 22 Nov 2026: 1 succeeded"]


def test_a_year_begins_on_a_monday_and_ends_today():
    """Columns are weeks; today is the last cell, wherever in the week that is."""
    for today in (TODAY, TODAY + 3 * DAY, TODAY + 6 * DAY):
        found = calendar([], today)
        first = date.fromisoformat(found["first"])
        assert first.weekday() == 0
        assert len(found["cells"]) == (today - first).days + 1
        assert SHOWN_DAYS <= len(found["cells"]) < SHOWN_DAYS + 7


def test_months_stand_above_the_week_in_which_they_are_first():
    """Twelve of them in a year, in their order."""
    months = calendar([], TODAY)["months"]
    assert [name for _, name in months] == ["Dec", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov"]
    columns = [column for column, _ in months]
    assert columns == sorted(columns)
    assert all(4 <= after - before <= 5 for before, after in pairwise(columns))


def test_the_caption_says_what_there_was():
    """The most first; why something is unknown is said at it, and at nothing else."""
    caption = calendar([a_day(succeeded=1200, failed=2), a_day(1, {"unknown": 5, "missed": 1})], TODAY)["caption"]
    assert caption == (
        "One cell a day, its worst outcome. 1,200 succeeded, 5 unknown (the collector was away), 2 failed, 1 missed."
    )
    assert calendar([], TODAY)["caption"] == "One cell a day. Nothing was seen yet."


def test_the_caption_names_the_six_that_there_were_most():
    """The rest is in the cells."""
    caption = calendar([a_day(succeeded=9, failed=8, crashed=7, timed_out=6, cancelled=5, ended=4, running=3)], TODAY)["caption"]
    assert caption.endswith("9 succeeded, 8 failed, 7 crashed, 6 timed out, 5 cancelled, 4 ended.")


def test_days_before_the_year_are_in_no_cell():
    """The collector may know more than is shown."""
    assert {letter for letter, _ in calendar([a_day(400, failed=1)], TODAY)["cells"]} == {""}
