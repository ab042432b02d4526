"""What is wrong, in words and with a shape."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from dashboard_items import BERLIN, HOSTILE, NIGHT, NOW, an_incident, iso

from rota_dashboard.shape import words
from rota_dashboard.shape.causes import Cause, Zones, cause, name_of, zone

HERE = Zones(BERLIN)


def said(kind: str, summary: str, **fields: object) -> Cause:
    return cause(an_incident(kind=kind, summary=summary, **fields), HERE, NOW)


@pytest.mark.parametrize(
    ("kind", "summary", "mark", "line"),
    [
        ("failed", "the run failed", "f", "Failed"),
        ("failed", "the run crashed", "c", "Crashed"),
        ("failed", "the run timed out", "t", "Timed out"),
        ("failed", "the run upstream failed", "u", "Upstream failed"),
        ("failed", "3 runs in a row failed", "f", "Failed 3 times in a row"),
        ("failed", "something else", "f", "Failed: something else"),
        ("too_long", "still running after 3 h; at most 2 h are expected", "t",
         "Takes too long: still running after 3 h; at most 2 h are expected"),
        ("too_short", "it took 2 s; at least 30 s are expected", "l", "Ended too soon: it took 2 s; at least 30 s are expected"),
        ("silent", "nothing was heard of the run for 10 min", "?", "Is silent: nothing was heard of the run for 10 min"),
        ("host_silent", "nothing was heard of etl-2; 4 workflows did not run", "m",
         "The host is silent: nothing was heard of etl-2; 4 workflows did not run"),
        ("observer_silent", "`rota observe prefect` on h1 was not heard of again; what becomes of 1 open run is unknown", "?",
         "Nobody looks at it: `rota observe prefect` on h1 was not heard of again; what becomes of 1 open run is unknown"),
        ("downtime", "4 workflows did not run while nobody looked at prefect, as far as anybody reported since", "?",
         "Did not run, or was not heard of, while nobody looked at prefect"),
        ("downtime", "4 workflows did not run while the collector was down, as far as anybody reported since", "?",
         "Did not run, or was not heard of, while the collector was down"),
        ("rows_missing", "of a later version", "w", "Rows missing: of a later version"),
    ],
)  # fmt: skip
def test_each_kind_has_its_shape_and_its_words(kind, summary, mark, line):
    """What the collector says is a sentence for people, and a kind of a later version is shown by its name."""
    found = said(kind, summary)
    assert (found.mark, found.line) == (mark, line)
    assert found.mark in words.WORST_FIRST


def test_a_missed_slot_is_named_by_its_time_where_the_schedule_is():
    """By the reader's clock where the schedule names no zone."""
    missed = an_incident(kind="missed", summary="no run started within 15 min of its time", due_at=iso(NIGHT))
    assert cause(missed, HERE, NOW) == Cause("m", "Missed its 02:00 slot", "no run started within 15 min of its time")
    assert cause(missed, Zones(BERLIN, ZoneInfo("Asia/Tokyo")), NOW).title == "Missed its 10:00 slot"


def test_a_slot_of_long_ago_is_named_with_its_day():
    """A time of day alone would be taken for the last one."""
    missed = an_incident(kind="missed", due_at=iso(NIGHT - timedelta(days=2)))
    assert cause(missed, HERE, NOW).title == "Missed its slot of Sat 21 Nov 02:00"
    assert cause(missed, HERE, NIGHT - timedelta(days=1, hours=-1)).title == "Missed its slot of yesterday 02:00"
    assert cause(missed, HERE, NIGHT - timedelta(days=2, hours=-21)).title == "Missed its 02:00 slot"  # of the same day
    assert cause(an_incident(kind="missed"), HERE, NOW).title == "Missed"


def test_the_error_of_the_run_follows():
    """One line of it, cut when it is long, and as it was written."""
    assert said("failed", "the run failed", error="ValueError: no\nmore").line == "Failed: ValueError: no"
    assert said("too_long", "it took 3 h", error="Boom").detail == "it took 3 h: Boom"
    assert said("failed", "the run failed", error=HOSTILE).detail == HOSTILE
    assert len(said("failed", "the run failed", error="x" * 1000).detail) == 300


def test_an_incident_is_of_a_workflow_of_a_host_or_of_several():
    """It is named by what it is of; what speaks for several counts them."""
    some = [an_incident(workflow=name) for name in ("a", "b", "a")]
    group = an_incident(workflow=None, kind="downtime")
    assert name_of(an_incident()) == "etl.nightly"
    assert name_of(an_incident(host="etl-2")) == "etl.nightly on etl-2"
    assert name_of(an_incident(workflow=None, host="etl-2", kind="host_silent"), some) == "etl-2"
    assert name_of(group, some) == "2 workflows"
    assert name_of(group, some[:1]) == "a"
    assert name_of(group) == "several workflows"


def test_a_zone_that_is_none_is_no_zone():
    """Whatever a policy calls its zone, the page is shown."""
    assert zone("Europe/Berlin") == BERLIN
    assert [zone(name) for name in (None, "", "Europe/Nowhere", "../../etc/passwd", "/etc/passwd", "a\x00b")] == [None] * 6
