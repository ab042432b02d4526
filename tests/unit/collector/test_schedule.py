"""Schedules, case by case: the next slot of an expression, what is refused and why, and what is only warned of."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rota_collector.domain.schedule import BadSchedule, Schedule, parse, problems

S = 10**9
MINUTE, HOUR, DAY = 60 * S, 3600 * S, 86_400 * S
NOW = int(datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC).timestamp()) * S  # a Monday


def ns(text: str) -> int:
    return round(datetime.fromisoformat(text).astimezone(UTC).timestamp()) * S


def coming(spec: str, zone: str, after: str, count: int) -> list[str]:
    """The next slots in UTC, as ``MM-DD HH:MM``."""
    schedule, at_ns, found = parse(spec, zone), ns(after), []
    while len(found) < count:
        following = schedule.next_after(at_ns)
        assert following is not None
        at_ns = following
        found.append(datetime.fromtimestamp(at_ns // S, UTC).strftime("%m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("spec", "after", "slots"),
    [
        ("0 2 * * *", "2026-03-01T02:00Z", ["03-02 02:00", "03-03 02:00"]),
        ("@daily", "2026-03-01T00:00Z", ["03-02 00:00"]),
        ("@midnight", "2026-03-01T23:59Z", ["03-02 00:00"]),
        ("@hourly", "2026-03-01T02:30Z", ["03-01 03:00"]),
        ("@weekly", "2026-03-02T00:00Z", ["03-08 00:00"]),
        ("@monthly", "2026-03-02T00:00Z", ["04-01 00:00"]),
        ("@yearly", "2026-03-02T00:00Z", ["01-01 00:00"]),
        ("@annually", "2026-03-02T00:00Z", ["01-01 00:00"]),
        ("*/20 9-10 * * mon-fri", "2026-03-06T10:30Z", ["03-06 10:40", "03-09 09:00", "03-09 09:20"]),
        ("5,50-59/3 * * * *", "2026-03-01T02:00Z", ["03-01 02:05", "03-01 02:50", "03-01 02:53"]),
        ("0 0 * JAN,dec *", "2026-03-01T00:00Z", ["12-01 00:00"]),
        ("0 0 * * 7", "2026-03-02T00:00Z", ["03-08 00:00"]),
        ("0 0 * * 5-7", "2026-03-02T00:00Z", ["03-06 00:00", "03-07 00:00", "03-08 00:00"]),
        ("5-5/2 0 1 1 *", "2026-03-01T00:00Z", ["01-01 00:05"]),
    ],
)
def test_an_expression_means_what_crontab_5_says(spec, after, slots):
    """Names, lists, ranges, steps, `@` forms, Sunday as 0 and as 7."""
    assert coming(spec, "UTC", after, len(slots)) == slots


@pytest.mark.parametrize(
    ("spec", "after", "slots"),
    [
        ("0 0 13 * 5", "2026-03-01T00:00Z", ["03-06 00:00", "03-13 00:00", "03-20 00:00"]),  # every Friday, and each 13th
        ("0 0 13 * *", "2026-03-01T00:00Z", ["03-13 00:00", "04-13 00:00"]),
        ("0 0 * * 5", "2026-03-01T00:00Z", ["03-06 00:00", "03-13 00:00"]),
        ("0 0 */2 * 5", "2026-03-01T00:00Z", ["03-13 00:00", "03-27 00:00", "04-03 00:00"]),  # odd days that are Fridays
        ("0 0 13 * */5", "2026-03-01T00:00Z", ["03-13 00:00", "09-13 00:00"]),  # a 13th on a Friday (5) or a Sunday (0)
        ("0 0 1-31/2 * 5", "2026-03-01T00:00Z", ["03-03 00:00", "03-05 00:00", "03-06 00:00"]),  # no star: either
        ("0 0 5,* * 1", "2026-03-01T00:00Z", ["03-02 00:00", "03-03 00:00"]),  # the star is not the first character: either
        ("0 0 *,5 * 1", "2026-03-01T00:00Z", ["03-02 00:00", "03-09 00:00"]),
    ],
)
def test_a_leading_star_makes_both_days_count(spec, after, slots):
    """Day of month and day of week: either is enough, unless one of them begins with a star, then both must match."""
    assert coming(spec, "UTC", after, len(slots)) == slots


def test_a_leap_day_comes_when_there_is_one():
    """29 February is found over years, over a century that has none, and on a Sunday 40 years ahead."""
    assert parse("0 0 29 2 *").next_after(ns("2026-01-01T00:00Z")) == ns("2028-02-29T00:00Z")
    assert parse("0 0 29 2 *").next_after(ns("2096-02-29T00:00Z")) == ns("2104-02-29T00:00Z")
    assert parse("0 0 29 2 */7").next_after(ns("2088-03-01T00:00Z")) == ns("2128-02-29T00:00Z")


@pytest.mark.parametrize(
    ("spec", "zone", "after", "slots"),
    [
        # Berlin, 29 March 2026: 02:00 → 03:00 at 01:00 UTC
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00Z", ["03-29 01:00", "03-30 00:30"]),
        ("0,30 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00Z", ["03-29 01:00", "03-29 01:30", "03-30 00:00"]),
        ("30 * * * *", "Europe/Berlin", "2026-03-29T00:00Z", ["03-29 00:30", "03-29 01:30"]),
        ("*/30 2 * * *", "Europe/Berlin", "2026-03-28T12:00Z", ["03-30 00:00"]),
        ("0 3 * * *", "Europe/Berlin", "2026-03-28T12:00Z", ["03-29 01:00", "03-30 01:00"]),
        # Berlin, 25 October 2026: 03:00 → 02:00 at 01:00 UTC
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00Z", ["10-25 00:30", "10-26 01:30"]),
        ("0 3 * * *", "Europe/Berlin", "2026-10-24T12:00Z", ["10-25 02:00", "10-26 02:00"]),
        ("*/30 2 * * *", "Europe/Berlin", "2026-10-24T12:00Z", ["10-25 00:00", "10-25 00:30", "10-25 01:00", "10-25 01:30"]),
        ("30 * * * *", "Europe/Berlin", "2026-10-25T00:00Z", ["10-25 00:30", "10-25 01:30", "10-25 02:30"]),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T01:15Z", ["10-26 01:30"]),  # asked within the repeated hour
        # Lord Howe moves by half an hour: 4 October 2026 at 15:30 UTC, 02:00 → 02:30; 4 April 2026 at 15:00 UTC, 02:00 → 01:30
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00Z", ["10-03 15:30", "10-04 15:15"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00Z", ["04-04 14:45", "04-05 15:15"]),
        (
            "*/15 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T14:30Z",
            ["04-04 14:45", "04-04 15:00", "04-04 15:15", "04-05 14:30"],
        ),
        # Troll moves by two: 29 March 2026 at 01:00 UTC, 01:00 → 03:00
        ("15 1,2 * * *", "Antarctica/Troll", "2026-03-28T12:00Z", ["03-29 01:00", "03-29 23:15"]),
        # Casey moved by three, which is too much for daylight saving time: 4 October 2020, 00:01 → 03:01
        ("30 1 * * *", "Antarctica/Casey", "2020-10-03T00:00Z", ["10-04 14:30"]),
        # Apia had no 30 December 2011
        ("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00Z", ["12-29 22:00", "12-30 22:00"]),
        ("0 12 30 * *", "Pacific/Apia", "2011-12-01T00:00Z", ["01-29 22:00"]),
        # beyond the zone file's table, by its rule
        ("30 2 * * *", "Europe/Berlin", "2045-03-25T12:00Z", ["03-26 01:00", "03-27 00:30"]),
        ("30 2 * * *", "America/New_York", "2080-03-09T12:00Z", ["03-10 07:00", "03-11 06:30"]),
    ],
)
def test_a_change_of_the_clock_is_debian_s(spec, zone, after, slots):
    """A fixed time that is jumped over comes right after the gap, one that repeats comes once; a wildcard follows real time."""
    assert coming(spec, zone, after, len(slots)) == slots


@pytest.mark.parametrize(
    ("spec", "zone", "after", "slots"),
    [
        ("Mon..Fri 02:00", "UTC", "2026-03-06T03:00Z", ["03-09 02:00"]),
        ("*-*~01 02:00", "UTC", "2026-02-01T00:00Z", ["02-28 02:00", "03-31 02:00"]),
        ("02:00; 14:00", "UTC", "2026-03-06T03:00Z", ["03-06 14:00", "03-07 02:00"]),
        ("02:00\n02:00 Asia/Tokyo", "Europe/Berlin", "2026-03-06T03:00Z", ["03-06 17:00", "03-07 01:00"]),
        ("daily", "Asia/Kolkata", "2026-03-06T03:00Z", ["03-06 18:30"]),
        ("02:30", "Europe/Berlin", "2026-03-28T12:00Z", ["03-30 00:30"]),  # systemd skips what the clock jumps over
        ("02:30", "Europe/Berlin", "2026-10-24T12:00Z", ["10-25 00:30", "10-26 01:30"]),
        ("*:0/30", "Europe/Berlin", "2026-10-25T00:45Z", ["10-25 02:00", "10-25 02:30"]),  # asked within the repeated hour
    ],
)
def test_a_calendar_is_systemd_s(spec, zone, after, slots):
    """The cases were compared with `systemd-analyze calendar` (252)."""
    assert coming(spec, zone, after, len(slots)) == slots


def test_an_interval_counts_from_the_moment_given():
    """`every 10m` has no grid: ten minutes after whatever it is asked about."""
    schedule = parse("every 10m")
    assert (schedule.kind, schedule.period_ns) == ("interval", 10 * MINUTE)
    assert schedule.next_after(NOW + 1) == NOW + 1 + 10 * MINUTE


def test_after_another_workflow_has_no_times():
    """Its slots come of that workflow's successes; `within` is an hour when left out."""
    schedule = parse({"after": {"workflow": "ingest.orders", "within": "30m"}})
    assert (schedule.kind, schedule.after_workflow, schedule.within_ns) == ("after", "ingest.orders", 30 * MINUTE)
    assert schedule.next_after(NOW) is None
    assert parse({"after": {"workflow": "a"}}).within_ns == HOUR
    assert problems(schedule, None, NOW) == []


