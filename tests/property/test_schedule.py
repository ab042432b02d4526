"""Cron schedules against Debian's cron, minute by minute, and what holds of every schedule.

The oracle walks real time as the main loop of Debian's ``cron.c`` (3.0pl1-162) does, and shares nothing with what it judges:
it asks ``zoneinfo`` for each minute, and keeps each field as the bytes of an array.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from time import gmtime
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from rota_collector.domain.schedule import BadSchedule, parse

MINUTE_NS = 60 * 10**9
FIRST, LAST = (
    int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) // 60 for year in (2020, 2030)
)  # ten years, as minutes since 1970
AROUND = 3 * 60  # minutes before and after a transition
SETTLED = 12 * 60  # minutes for which cron has been up before we look
EXPRESSIONS = (
    "30 2 * * *", "0 3 * * *", "59 1 * * *", "15 0 * * *", "45 23 * * *", "0 0 * * *", "10 2 31 3 6",  # fixed-time
    "30 2 1-7 * sun", "0,30 0,1,2,3,22,23 * * *", "5 2 */2 * *", "0-59/1 0-23/1 * * *",  # fixed-time too: no star comes first
    "*/7 * * * *", "30 * * * *", "* 2 * * *", "*/20 1-3 * * *", "0 */2 * * *", "*/30,1 1-3 * * *", "0 *,1 * * *",  # wildcard
)  # fmt: skip
ODD = ("Australia/Lord_Howe", "Antarctica/Troll", "Asia/Gaza", "America/Havana", "Africa/Casablanca", "Antarctica/Casey",
       "America/Santiago", "Atlantic/Azores", "Europe/Dublin", "Antarctica/Vostok", "America/Nuuk", "Asia/Beirut")  # fmt: skip


# -- Debian's cron, from its source --------------------------------------------------------------------------------------


class Tick(NamedTuple):
    """One call of ``find_jobs``: for a minute of the local clock, at a real minute (both since 1970)."""

    real: int
    local: int
    wild: bool
    fixed: bool


def main_loop(zone: str, first: int, last: int) -> Iterator[Tick]:
    """``main()``: what it makes of each minute, having been started at ``first``."""
    info = ZoneInfo(zone)
    virtual = clock(info, first - 1)
    for real in range(first, last + 1):
        running = clock(info, real)
        ahead = running - virtual
        if ahead == 1:
            virtual = running
            yield Tick(real, running, wild=True, fixed=True)
        elif 0 < ahead <= 5:  # woke up late
            while virtual < running:
                virtual += 1
                yield Tick(real, virtual, wild=True, fixed=True)
        elif 5 < ahead <= 3 * 60:  # summer time begins
            yield Tick(real, running, wild=True, fixed=False)
            while virtual < running:
                virtual += 1
                yield Tick(real, virtual, wild=False, fixed=True)
        elif -3 * 60 < ahead <= 0:  # summer time ends; virtual time waits
            yield Tick(real, running, wild=True, fixed=False)
        else:  # the clock jumped
            virtual = running
            yield Tick(real, running, wild=True, fixed=True)


def clock(info: ZoneInfo, real: int) -> int:
    """``set_time()``: the local clock, in minutes."""
    offset = datetime.fromtimestamp(real * 60, info).utcoffset()
    assert offset is not None
    return (real * 60 + offset.days * 86_400 + offset.seconds) // 60


class Entry:
    """``load_entry()``: five arrays and four flags."""

    def __init__(self, expression: str) -> None:
        minute, hour, dom, month, dow = expression.split()
        self.min_star, self.hr_star, self.dom_star, self.dow_star = (word[0] == "*" for word in (minute, hour, dom, dow))
        self.minute, self.hour = get_list(minute, 0, 59), get_list(hour, 0, 23)
        self.dom, self.month, self.dow = get_list(dom, 1, 31), get_list(month, 1, 12), get_list(dow, 0, 7)
        if self.dow[0] or self.dow[7]:
            self.dow[0] = self.dow[7] = 1

    def is_found(self, tick: Tick) -> bool:
        """``find_jobs()``: whether the job is started."""
        tm = broken_down(tick.local)
        if not (self.minute[tm.tm_min] and self.hour[tm.tm_hour] and self.month[tm.tm_mon]):
            return False
        dom, dow = self.dom[tm.tm_mday], self.dow[(tm.tm_wday + 1) % 7]
        if not ((dom and dow) if self.dom_star or self.dow_star else (dom or dow)):
            return False
        return tick.wild if self.min_star or self.hr_star else tick.fixed


@lru_cache(maxsize=1 << 16)
def broken_down(local: int):
    """``gmtime()``, as ``find_jobs`` uses it on a clock that is local already."""
    return gmtime(local * 60)


def get_list(word: str, low: int, high: int) -> bytearray:
    """``get_list()`` and ``get_range()``."""
    bits = bytearray(high + 1)
    for part in word.split(","):
        span, _, step = part.partition("/")
        first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        for number in range(value(first), value(last or first) + 1, int(step or 1)):
            bits[number] = 1
    return bits


def value(text: str) -> int:
    """``get_number()``, for the one name that is used here."""
    return 0 if text == "sun" else int(text)


# -- the comparison ------------------------------------------------------------------------------------------------------


def transitions(zone: str) -> list[int]:
    """The first real minutes after each jump of a zone's clock in the ten years, found without the code under test."""
    info, found = ZoneInfo(zone), []
    step = 6 * 60
    for low in range(FIRST, LAST, step):
        before = clock(info, low) - low
        if clock(info, low + step) - low - step != before:
            found.append(next(real for real in range(low, low + step + 1) if clock(info, real) - real != before))
    return found


