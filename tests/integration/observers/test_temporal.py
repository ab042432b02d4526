"""Temporal's own: looks again, what is forced or goes on as new, schedules, the same run in its own spans."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from collectors import clean_environment
from in_system import scripted
from observed import seen
from observers.system import program

from rota.foreign import Source
from rota_collector.decode.aliases import SYSTEMS
from rota_collector.decode.scalars import uuid_of
from rota_collector.domain import schedule

SCHEDULES = """
    import json
    from datetime import timedelta
    from temporalio.client import ScheduleCalendarSpec, ScheduleIntervalSpec, ScheduleRange as R, ScheduleSpec
    from rota_integrations.temporal.schedules import declared, of_cron

    def said(*calendars, **more):
        return declared(ScheduleSpec(calendars=calendars, **more))

    C, every = ScheduleCalendarSpec, ScheduleIntervalSpec(every=timedelta(minutes=5))
    print(json.dumps({
        "said": [
            said(C(hour=[R(2)]), time_zone_name="Europe/Berlin"), said(C(minute=[R(0, 59, 15)], hour=[R(0, 23)])),
            said(C(hour=[R(6)], day_of_week=[R(1, 5)])), said(C(day_of_month=[R(1)], month=[R(1, 12, 3)])),
            said(intervals=[every]),
            of_cron("0 2 * * *"), of_cron("CRON_TZ=Europe/Berlin 0 2 * * *"), of_cron("@every 5m"),
        ],
        "not": [
            said(C(second=[R(30)])), said(C(year=[R(2030)])), said(C(day_of_month=[R(1)], day_of_week=[R(1)])),
            said(C(), C(hour=[R(1)])),
            said(C(), intervals=[every]), said(C(), skip=[C(hour=[R(2)])]), said(), of_cron("@hourly"),
        ],
    }))
"""


def test_schedules_are_declared_where_cron_can_say_them(tmp_path: Path) -> None:
    """Each declared one is a schedule to the collector; the others, of which cron knows nothing, are none."""
    told = json.loads(scripted("temporal", SCHEDULES, tmp_path / "home").stdout)
    specs = [(each["rota.schedule.spec"], each.get("rota.schedule.tz")) for each in told["said"]]
    assert specs == [
        ("0 2 * * *", "Europe/Berlin"), ("0,15,30,45 * * * *", "UTC"), ("0 6 * * 1,2,3,4,5", "UTC"), ("0 0 1 1,4,7,10 *", "UTC"),
        ("every 300s", None), ("0 2 * * *", "UTC"), ("0 2 * * *", "Europe/Berlin"), ("every 5m", None),
    ]  # fmt: skip
    for spec, zone in specs:
        assert schedule.parse(spec, zone).next_after(int(datetime(2026, 5, 1, tzinfo=UTC).timestamp()) * 10**9) or "every" in spec
    assert told["not"] == [{}] * len(told["not"])


def test_a_run_is_the_same_in_its_own_spans() -> None:
    """The collector makes the same id of what Temporal's own tracing calls temporalRunID."""
    run_id = "01990000-0000-7000-8000-00000000000b"
    (system,) = (system for system in SYSTEMS if system.run_id == ("temporalRunID",))
    assert Source("temporal").run_id((run_id,)) == str(uuid_of(system.identity([run_id])))


@pytest.mark.soak
def test_what_was_seen_is_not_told_again(tmp_path: Path) -> None:
    """By an observer that starts anew and remembers; what is forced is cancelled, what goes on as new names the run that does."""
    home = tmp_path / "home"
    nobody = {"ROTA_AGENT": "off", "ROTA_DETACH": "off", "ROTA_ENDPOINT": "http://127.0.0.1:1", "ROTA_HOME": str(home)}
    program("temporal", LOOKS="3")("terminate again success", tmp_path, clean_environment(**nobody))
    runs: dict[str, list] = {}
    for run in seen(home):
        assert max(Counter(run.raw).values()) == 1
        runs.setdefault(run.workflow, []).append(run)
    assert [run.raw for run in runs["terminate"]] == [["RUNNING", "TERMINATED"]]
    assert [run.raw for run in runs["again"]] == [["RUNNING", "CONTINUED_AS_NEW"], ["RUNNING", "COMPLETED"]]
    assert [run.states for run in runs["success"]] == [["running", "succeeded"]]