@pytest.mark.parametrize(
    ("mapping", "same"),
    [
        ({"cron": "0 2 * * *", "tz": "Europe/Berlin", "grace": "15m"}, Schedule("cron", "0 2 * * *", "Europe/Berlin")),
        ({"cron": " 0  2 * * * "}, Schedule("cron", "0 2 * * *", "Asia/Tokyo")),
        ({"cron": "@Daily"}, Schedule("cron", "@daily", "Asia/Tokyo")),
        ({"every": "1h 30m"}, Schedule("interval", "every 1h30m", "Asia/Tokyo", 90 * MINUTE)),
        ({"every": 600}, Schedule("interval", "every 600", "Asia/Tokyo", 10 * MINUTE)),
        ({"on_calendar": "Mon..Fri 02:00"}, Schedule("calendar", "Mon..Fri 02:00", "Asia/Tokyo")),
        ({"on_calendar": ["02:00", "14:00"]}, Schedule("calendar", "02:00\n14:00", "Asia/Tokyo")),
    ],
    ids=str,
)
def test_the_mapping_of_a_policy_is_a_schedule(mapping, same):
    """In every form, with the zone it names or else the one given."""
    assert parse(mapping, "Asia/Tokyo") == same


@pytest.mark.parametrize(
    ("spec", "zone", "words"),
    [
        ("0 2 * * *", "Europe/Berlin", "At 02:00 every day (Europe/Berlin)"),
        ("@daily", "UTC", "At 00:00 every day (UTC)"),
        ("0 0 30 2 *", "UTC", "0 0 30 2 * (UTC)"),
        ("every 90m", "UTC", "every 1 h 30 min"),
        ("02:00; 14:00", "UTC", "02:00; 14:00 (UTC)"),
    ],
)
def test_a_schedule_says_itself_in_words(spec, zone, words):
    """With its zone, where that matters; an expression without words is shown as it is."""
    assert parse(spec, zone).words() == words


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("60 * * * *", ["minute", "'60'", "between 0 and 59"]),
        ("0 2 0 * *", ["day of month", "'0'"]),
        ("0 2 * * 8", ["day of week", "'8'"]),
        ("0 2 * foo *", ["month", "'foo'"]),
        ("5/10 * * * *", ["a step needs a range", "5-59/10"]),
        ("*/0 * * * *", ["'0' is no step"]),
        ("22-2 * * * *", ["ends before it begins", "22-59,0-2"]),
        ("0 0 * * fri-sun", ["ends before it begins", "5-7"]),
        ("0 2 L * *", ["Debian's cron has no L", "*-*~01"]),
        ("0 2 * * 5#2", ["Debian's cron has no", "#"]),
        ("0 2 ? * *", ["Debian's cron has no"]),
        ("٣ * * * *", ["minute"]),
        ("0 2 * *", ["five fields; this has 4"]),
        ("0 0 2 * * *", ["five fields; this has 6"]),
        ("@reboot", ["@reboot has no time"]),
        ("@often", ["'@often'", "@daily"]),
        ("every soon", ["'soon'", "15m"]),
        ("every 0s", ["'0s'", "1s"]),
        ("every 500d", ["400d"]),
        ("whenever", ["'whenever'", "0 2 * * *", "every 5m", "Mon..Fri 02:00"]),
        ("02:00 Europe", ["'02:00 Europe'"]),
        ("", ["''"]),
    ],
)
def test_what_cannot_be_understood_is_refused(spec, said):
    """The refusal names the part, the value, and what to write."""
    with pytest.raises(BadSchedule) as refused:
        parse(spec)
    assert [part for part in said if part not in str(refused.value)] == []


