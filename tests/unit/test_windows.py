"""Windows of a week or a calendar, as people write them."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.rules import windows

THURSDAY = datetime.fromisoformat("2026-11-26T17:30")


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("Mon..Fri", "2026-11-27T23:59", "2026-11-28T00:00"),
        ("Sat,Sun", "2026-11-29T12:00", "2026-11-30T00:00"),
        ("Fri..Mon", "2026-11-29T12:00", "2026-11-26T12:00"),
        ("08:00-18:00", "2026-11-26T08:00", "2026-11-26T18:00"),
        ("22:00-06:00", "2026-11-26T05:59", "2026-11-26T06:00"),
        ("Sat 22:00-06:00", "2026-11-29T03:00", "2026-11-28T03:00"),
        ("Monday 00:00-24:00", "2026-11-30T23:59", "2026-12-01T00:00"),
        ("2026-12-24..2026-12-26", "2026-12-26T23:59", "2026-12-27T00:00"),
        ("2026-12-24 18:00-24:00", "2026-12-24T18:00", "2026-12-24T17:59"),
    ],
)
def test_a_window_is_where_its_words_say(text, inside, outside):
    """Days, times of the day, dates, and all of them together; past midnight it is of the day that it begins on."""
    window = windows.parse(text)
    assert windows.allows([window], [], datetime.fromisoformat(inside))
    assert not windows.allows([window], [], datetime.fromisoformat(outside))
    assert windows.allows([], [window], datetime.fromisoformat(outside))


@pytest.mark.parametrize(
    "text", ["", "Mo", "Mon-Fri", "25:00-26:00", "24:30-01:00", "08:00-08:00", "2026-13-01", "2026-02-02..2026-02-01"]
)
def test_what_is_no_window_is_said(text):
    """The text is shown, and how one is written."""
    with pytest.raises(ValueError, match=r"write it like|ends before"):
        windows.parse(text)


def test_never_wins_over_only():
    """A holiday in a working week is closed."""
    only, never = [windows.parse("Mon..Fri")], [windows.parse("2026-11-26")]
    assert windows.next_allowed(only, never, THURSDAY) == datetime.fromisoformat("2026-11-27")


def test_a_window_that_never_opens_is_no_endless_search():
    """Nothing within 400 days is said to be nothing."""
    assert windows.next_allowed([windows.parse("2020-01-01")], [], THURSDAY) is None


TEXTS = st.sampled_from(
    ["Mon..Fri", "Sat,Sun", "Wed 09:30-17:00", "22:00-06:00", "Fri 23:00-02:00", "2026-11-27..2026-11-28", "00:00-12:00", "Thu"]
)


@given(st.lists(TEXTS, max_size=3), st.lists(TEXTS, max_size=2), st.integers(0, 14 * 48))
def test_it_opens_at_the_first_minute_that_is_allowed(only, never, halves):
    """As a walk by half hours, at which all of these windows begin and end, finds it."""
    ours, theirs = ([windows.parse(text) for text in texts] for texts in (only, never))
    start = THURSDAY.replace(hour=0) + timedelta(minutes=30 * halves)
    walk = (start + timedelta(minutes=30 * n) for n in range(15 * 48))
    first = next((at for at in walk if windows.allows(ours, theirs, at)), None)
    found = windows.next_allowed(ours, theirs, start)
    assert found == first or (first is None and (found is None or found > start + timedelta(days=15)))
