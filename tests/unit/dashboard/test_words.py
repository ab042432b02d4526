"""Words for what people read: lengths of time, days, numbers, and the letters of outcomes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dashboard_items import BERLIN, HOSTILE, NOW

from rota.rules.fold import STATES
from rota_dashboard.shape import words

TOKYO = ZoneInfo("Asia/Tokyo")
DAY = 86_400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"), (0, "0 ms"), (0.0354, "35 ms"), (0.0994, "99 ms"), (0.1, "0.1 s"), (0.42, "0.42 s"), (0.999, "1 s"),
        (2.5, "2.5 s"), (9.94, "9.9 s"), (9.96, "10 s"), (12.4, "12 s"), (59.4, "59 s"), (59.7, "1m 00s"), (466, "7m 46s"),
        (3599.6, "1h 00m"), (7200, "2h 00m"), (7229, "2h 00m"), (DAY - 1, "1d 00h"), (2.5 * DAY, "2d 12h"),
        (9.99 * DAY, "10 d"), (30 * DAY, "30 d"), (400 * DAY, "400 d"),
    ],
)  # fmt: skip
def test_a_length_of_time_reads_as_people_say_it(seconds, text):
    """Two units at most, rounded in the smaller one, and never sixty of anything."""
    assert words.length(seconds) == text


def test_a_band_is_two_lengths():
    """From the shorter to the longer."""
    assert words.between(780, 960) == "13m 00s to 16m 00s"


@pytest.mark.parametrize(
    ("back", "text"),
    [
        (0, "Today"),
        (1, "Yesterday"),
        (-1, "Tomorrow"),
        (2, "Sat 21 Nov"),
        (-3, "Thu 26 Nov"),
        (290, "Fri 6 Feb"),
        (400, "19 Oct 2025"),
    ],
)
def test_a_day_is_named_by_how_far_it_is(back, text):
    """The nearest ones by their names, those of the year by weekday and date, older ones by year."""
    assert words.day(NOW - timedelta(days=back), BERLIN, NOW) == text


def test_a_day_is_that_of_the_reader():
    """At 23:30 UTC it is tomorrow in Berlin, and so it is called."""
    at = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
    assert words.moment(at, BERLIN, NOW) == "Today 00:30"
    assert words.moment(at, UTC, NOW) == "Yesterday 23:30"
    assert words.date_of(at, BERLIN) == "23 Nov 2026"


@pytest.mark.parametrize("now", [datetime(2026, 3, 29, 22, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC)])
def test_a_day_of_23_or_25_hours_is_one_day(now):
    """Its first minute is yesterday's first minute on the day after, whatever the clocks did meanwhile."""
    first = datetime(now.year, now.month, now.day, tzinfo=BERLIN)
    assert words.moment(first, BERLIN, now + timedelta(hours=1)) == "Yesterday 00:00"


def test_a_moment_inside_a_sentence_begins_small():
    """But names of days and months stay as they are written."""
    assert words.moment_within(NOW, UTC, NOW).startswith("today ")
    assert words.moment_within(NOW - timedelta(days=2), UTC, NOW).startswith("Sat 21 Nov ")


def test_a_clock_has_seconds_where_they_matter():
    """The time of day there."""
    at = datetime(2026, 11, 23, 1, 0, 7, tzinfo=UTC)
    assert (words.clock(at, TOKYO), words.clock(at, BERLIN, seconds=True)) == ("10:00", "02:00:07")


def test_the_hour_that_comes_twice_is_told_by_its_place_in_time():
    """Two moments an hour apart have the same name on that night, and neither is moved."""
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert [words.clock(first + timedelta(hours=n), BERLIN) for n in range(3)] == ["02:30", "02:30", "03:30"]


def test_times_of_the_api_are_read_as_they_are():
    """To the microsecond, and as Unix ms; none is none."""
    assert words.parsed("2026-11-23T01:00:03.000042Z") == datetime(2026, 11, 23, 1, 0, 3, 42, UTC)
    assert words.millis("2026-11-23T01:00:03.001000Z") == 1_795_395_603_001
    assert words.millis(None) is None
    assert words.now_of(1_795_395_603_001) == datetime(2026, 11, 23, 1, 0, 3, 1000, UTC)


@pytest.mark.parametrize(
    ("share", "text"),
    [(1, "100 %"), (0.99999, "99.9 %"), (0.9996, "99.9 %"), (0.971, "97.1 %"), (0.97, "97 %"), (0.1, "10 %"), (0, "0 %")],
)
def test_a_hundred_per_cent_is_perfect(share, text):
    """As long as anything at all went wrong it is less."""
    assert words.percent(share) == text


@pytest.mark.parametrize(
    ("number", "word", "text"),
    [
        (0, "run", "0 runs"), (1, "run", "1 run"), (2000, "run", "2,000 runs"), (3, "", "3"), (0.1, "", "0.1"), (2.0, "", "2"),
        (1234567.5, "", "1,234,568"), (12.3456, "", "12.35"), (-4200, "", "-4,200"),
    ],
)  # fmt: skip
def test_a_number_is_written_with_its_word(number, word, text):
    """Thousands are set off, large ones have no digits that nobody needs, and none is written as a power of ten."""
    assert words.count(number, word) == text


@pytest.mark.parametrize(
    ("given", "text"), [(0, "0 B"), (999.6, "1 kB"), (1_900_000_000, "1.9 GB"), (42_000, "42 kB"), (5e12, "5 TB")]
)
def test_a_size_is_in_the_unit_that_fits(given, text):
    """Three digits at most."""
    assert words.size(given) == text


def test_names_of_states_are_words():
    """Without what programs put between them."""
    assert [words.plain(name) for name in ("succeeded", "timed_out", "retry_wait")] == ["succeeded", "timed out", "retry wait"]


def test_things_are_joined_as_in_a_sentence():
    """Commas, and an “and” before the last."""
    assert [words.joined(parts) for parts in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]


def test_a_text_is_clipped_to_its_first_line_that_says_anything():
    """What is cut ends with a mark; hostile text is text."""
    assert words.clipped("\n  \n first \nsecond") == "first"
    assert words.clipped("x" * 400, 300) == "x" * 299 + "…"
    assert words.clipped("x" * 300, 300) == "x" * 300
    assert words.clipped("") == ""
    assert words.clipped(HOSTILE) == HOSTILE


def test_every_state_has_a_letter_with_a_meaning():
    """Each state and each verdict is drawn, is placed among the others, and one of a later version is work in progress."""
    letters = {state: words.letter(state) for state in (*STATES, "on_time", "early", "late", "missed", "unknown", "rebooting")}
    assert all(len(each) == 1 for each in letters.values())
    assert set(letters.values()) == {*words.LETTERS.values(), words.WAITING}
    assert {letters[state] for state in ("queued", "blocked", "paused", "retry_wait", "rebooting")} == {words.WAITING}
    assert words.letter(None) == ""
    assert sorted(words.WORST_FIRST) == sorted({*words.LETTERS.values(), words.WAITING})


@pytest.mark.parametrize(("text", "cut"), [("", ""), ("abcd", "abcd"), ("abcdefg", "ab\n… 3 characters left out …\nfg")])
def test_a_very_long_text_is_its_head_and_its_tail(text, cut):
    """With how much of it is left out."""
    assert words.cut(text, 4) == cut
