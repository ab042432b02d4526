"""Durations, as people write and read them."""

from __future__ import annotations

import pytest

from rota.rules.durations import seconds, words


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90s", 90), ("15m", 900), ("15min", 900), ("2h", 7200), ("1d", 86_400), ("1w", 604_800), ("1h30m", 5400),
        ("1 h 30 min", 5400), ("1.5h", 5400), ("250ms", 0.25), ("1d12h", 129_600), (" 5M ", 300), ("90", 90),
        ("0", 0), ("0.5", 0.5), ("1w1d1h1m1s", 694_861),
    ],
)  # fmt: skip
def test_a_duration_is_read_as_it_is_written(text, length):
    """One unit or several, with or without spaces, in either case; a bare number is seconds."""
    assert seconds(text) == length


@pytest.mark.parametrize(
    "text",
    ["", " ", "soon", "m", "5x", "5 minutes", "1h30", "1h,30m", "h5", "-5m", "+5m", "1e3", "nan", "inf", "1_000", "٣m", "5m5",
     "5m x 3s", "1..5h"],
)  # fmt: skip
def test_what_is_no_duration_is_refused_with_an_example(text):
    """The refusal shows the value and how to write one."""
    with pytest.raises(ValueError, match="write it like 90s, 15m, 2h") as refused:
        seconds(text)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize("text", ["101w" * 60, "9" * 400, "99999w", "9" * 400 + "w"])
def test_nothing_is_longer_than_a_century(text):
    """What would be no number of nanoseconds any more is refused, without repeating all of it."""
    with pytest.raises(ValueError, match="longer than a century") as refused:
        seconds(text)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("length", "shown"),
    [
        (0, "0 s"), (0.25, "250 ms"), (0.9996, "1 s"), (1, "1 s"), (59.7, "1 min"), (90, "1 min 30 s"), (3600, "1 h"),
        (5400, "1 h 30 min"), (86_400, "1 d"), (90_000, "1 d 1 h"), (86_460, "1 d"), (694_861, "8 d 1 h"),
    ],
)  # fmt: skip
def test_people_read_two_units(length, shown):
    """The two largest that follow each other; what is smaller is not worth the words."""
    assert words(length) == shown


@pytest.mark.parametrize("length", [1, 45, 60, 3599, 3600, 5400, 86_400, 12 * 86_400])
def test_words_of_two_units_can_be_read_back(length):
    """What rota says, it understands."""
    assert seconds(words(length)) == length