def differences(zone: str, around: int, expressions: tuple[str, ...] = EXPRESSIONS) -> list[object]:
    """Where the evaluator and the oracle do not name the same minutes, from well before a transition until well after it."""
    first, last = around - AROUND, around + AROUND
    ticks = list(main_loop(zone, first - SETTLED, last))
    found: list[object] = []
    for expression in expressions:
        entry = Entry(expression)
        expected = sorted({tick.real for tick in ticks if tick.real >= first and entry.is_found(tick)})
        ours = occurrences(expression, zone, first, last)
        if ours != expected:
            found.append((zone, expression, datetime.fromtimestamp(around * 60, UTC), ours, expected))
    return found


def occurrences(expression: str, zone: str, first: int, last: int) -> list[int]:
    """What the evaluator says, in real minutes."""
    schedule = parse(expression, zone)
    found, at_ns = [], first * MINUTE_NS - 1
    while (next_ns := schedule.next_after(at_ns)) is not None and next_ns <= last * MINUTE_NS:
        assert next_ns > at_ns
        assert next_ns % MINUTE_NS == 0
        found.append(next_ns // MINUTE_NS)
        at_ns = next_ns
    return found


@pytest.mark.soak
def test_every_transition_of_ten_years_in_every_zone_is_debian_s():
    """All zones, all transitions ± 3 h, all kinds of expressions: the same minutes as Debian's cron."""
    compared = 0
    for zone in sorted(available_timezones()):
        for around in transitions(zone):
            assert differences(zone, around) == []
            compared += 1
    assert compared > 1000


def test_a_sample_of_transitions_is_debian_s():
    """Sixty transitions, those that are odd among them: half an hour, two hours, three hours, midnight, New Year's Eve."""
    odd = [(zone, around) for zone in ODD for around in transitions(zone)[:3]]
    zones = random.Random(3).sample(sorted(available_timezones()), 20)
    rest = [(zone, around) for zone in zones for around in transitions(zone)]
    for zone, around in odd + random.Random(4).sample(rest, 30):
        assert differences(zone, around) == []


def fields(low: int, high: int) -> st.SearchStrategy[str]:
    """One field of a cron expression, as Debian reads it."""
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda pair: "%d-%d" % (min(pair), max(pair)))
    part = st.one_of(
        st.just("*"), number.map(str), span, st.builds("{}/{}".format, st.one_of(st.just("*"), span), st.integers(1, 20))
    )
    return st.one_of(st.just("*"), st.lists(part, min_size=1, max_size=3).map(",".join))


ANY = st.builds("{} {} {} {} {}".format, fields(0, 59), fields(0, 23), fields(1, 31), fields(1, 12), fields(0, 7))
TRANSITIONS = [(zone, around) for zone in ODD for around in transitions(zone)[:6]]


@settings(max_examples=150, deadline=None)
@given(ANY, st.sampled_from(TRANSITIONS))
@example("*/5 2 * * *", TRANSITIONS[0])
def test_any_expression_at_any_transition_is_debian_s(expression, transition):
    """Whatever five fields say: around a transition they mean what they mean to Debian's cron."""
    zone, around = transition
    assert differences(zone, around, (expression,)) == []


@settings(max_examples=60, deadline=None)
@given(ANY, st.sampled_from(("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")), st.integers(FIRST, LAST))
def test_any_expression_at_any_time_is_debian_s(expression, zone, minute):
    """Two days, minute by minute, wherever they lie in ten years: the days of the month and of the week included."""
    entry = Entry(expression)
    ticks = main_loop(zone, minute - SETTLED, minute + 2 * 1440)
    assert occurrences(expression, zone, minute, minute + 2 * 1440) == sorted(
        {tick.real for tick in ticks if tick.real >= minute and entry.is_found(tick)}
    )


# -- every schedule ------------------------------------------------------------------------------------------------------

CALENDARS = ("*:0/30", "02:30", "Mon..Fri 02:00", "*-*~01 02:00", "02:00; *:15 Europe/Riga", "daily", "Sun *-*-1..7 01:59:30")
SPECS = st.one_of(ANY, st.sampled_from(CALENDARS), st.integers(1, 10**6).map("every {}s".format))
MOMENTS = st.one_of(
    st.integers(0, 4 * 10**18),
    st.builds(lambda place, off: place[1] * MINUTE_NS + off, st.sampled_from(TRANSITIONS), st.integers(-(10**13), 10**13)),
)


@settings(max_examples=200, deadline=None)
@given(SPECS, st.sampled_from(ODD), MOMENTS)
def test_the_next_occurrence_is_after_the_moment_asked_for(spec, zone, at_ns):
    """Strictly after, in an hour that comes twice too: else who walks from one to the next walks for ever."""
    found = parse(spec, zone).next_after(at_ns)
    assert found is None or found > at_ns


@settings(max_examples=100, deadline=None)
@given(SPECS, st.sampled_from(ODD), MOMENTS, st.integers(1, 10**14))
def test_no_occurrence_lies_between_a_moment_and_the_next(spec, zone, at_ns, later_ns):
    """Whoever asks again before the next occurrence hears the same answer."""
    schedule = parse(spec, zone)
    found = schedule.next_after(at_ns)
    assume(schedule.period_ns is None and found is not None and at_ns + later_ns < found)
    assert schedule.next_after(at_ns + later_ns) == found


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=30), st.text("0123456789*/,- LW#?@:~.;adeFfimnorStTuy", max_size=30)))
def test_any_text_is_a_schedule_or_refused_with_a_reason(text):
    """Nothing but BadSchedule comes of a text that is none; what is one can be asked and said."""
    try:
        schedule = parse(text)
    except BadSchedule:
        return
    schedule.next_after(10**18)
    assert schedule.words()