@pytest.mark.parametrize(
    ("zone", "near"),
    [("Europe/Berln", "Europe/Berlin"), ("europe/berlin", "Europe/Berlin"), ("../etc", "Europe/Berlin"), ("Europe", "Europe/")],
)
def test_an_unknown_zone_is_refused_with_one_that_exists(zone, near):
    """A zone is a name of the time zone database."""
    with pytest.raises(BadSchedule) as refused:
        parse("0 2 * * *", zone)
    assert repr(zone) in str(refused.value)
    assert f"such as {near}" in str(refused.value)


@pytest.mark.parametrize("spec", ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "*-02-30", "2020-01-01 02:00"])
def test_a_schedule_that_never_comes_is_an_error(spec):
    """The search for it ends."""
    (problem,) = problems(parse(spec), None, NOW)
    assert problem.severity == "error"
    assert repr(spec) in problem.text
    assert "never" in problem.text


@pytest.mark.parametrize(
    ("spec", "grace", "gap"),
    [
        ("every 10m", 20 * MINUTE, "10 min"),
        ("0 2 * * *", 25 * HOUR, "1 d"),
        ("0 1,2 * * *", HOUR, "1 h"),  # the shortest gap counts, wherever one looks from
        ("*/15 9-17 * * *", 15 * MINUTE, "15 min"),
        ("02:00; 02:30", HOUR, "30 min"),
    ],
)
def test_a_grace_as_long_as_the_gap_is_a_warning(spec, grace, gap):
    """It says both: a miss would be told only after the next slot is due."""
    for from_ns in (NOW, NOW + 11 * HOUR + 20 * MINUTE):
        (problem,) = problems(parse(spec), grace, from_ns)
        assert problem.severity == "warning"
        assert f"the {gap} between two runs" in problem.text
    assert problems(parse(spec), grace // 3, NOW) == []


def test_a_schedule_is_small_and_can_be_a_key():
    """100,000 of them are held in memory, and compared."""
    first, second = parse("0 2 * * *", "Europe/Berlin"), parse({"cron": "0 2 * * *", "tz": "Europe/Berlin"})
    assert first == second
    assert len({first, second}) == 1
    with pytest.raises(AttributeError):
        first.tz = "UTC"  # type: ignore[misc]


@pytest.mark.parametrize("spec", ["0 2 * * *", "02:00", "* * * * *"])
def test_time_ends_in_2200(spec):
    """No search goes on for ever, and no moment is an error."""
    assert parse(spec, "Europe/Berlin").next_after(9 * 10**18) is None
    assert parse(spec).next_after(-(10**18)) is not None
