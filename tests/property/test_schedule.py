"""Cron schedules against Debian's cron, minute by minute.

The oracle walks every minute of real time as the main loop of Debian's ``cron.c`` does: it compares the local clock with
its own, decides by the size of the jump which kind of jobs to run for which minutes, and looks at five sets of numbers.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rota_collector.domain import cron
from rota_collector.domain.schedule import parse
from rota_collector.domain.zones import stretches

YEARS = range(2016, 2026)
AROUND = 3 * 60  # minutes before and after a transition
EXPRESSIONS = (
    "30 2 * * *", "0 3 * * *", "59 1 * * *", "15 0 * * *", "45 23 * * *", "0 0 * * *",  # fixed-time
    "*/7 * * * *", "30 * * * *", "* 2 * * *", "*/20 1-3 * * *", "0 */2 * * *",  # wildcard: minute or hour begins with *
    "30 2 1-7 * sun", "0,30 1,2,3 * * *", "5 2 */2 * *", "10 2 31 3 6",
)  # fmt: skip


class Oracle:
    """Debian's cron for one expression in one zone; ``runs`` are the real minutes (since 1970) at which it starts the job."""

    def __init__(self, expression: str) -> None:
        words = expression.split()
        self.minutes, self.hours, self.days, self.months = (
            self.numbers(word, low, high) for word, (low, high) in zip(words, ((0, 59), (0, 23), (1, 31), (1, 12)), strict=False)
        )
        self.weekdays = {day % 7 for day in self.numbers(words[4].replace("sun", "0"), 0, 7)}
        self.is_wild = words[0][0] == "*" or words[1][0] == "*"
        self.is_star = words[2][0] == "*" or words[4][0] == "*"

    @staticmethod
    def numbers(word: str, low: int, high: int) -> set[int]:
        found: set[int] = set()
        for part in word.split(","):
            span, _, step = part.partition("/")
            first, _, last = ("%d-%d" % (low, high) if span == "*" else span).partition("-")
            found |= set(range(int(first), int(last or first) + 1, int(step or 1)))
        return found

    def matches(self, local: int, wild: bool, fixed: bool) -> bool:
        """``find_jobs``: whether the job is due at a minute of the local clock."""
        at = datetime(1970, 1, 1) + timedelta(minutes=local)  # noqa: DTZ001 (a local clock has no zone)
        if at.minute not in self.minutes or at.hour not in self.hours or at.month not in self.months:
            return False
        day, weekday = at.day in self.days, at.isoweekday() % 7 in self.weekdays
        if not ((day and weekday) if self.is_star else (day or weekday)):
            return False
        return wild if self.is_wild else fixed

    def runs(self, zone: str, first: int, last: int) -> Iterator[int]:
        """The real minutes from ``first`` to ``last`` at which it runs, as cron has been up for long before."""
        info = ZoneInfo(zone)

        def clock(minute: int) -> int:
            offset = datetime.fromtimestamp(minute * 60, info).utcoffset()
            assert offset is not None
            return minute + int(offset.total_seconds()) // 60

        virtual = clock(first - 1)
        for minute in range(first, last + 1):
            running = clock(minute)
            jump = running - virtual
            due = False
            if jump == 1:
                virtual = running
                due = self.matches(virtual, wild=True, fixed=True)
            elif 0 < jump <= 5:
                while virtual < running:
                    virtual += 1
                    due |= self.matches(virtual, wild=True, fixed=True)
            elif 5 < jump <= 180:
                due = self.matches(running, wild=True, fixed=False)
                while virtual < running:
                    virtual += 1
                    due |= self.matches(virtual, wild=False, fixed=True)
            elif -180 < jump <= 0:
                due = self.matches(running, wild=True, fixed=False)
            else:
                virtual = running
                due = self.matches(virtual, wild=True, fixed=True)
            if due:
                yield minute


def transitions(zone: str) -> list[int]:
    """The Unix minutes at which a zone's clock jumps; jumps that are no whole minutes are history."""
    found = [stretch for year in YEARS for stretch in stretches(zone, year)[1:]]
    return [stretch.start // 60 for stretch in found if stretch.start % 60 == 0 and (stretch.offset - stretch.before) % 60 == 0]


def compare(zone: str, expression: str, around: int) -> None:
    """The evaluator and the oracle name the same minutes from well before a transition to well after it."""
    first, last = around - AROUND, around + AROUND
    schedule = parse(expression, zone)
    expected = list(Oracle(expression).runs(zone, first - 24 * 60, last))
    ours, at_ns = [], (first * 60 - 1) * 10**9
    while (next_ns := schedule.next_after(at_ns)) is not None and next_ns <= last * 60 * 10**9:
        ours.append(next_ns // (60 * 10**9))
        at_ns = next_ns
    assert ours == [minute for minute in expected if minute >= first], (
        zone,
        expression,
        datetime.fromtimestamp(around * 60, UTC),
    )


@pytest.mark.soak
def test_every_transition_of_ten_years_in_every_zone_is_debian_s():
    """All zones, all transitions ± 3 h, all kinds of expressions: the same minutes as Debian's cron."""
    for zone in sorted(available_timezones()):
        for around in transitions(zone):
            for expression in EXPRESSIONS:
                compare(zone, expression, around)


def test_a_sample_of_transitions_is_debian_s():
    """Sixty transitions, with those that are odd: half an hour, two hours, a day that was left out, midnight."""
    odd = ("Australia/Lord_Howe", "Antarctica/Troll", "Asia/Gaza", "America/Havana", "Africa/Casablanca", "Asia/Pyongyang")
    sample = [(zone, around) for zone in odd for around in transitions(zone)[:4]]
    rest = [(zone, around) for zone in random.Random(3).sample(sorted(available_timezones()), 30) for around in transitions(zone)]
    for zone, around in sample + random.Random(4).sample(rest, 36):
        for expression in EXPRESSIONS:
            compare(zone, expression, around)


def fields(low: int, high: int) -> st.SearchStrategy[str]:
    """One field of a cron expression."""
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda pair: "%d-%d" % (min(pair), max(pair)))
    part = st.one_of(number.map(str), span, st.builds("{}/{}".format, st.one_of(st.just("*"), span), st.integers(1, 20)))
    return st.one_of(st.just("*"), st.lists(part, min_size=1, max_size=3).map(",".join))


ANY = st.builds("{} {} {} {} {}".format, fields(0, 59), fields(0, 23), fields(1, 31), fields(1, 12), fields(0, 7))
PLACES = st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"])


@settings(max_examples=60, deadline=None)
@given(ANY, PLACES, st.integers(min_value=24_000_000, max_value=31_000_000))
def test_any_expression_anywhere_is_debian_s(expression, zone, minute):
    """Random expressions, at random times: two days, minute by minute."""
    schedule = parse(expression, zone)
    expected = list(Oracle(expression).runs(zone, minute - 300, minute + 2880))
    expected = [each for each in expected if each >= minute]
    found = schedule.next_after((minute * 60 - 1) * 10**9)
    if expected:
        assert found == expected[0] * 60 * 10**9
    else:
        assert found is None or found > (minute + 2880) * 60 * 10**9


@settings(max_examples=200, deadline=None)
@given(ANY)
def test_parsing_ends_in_a_schedule_or_a_reason(expression):
    """Every expression made of legal fields is understood, and its next occurrence, if any, is in the future."""
    found = cron.parse(expression).next_after(1_700_000_000, "UTC")
    assert found is None or found > 1_700_000_000
