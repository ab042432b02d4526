"""All runs of a day: the day in a sentence, and the runs as a block of bytes, read here as the browser reads it."""

from __future__ import annotations

import math
import uuid
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from dashboard_items import BERLIN, HOSTILE, NOW, Block, ns, run_columns, unpacked

import rota_dashboard
from rota_dashboard.shape import timeline
from rota_dashboard.shape.timeline import Day, day_of

LAYOUT = {"start": "<f4", "end": "<f4", "lane": "<u4", "name": "<u4", "mark": "u1", "id": "V16"}
TODAY = day_of("2026-11-23", BERLIN, NOW)
HOUR = 3600


def a_run(start: float, end: float | None, day: Day = TODAY, **fields: Any) -> dict[str, Any]:
    """Seconds since the day began."""
    at = [None if each is None else (ns(day.start) or 0) + round(each * 1e9) for each in (start, end)]
    return {"started_ns": at[0], "ended_ns": at[1], "state": "running" if end is None else "succeeded", **fields}


def block(*runs: dict[str, Any], by: str = "host", day: Day = TODAY) -> Block:
    return unpacked(timeline.packed(run_columns(*runs), day, by, NOW), LAYOUT, 4)


def head(*runs: dict[str, Any], day: Day = TODAY, zone: Any = BERLIN) -> dict[str, Any]:
    return timeline.head(run_columns(*runs), day, "host", zone, NOW, None)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-11-23T10:00", HOSTILE])
def test_without_a_day_it_is_today_where_the_reader_is(text):
    """Whatever stands in the address."""
    late = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
    assert day_of(text, BERLIN, late).date == date(2026, 11, 23)
    assert day_of(text, UTC, late).date == date(2026, 11, 22)


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31"])
def test_a_day_beyond_all_clocks_is_the_nearest_within(text):
    """It has bounds that databases keep."""
    day = day_of(text, BERLIN, NOW)
    assert 1970 < day.date.year < 2200
    assert day.start < day.end


@pytest.mark.parametrize(
    ("zone", "text", "hours"),
    [("Europe/Berlin", "2026-03-29", 23), ("Europe/Berlin", "2026-10-25", 25), ("Europe/Berlin", "2026-11-23", 24),
     ("Asia/Beirut", "2026-03-29", 23), ("Australia/Lord_Howe", "2026-04-05", 24.5)],
)  # fmt: skip
def test_a_day_on_which_clocks_change_is_as_long_as_it_is(zone, text, hours):
    """From midnight to midnight there, 23 or 25 hours; also where there is no midnight."""
    day = day_of(text, ZoneInfo(zone), NOW)
    assert day.end - day.start == timedelta(hours=hours)
    assert block(day=day).header["seconds"] == hours * HOUR


@pytest.mark.parametrize(
    ("zone", "text", "turn"),
    [
        ("Europe/Berlin", "2026-03-29", [2 * HOUR, HOUR]),
        ("Europe/Berlin", "2026-10-25", [3 * HOUR, -HOUR]),
        ("Europe/Berlin", "2026-11-23", None),
        ("Australia/Lord_Howe", "2026-04-05", [2 * HOUR, -HOUR / 2]),
    ],
)
def test_a_day_says_when_its_clocks_change(zone, text, turn):
    """So that the browser reads 02:13 as the clock on the wall."""
    assert block(day=day_of(text, ZoneInfo(zone), NOW)).header["turn"] == turn


def test_the_most_at_once_is_told_by_the_clock_on_the_wall_of_such_a_day():
    """Six hours after midnight it is seven o'clock in Berlin on the day on which summer begins."""
    day = day_of("2026-03-29", BERLIN, NOW)
    assert (
        head(a_run(5 * HOUR, 7 * HOUR, day), a_run(6 * HOUR, 7 * HOUR, day), day=day)["facts"][2]
        == "2 at once at 07:00, the most"
    )


def test_a_day_in_a_sentence():
    """How many runs, how many went wrong, and the most at once."""
    runs = [a_run(0, 100), a_run(50, 60, state="failed"), a_run(55, 70, state="crashed"), a_run(70, 90), a_run(100, 200)]
    found = head(*runs)
    assert found["title"] == "Today, 23 Nov 2026"
    assert found["facts"] == ["5 runs", "2 went wrong", "3 at once at 00:00, the most"]
    assert head()["facts"] == ["0 runs", "0 went wrong"]
    assert head(a_run(0, 9), a_run(9, 20))["facts"] == ["2 runs", "0 went wrong"]  # one ends as the other begins


def test_what_ran_over_midnight_is_there_from_the_beginning():
    """Its start lies before the day; together with what began then it is at once."""
    found = head(a_run(-5 * HOUR, 2), a_run(-HOUR, 1))
    assert found["facts"][2] == "2 at once at 00:00, the most"
    assert block(a_run(-HOUR, 1)).arrays["start"].tolist() == [-3600.0]


def test_days_are_reached_by_links():
    """The one before, and the one after unless that is tomorrow; lanes stay."""
    found = head()
    assert (found["before"], found["after"]) == ("/timeline?day=2026-11-22&by=host", None)
    earlier = head(day=day_of("2026-11-20", BERLIN, NOW))
    assert (earlier["title"], earlier["after"]) == ("Fri 20 Nov", "/timeline?day=2026-11-21&by=host")
    assert head(day=day_of("2024-02-29", BERLIN, NOW))["title"] == "29 Feb 2024"
    assert [(each["text"], each["key"], each["on"]) for each in found["by"]] == [
        ("By host", "host", True), ("By tag", "tag", False), ("By workflow", "workflow", False)
    ]  # fmt: skip


def test_a_day_says_whose_it_is():
    """Its date for the field in which another is chosen, the zone of its times, and whether what is shown is old."""
    found = timeline.head(run_columns(), TODAY, "host", BERLIN, NOW, "away since 09:02")
    assert (found["day"], found["zone"], found["away"]) == ("2026-11-23", "Europe/Berlin", "away since 09:02")


def test_runs_are_bars():
    """Start and end in seconds of the day, name, letter, and the id as 16 bytes."""
    identity = "01936d3e-7a1f-7bcd-8000-00000000002a"
    found = block(
        a_run(7200, 7202.5, run_id=identity, host="b", workflow="x", state="failed"), a_run(0, 1, host="a", workflow="y")
    )
    assert {name: found.arrays[name].tolist() for name in ("start", "end", "lane")} == {
        "start": [7200.0, 0.0], "end": [7202.5, 1.0], "lane": [1, 0]
    }  # fmt: skip
    assert found.header["lanes"] == ["a", "b"]
    assert [found.header["names"][place] for place in found.arrays["name"]] == ["x", "y"]
    assert bytes(found.arrays["mark"]) == b"fs"
    assert uuid.UUID(bytes=found.arrays["id"][0].tobytes()) == uuid.UUID(identity)
    assert (found.header["start"], found.header["now"]) == (TODAY.start.timestamp() * 1000, NOW.timestamp() * 1000)


def test_what_runs_has_no_end():
    """NaN, and it is not over before anything else."""
    found = block(a_run(0, None), a_run(1, 2))
    assert [math.isnan(end) for end in found.arrays["end"]] == [True, False]
    assert head(a_run(0, None), a_run(5, None), a_run(9, 10))["facts"][2] == "3 at once at 00:00, the most"
    assert math.isnan(block(a_run(0, None)).arrays["end"][0])


def test_a_run_of_several_tags_is_a_bar_in_each_lane():
    """One without a tag has a lane too."""
    found = block(a_run(1, 2, tags=["eu", "db"]), a_run(3, 4), by="tag")
    assert found.header["lanes"] == ["db", "eu", "no tag"]
    assert found.arrays["lane"].tolist() == [1, 0, 2]
    assert found.arrays["start"].tolist() == [1.0, 1.0, 3.0]
    assert len({each.tobytes() for each in found.arrays["id"][:2]}) == 1


def test_lanes_are_of_hosts_or_of_workflows():
    """What no host was told of has a lane of its own."""
    runs = [a_run(1, 2, host="b"), a_run(1, 2), a_run(1, 2, host=HOSTILE, workflow=HOSTILE)]
    assert block(*runs).header["lanes"] == sorted(["b", "host unknown", HOSTILE])
    assert block(*runs, by="workflow").header["lanes"] == [HOSTILE, "etl.nightly"]


@pytest.mark.parametrize("identity", ["build-17", "", "{" + "1" * 31, HOSTILE])
def test_an_id_that_is_no_uuid_is_no_link(identity):
    """Its 16 bytes are zero, and the bar is there."""
    found = block(a_run(1, 2, run_id=identity))
    assert found.arrays["id"][0].tobytes() == bytes(16)


def test_a_day_without_runs_is_a_header_alone():
    """In lanes of every kind, and in columns that came in no pieces."""
    for by in timeline.LANES:
        for table in (run_columns(), run_columns().schema.empty_table()):
            found = unpacked(timeline.packed(table, TODAY, by, NOW), LAYOUT, 4)
            assert (found.header["count"], found.header["lanes"]) == (0, [])


def test_columns_in_several_pieces_are_one():
    """Each with words of its own."""
    table = pa.concat_tables(
        [run_columns(a_run(1, 2, workflow="a")), run_columns(a_run(3, 4, workflow="b"), a_run(5, 6, workflow="a"))]
    )
    found = unpacked(timeline.packed(table, TODAY, "workflow", NOW), LAYOUT, 4)
    assert [found.header["names"][place] for place in found.arrays["name"]] == ["a", "b", "a"]
    assert found.arrays["lane"].tolist() == [0, 1, 0]


def test_the_browser_reads_the_arrays_in_the_order_in_which_they_are_written():
    """``timeline.js`` takes the same kinds, one after the other."""
    source = (Path(rota_dashboard.__file__).parent / "parts" / "web" / "timeline.js").read_text()
    kinds = {"<f4": "Float32Array", "<u4": "Uint32Array", "u1": "Uint8Array"}
    assert f"[{', '.join(kinds[kind] for kind in list(LAYOUT.values())[:-1])}].map((kind) => take(kind))" in source
    assert "const ids = take(Uint8Array, 16)" in source
